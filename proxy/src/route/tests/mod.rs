//! What Envoy documents of its routes, as tables of cases.

mod changes;
mod conditions;
mod hosts;
mod redirects;
mod shares;

use super::{Action, Ask, Decision, Forward, Rule, Table, Target};
use evenkeel_control_api::resource::RouteConfiguration;
use evenkeel_control_api::resource::route::{
    self, ClusterName, Destination, Domain, LastWord, Mutations, PathMatch, Ports, Route, RouteMatch, Timeouts,
    VirtualHost,
};
use http::{HeaderMap, StatusCode};
use std::num::NonZeroU64;

/// A request without anything special.
pub(super) struct Request {
    method: &'static str,
    scheme: &'static str,
    authority: Option<String>,
    path: String,
    query: Option<String>,
    fields: HeaderMap,
}

impl Request {
    pub(super) fn to(target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            method: "GET",
            scheme: "http",
            authority: Some("web.test".to_owned()),
            path: path.to_owned(),
            query,
            fields: HeaderMap::new(),
        }
    }

    pub(super) fn of(authority: &str) -> Self {
        Self {
            authority: Some(authority.to_owned()),
            ..Self::to("/")
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.fields.append(name, value.parse().unwrap());
        self
    }

    pub(super) fn ask(&self) -> Ask<'_> {
        Ask {
            method: self.method,
            scheme: self.scheme,
            authority: self.authority.as_deref().map(str::as_bytes),
            path: self.path.as_bytes(),
            query: self.query.as_deref().map(str::as_bytes),
            fields: &self.fields,
        }
    }
}

pub(super) fn everything() -> RouteMatch {
    RouteMatch {
        path: PathMatch::Prefix("/".to_owned()),
        ignore_case: false,
        headers: Vec::new(),
        query: Vec::new(),
        grpc: false,
        fraction: None,
    }
}

pub(super) fn forward(cluster: &str) -> route::Forward {
    route::Forward {
        destination: Destination::One(ClusterName::Literal(cluster.to_owned())),
        not_found: StatusCode::SERVICE_UNAVAILABLE,
        timeouts: Timeouts::default(),
        path: None,
        host: None,
        append_forwarded_host: false,
        hash: None,
    }
}

/// Requests like these to the cluster whose place is `cluster`.
pub(super) fn route(matches: RouteMatch, cluster: usize) -> Route {
    Route {
        name: String::new(),
        matches,
        action: route::Action::Forward(Box::new(forward(&cluster.to_string()))),
        mutations: Mutations::default(),
    }
}

pub(super) fn host(domains: &[Domain], routes: Vec<Route>) -> VirtualHost {
    VirtualHost {
        name: "host".to_owned(),
        domains: domains.to_vec(),
        routes,
        mutations: Mutations::default(),
        tells_endpoints_attempts: false,
        tells_clients_attempts: false,
    }
}

pub(super) fn configuration(virtual_hosts: Vec<VirtualHost>) -> RouteConfiguration {
    RouteConfiguration {
        name: "routes".to_owned(),
        virtual_hosts,
        mutations: Mutations::default(),
        last_word: LastWord::MostGeneral,
        ports: Ports::Compared,
    }
}

/// Names of clusters are their places.
pub(super) fn compile(configuration: &RouteConfiguration) -> Table {
    Table::compile(configuration, &mut |name| name.parse().unwrap())
}

pub(super) fn table(routes: Vec<Route>) -> Table {
    compile(&configuration(vec![host(&[Domain::Any], routes)]))
}

/// The place of the cluster that a request goes to.
pub(super) fn place(table: &Table, request: &Request) -> Option<usize> {
    match table
        .find(|| request.ask(), &mut |_| panic!("nothing is left to chance"))
        .1
    {
        Decision::Forward(Forward {
            cluster: Target::Place(place),
            ..
        }) => Some(*place),
        _ => None,
    }
}

/// A die that is no worse than needed.
pub(super) fn die(mut state: u64) -> impl FnMut(NonZeroU64) -> u64 {
    move |below| {
        // Knuth's MMIX; its high bits are the good ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

#[test]
fn one_rule_for_everything_is_found_without_looking_at_the_request() {
    let single = table(vec![route(everything(), 7)]);
    let (_, found) = single.find(|| panic!("nobody asks"), &mut |_| panic!("nobody throws"));
    assert!(matches!(
        found,
        Decision::Forward(Forward {
            cluster: Target::Place(7),
            changes: None,
            ..
        })
    ));
    assert_eq!(single, Table::to(7));
    assert_eq!(single.clusters().collect::<Vec<_>>(), [7]);
}

#[test]
fn without_rules_nothing_is_found() {
    let (request, never) = (Request::to("/"), &mut |_| panic!("nobody throws"));
    assert_eq!(Table::default().find(|| request.ask(), never).1, Decision::NoRule);
    assert_eq!(table(Vec::new()).find(|| request.ask(), never).1, Decision::NoRule);
}

#[test]
fn the_short_way_and_the_long_way_lead_to_the_same() {
    let configuration = configuration(vec![host(&[Domain::Any], vec![route(everything(), 3)])]);
    let short = compile(&configuration);
    let general = super::compile::general(&configuration, &mut |name| name.parse().unwrap());
    let long = Table(super::table::Form::General(Box::new(general)));
    assert_ne!(short, long);
    let mut dice = die(5);
    let mut below = |sides: u64| dice(NonZeroU64::new(sides).unwrap());
    for _ in 0..10_000 {
        let bytes: String = (0..below(8))
            .map(|_| ['/', 'a', '*', '%', 'é'][below(5) as usize])
            .collect();
        let mut request = Request::to(&bytes).with("x-a", "b");
        request.method = ["GET", "OPTIONS", "CONNECT", "anything"][below(4) as usize];
        request.authority = [None, Some("web.test".to_owned()), Some(bytes)][below(3) as usize].clone();
        assert_eq!(place(&short, &request), Some(3));
        assert_eq!(
            place(&long, &request),
            Some(3),
            "{:?} {:?}",
            request.path,
            request.authority
        );
    }
}

#[test]
fn a_rule_that_leads_nowhere_is_one() {
    let mut nowhere = route(everything(), 0);
    nowhere.action = route::Action::Nowhere;
    let table = table(vec![nowhere, route(everything(), 1)]);
    let (request, never) = (Request::to("/"), &mut |_| panic!("nobody throws"));
    assert_eq!(table.find(|| request.ask(), never).1, Decision::Nowhere);
    let rules: Vec<&Rule> = table.rules().map(|(_, rule)| rule).collect();
    assert!(matches!(
        (&rules[0].action, &rules[1].action),
        (Action::Nowhere, Action::Forward(_))
    ));
}
