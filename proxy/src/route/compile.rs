//! A route configuration into a table: levels of changes become one list for each way that a request can take.

use super::condition::is_everything;
use super::header::Levels;
use super::hosts::Hosts;
use super::path::{Matched, PathChange};
use super::rule::{Action, Answer, AnswerKind, Changes, Forward, Rule, Target, Weighted};
use super::table::{Form, General, Table, VirtualHost};
use evenkeel_control_api::resource::RouteConfiguration;
use evenkeel_control_api::resource::route::{
    self, ClusterName, Destination, Domain, HeaderMutations, HostRewrite, LastWord, Mutations,
};
use std::sync::Arc;

/// Gives the place of a cluster in the snapshot.
type Places<'a> = &'a mut dyn FnMut(&str) -> usize;

impl Table {
    /// The table of a configuration.
    pub fn compile(configuration: &RouteConfiguration, places: Places<'_>) -> Self {
        let mut general = general(configuration, places);
        let single = match general.virtual_hosts.as_mut_slice() {
            [host] if host.domains == [Domain::Any] && host.rules.len() == 1 => {
                host.rules.pop_if(|rule| is_everything(&rule.matches))
            }
            _ => None,
        };
        Self(match single {
            Some(rule) => Form::Single(rule),
            None => Form::General(Box::new(general)),
        })
    }
}

/// The same in its general form.
pub(super) fn general(configuration: &RouteConfiguration, places: Places<'_>) -> General {
    let mut hosts = Hosts::new(configuration.ports);
    let mut virtual_hosts = Vec::with_capacity(configuration.virtual_hosts.len());
    let last_word = configuration.last_word;
    let outermost = Around::new(last_word).with(&configuration.mutations);
    for (place, host) in configuration.virtual_hosts.iter().enumerate() {
        host.domains.iter().for_each(|domain| hosts.add(domain, place));
        let around = outermost.with(&host.mutations);
        let rules = host.routes.iter().map(|route| rule(route, host, &around, places));
        virtual_hosts.push(VirtualHost {
            domains: host.domains.clone(),
            rules: rules.collect(),
        });
    }
    General { hosts, virtual_hosts }
}

fn rule(route: &route::Route, host: &route::VirtualHost, around: &Around, places: Places<'_>) -> Rule {
    let around = around.with(&route.mutations);
    let matched = Matched::by(&route.matches.path);
    let answer = |kind| {
        Action::Answer(Box::new(Answer {
            kind,
            response: around.levels(|both| &both.response),
            matched,
        }))
    };
    let action = match &route.action {
        route::Action::Forward(message) => forwarding(message, host, &around, matched, places),
        route::Action::Redirect(redirect) => answer(AnswerKind::Redirect(redirect.clone())),
        route::Action::Respond(response) => answer(AnswerKind::Respond(response.clone())),
        route::Action::Nowhere => Action::Nowhere,
    };
    Rule {
        name: route.name.as_str().into(),
        matches: route.matches.clone(),
        action,
    }
}

fn forwarding(
    route: &route::Forward,
    host: &route::VirtualHost,
    around: &Around,
    matched: Matched,
    places: Places<'_>,
) -> Action {
    let forward = |cluster: &ClusterName, around: &Around, literal: Option<&http::HeaderValue>, places: Places<'_>| {
        let changes = Changes {
            request: around.levels(|both| &both.request),
            response: around.levels(|both| &both.response),
            path: route.path.as_ref().map(|rewrite| PathChange::new(rewrite, matched)),
            host: route
                .host
                .clone()
                .or_else(|| literal.cloned().map(HostRewrite::Literal)),
            append_forwarded_host: route.append_forwarded_host,
            tells_endpoints_attempts: host.tells_endpoints_attempts,
            tells_clients_attempts: host.tells_clients_attempts,
        };
        let changes = Changes {
            // Without another host it says nothing.
            append_forwarded_host: changes.append_forwarded_host && changes.host.is_some(),
            ..changes
        };
        Forward {
            cluster: match cluster {
                ClusterName::Literal(name) => Target::Place(places(name)),
                ClusterName::Field(name) => Target::Named(name.clone()),
            },
            not_found: route.not_found,
            timeouts: route.timeouts,
            hash: route.hash,
            changes: (changes != Changes::default()).then(|| Box::new(changes)),
        }
    };
    match &route.destination {
        Destination::One(cluster) => Action::Forward(forward(cluster, around, None, places)),
        Destination::Weighted(several) => {
            let choices = several.iter().map(|one| {
                let around = around.with(&one.mutations);
                (one.weight, forward(&one.cluster, &around, one.host.as_ref(), places))
            });
            Weighted::new(choices).map_or(Action::Nowhere, Action::Weighted)
        }
    }
}

/// The levels around a rule, the most general first. Each is there once, however many rules it is around.
#[derive(Clone)]
struct Around {
    last_word: LastWord,
    levels: Vec<Both>,
}

#[derive(Clone)]
struct Both {
    request: Arc<HeaderMutations>,
    response: Arc<HeaderMutations>,
}

impl Around {
    fn new(last_word: LastWord) -> Self {
        Self {
            last_word,
            levels: Vec::new(),
        }
    }

    /// And one more level inside.
    fn with(&self, Mutations { request, response }: &Mutations) -> Self {
        let mut inside = self.clone();
        inside.levels.push(Both {
            request: Arc::new(request.clone()),
            response: Arc::new(response.clone()),
        });
        inside
    }

    /// Those that change something, in the order in which they do.
    fn levels(&self, side: impl Fn(&Both) -> &Arc<HeaderMutations>) -> Levels {
        let levels = self.levels.iter().map(side).filter(|level| !level.is_empty()).cloned();
        Levels(match self.last_word {
            LastWord::MostSpecific => levels.collect(),
            LastWord::MostGeneral => levels.rev().collect(),
        })
    }
}
