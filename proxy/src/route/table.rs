//! The rules of one listener.

use super::hosts::Hosts;
use super::rule::{Action, Answer, Forward, Rule, Target};
use super::{Ask, Die, condition};
use evenkeel_control_api::resource::route::{Domain, PathMatch, Ports, RouteMatch, Timeouts};
use http::StatusCode;

/// The rules of one listener; by default none.
#[derive(Debug, PartialEq)]
pub struct Table(pub(super) Form);

#[derive(Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a listener has one of them, and nearly all have the large one, which is the shorter way"
)]
pub(super) enum Form {
    /// One rule has every request: nothing of it is looked at. Nearly all listeners are like that.
    Single(Rule),
    General(Box<General>),
}

/// Rules of virtual hosts.
#[derive(Debug, PartialEq)]
pub(super) struct General {
    pub(super) hosts: Hosts,
    pub(super) virtual_hosts: Vec<VirtualHost>,
}

/// Rules in the order in which they are tried.
#[derive(Debug, PartialEq)]
pub(super) struct VirtualHost {
    pub(super) domains: Vec<Domain>,
    pub(super) rules: Vec<Rule>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision<'a> {
    /// It goes to a cluster.
    Forward(&'a Forward),
    /// It is answered here.
    Answer(&'a Answer),
    /// Its rule leads to no cluster.
    Nowhere,
    /// No rule is for it.
    NoRule,
}

impl Default for Table {
    fn default() -> Self {
        Self(Form::General(Box::new(General {
            hosts: Hosts::new(Ports::Compared),
            virtual_hosts: Vec::new(),
        })))
    }
}

impl Table {
    /// Everything to the cluster at this place of the snapshot, as it comes.
    pub fn to(cluster: usize) -> Self {
        let matches = RouteMatch {
            path: PathMatch::Prefix("/".to_owned()),
            ignore_case: false,
            headers: Vec::new(),
            query: Vec::new(),
            grpc: false,
            fraction: None,
        };
        let forward = Forward {
            cluster: Target::Place(cluster),
            not_found: StatusCode::SERVICE_UNAVAILABLE,
            timeouts: Timeouts::default(),
            hash: None,
            changes: None,
        };
        Self(Form::Single(Rule {
            name: Box::default(),
            matches,
            action: Action::Forward(forward),
        }))
    }

    /// What becomes of a request, and by which rule; the request is asked for only where something depends on it.
    pub fn find<'a>(&self, ask: impl FnOnce() -> Ask<'a>, die: Die<'_>) -> (Option<&Rule>, Decision<'_>) {
        let rule = match &self.0 {
            Form::Single(rule) => rule,
            Form::General(general) => match general.find(&ask(), die) {
                Some(rule) => rule,
                None => return (None, Decision::NoRule),
            },
        };
        let decision = match &rule.action {
            Action::Forward(forward) => Decision::Forward(forward),
            Action::Weighted(weighted) => weighted.choose(die).map_or(Decision::Nowhere, Decision::Forward),
            Action::Answer(answer) => Decision::Answer(answer),
            Action::Nowhere => Decision::Nowhere,
        };
        (Some(rule), decision)
    }

    /// Every rule with the domains that it is for, in the order in which they are tried.
    pub fn rules(&self) -> impl Iterator<Item = (&[Domain], &Rule)> {
        let (single, general) = match &self.0 {
            Form::Single(rule) => (Some((&[Domain::Any][..], rule)), None),
            Form::General(general) => (None, Some(general)),
        };
        let hosts = general.into_iter().flat_map(|general| &general.virtual_hosts);
        let rules = hosts.flat_map(|host| host.rules.iter().map(|rule| (host.domains.as_slice(), rule)));
        single.into_iter().chain(rules)
    }

    /// The places of every cluster that a rule names.
    pub fn clusters(&self) -> impl Iterator<Item = usize> {
        let forwards = self.rules().flat_map(|(_, rule)| rule.action.forwards());
        forwards.filter_map(|forward| match forward.cluster {
            Target::Place(place) => Some(place),
            Target::Named(_) => None,
        })
    }
}

impl General {
    fn find(&self, ask: &Ask<'_>, die: Die<'_>) -> Option<&Rule> {
        let host = &self.virtual_hosts[self.hosts.find(ask.authority)?];
        host.rules.iter().find(|rule| condition::holds(&rule.matches, ask, die))
    }
}
