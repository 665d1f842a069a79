//! `RouteConfiguration`: what becomes of requests.
//!
//! A virtual host has the rules of every hostname that covers its own, the most specific first: a request that no rule of
//! the nearest hostname matches is one for the next. Without a virtual host or a route it is answered with 404.

mod action;
mod condition;
mod path;
mod rank;

use super::value;
use crate::mesh::model::Family;
use crate::mesh::model::Hostname;
use crate::mesh::model::HttpMatch;
use crate::mesh::model::HttpRule;
use envoy_types::pb::envoy::config::route::v3 as proto;
use rank::Rank;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::num::NonZeroU16;

/// Where the requests of a listener go.
#[derive(Clone, Copy)]
pub(super) enum Requests<'a> {
    /// All of them to one cluster.
    To {
        cluster: &'a str,
        /// What is of one client goes to the same endpoint.
        sticky: bool,
    },
    /// As rules say.
    By(Rules<'a>),
}

/// Rules for the requests to a service port.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) all: &'a [HttpRule],
    /// Where they stand.
    pub(super) port: NonZeroU16,
    /// The family of the address that was dialled, if one was.
    pub(super) dialled: Option<Family>,
}

impl Requests<'_> {
    /// The route configuration of this name.
    pub(super) fn routes(self, name: &str) -> proto::RouteConfiguration {
        let (virtual_hosts, ignore_port_in_host_matching) = match self {
            Self::To { cluster, sticky } => (vec![everything(cluster, sticky)], false),
            Self::By(rules) => (by_hostname(rules), true),
        };
        proto::RouteConfiguration {
            name: name.to_owned(),
            virtual_hosts,
            ignore_port_in_host_matching,
            ..proto::RouteConfiguration::default()
        }
    }
}

/// Everything to one cluster, without a limit in time.
fn everything(cluster: &str, sticky: bool) -> proto::VirtualHost {
    let action = proto::RouteAction {
        cluster_specifier: Some(proto::route_action::ClusterSpecifier::Cluster(cluster.to_owned())),
        timeout: Some(value::limit(None)),
        hash_policy: sticky.then(value::source_ip_of_requests).into_iter().collect(),
        ..proto::RouteAction::default()
    };
    let any = HttpMatch::default();
    let route = proto::Route {
        r#match: Some(condition::condition(&any)),
        action: Some(proto::route::Action::Route(action)),
        ..proto::Route::default()
    };
    virtual_host(None, vec![route])
}

fn by_hostname(at: Rules<'_>) -> Vec<proto::VirtualHost> {
    let rules = at.all;
    let named = rules.iter().flat_map(|rule| &rule.hostnames);
    let mut domains: BTreeSet<Option<&Hostname>> = named.map(Some).collect();
    if rules.iter().any(|rule| rule.hostnames.is_empty()) {
        domains.insert(None);
    }
    let hosts = domains.into_iter().map(|domain| {
        let mut ranked = Vec::new();
        for rule in rules {
            let Some(near) = rank::nearness(&rule.hostnames, domain) else {
                continue;
            };
            let any = [HttpMatch::default()];
            let matches = if rule.matches.is_empty() {
                &any
            } else {
                rule.matches.as_slice()
            };
            for one in matches {
                ranked.push((Rank::new(near, one), action::routes(rule, one, at)));
            }
        }
        // It is stable: of equals, the first stays the first.
        ranked.sort_by_key(|(rank, _)| Reverse(*rank));
        virtual_host(domain, ranked.into_iter().flat_map(|(_, routes)| routes).collect())
    });
    hosts.collect()
}

fn virtual_host(domain: Option<&Hostname>, routes: Vec<proto::Route>) -> proto::VirtualHost {
    let (name, domain) = match domain {
        Some(hostname) => (hostname.to_string(), hostname.to_string()),
        None => ("all".to_owned(), "*".to_owned()),
    };
    proto::VirtualHost {
        name,
        domains: vec![domain],
        routes,
        ..proto::VirtualHost::default()
    }
}
