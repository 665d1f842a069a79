//! What is said of the fields of the messages that hold most is what happens.

use super::decoder::decoders;
use super::message::messages;
use super::wire::Good;
use super::wire::Said;
use super::wire::assert_as_said;
use crate::example;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbPolicy;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::endpoint::v3::LbEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LocalityLbEndpoints;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::route::v3::Route;
use envoy_types::pb::envoy::config::route::v3::RouteAction;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::config::route::v3::RouteMatch;
use envoy_types::pb::envoy::config::route::v3::VirtualHost;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::util::pack_any;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Messages;
use evenkeel_control_api::xds::Packed;
use prost::Message;
use prost::Name;
use std::sync::LazyLock;

/// Good ones: those of the documentation's example.
static MESSAGES: LazyLock<Messages> = LazyLock::new(|| {
    let document = mesh::parse(example()).unwrap_or_else(|faults| panic!("{faults}"));
    mesh::translate(&document)
});

fn open<M: Message + Default>(packed: &[Packed], index: usize) -> M {
    M::decode(packed[index].value.as_slice()).expect("a message of ours")
}

fn said<M: Message + Name>(kind: Kind, message: &M) -> Said {
    let packed = Packed {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    };
    match xds::decode_one(kind, &packed) {
        Ok((_, notes)) => Said::Taken(notes.into_iter().map(|note| note.path).collect()),
        Err(faults) => Said::Refused(faults.0.into_iter().map(|fault| (fault.path, fault.reason)).collect()),
    }
}

/// One for each field that excludes others.
fn clusters() -> [Good<Cluster>; 4] {
    let message: Cluster = open(&MESSAGES.clusters, 0);
    let balanced = |policy: LbPolicy| Cluster {
        load_balancing_policy: None,
        lb_policy: policy as i32,
        ..message.clone()
    };
    let kind = |kind: DiscoveryType| Some(ClusterDiscoveryType::Type(kind as i32));
    let resolved = Cluster {
        cluster_discovery_type: kind(DiscoveryType::StrictDns),
        eds_cluster_config: None,
        load_assignment: Some(open(&MESSAGES.assignments, 0)),
        ..balanced(LbPolicy::RoundRobin)
    };
    let original = Cluster {
        cluster_discovery_type: kind(DiscoveryType::OriginalDst),
        eds_cluster_config: None,
        ..balanced(LbPolicy::ClusterProvided)
    };
    let least_request = balanced(LbPolicy::LeastRequest);
    [message, least_request, resolved, original].map(|message| Good {
        message,
        decode: |message| said(Kind::Cluster, message),
    })
}

#[test]
fn what_is_said_of_clusters_and_endpoints_is_what_happens() {
    let rows = messages(&decoders());
    assert_as_said(&rows, &clusters());
    let decode = |message: &ClusterLoadAssignment| said(Kind::Assignment, message);
    let message: ClusterLoadAssignment = open(&MESSAGES.assignments, 0);
    let group = message.endpoints[0].clone();
    assert_as_said(&rows, &[Good { message, decode }]);
    let endpoint = group.lb_endpoints[0].clone();
    let decode = |group: &LocalityLbEndpoints| {
        let mut message: ClusterLoadAssignment = open(&MESSAGES.assignments, 0);
        message.endpoints = vec![group.clone()];
        said(Kind::Assignment, &message)
    };
    assert_as_said(&rows, &[Good { message: group, decode }]);
    let decode = |endpoint: &LbEndpoint| {
        let mut message: ClusterLoadAssignment = open(&MESSAGES.assignments, 0);
        message.endpoints[0].lb_endpoints = vec![endpoint.clone()];
        said(Kind::Assignment, &message)
    };
    assert_as_said(
        &rows,
        &[Good {
            message: endpoint,
            decode,
        }],
    );
}

fn manager_of(listener: &Listener) -> HttpConnectionManager {
    match &listener.filter_chains[0].filters[0].config_type {
        Some(ConfigType::TypedConfig(any)) => HttpConnectionManager::decode(any.value.as_slice()).expect("ours"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_said_of_listeners_is_what_happens() {
    let rows = messages(&decoders());
    let message: Listener = open(&MESSAGES.listeners, 0);
    let manager = manager_of(&message);
    let decode = |message: &Listener| said(Kind::Listener, message);
    assert_as_said(&rows, &[Good { message, decode }]);
    let decode = |manager: &HttpConnectionManager| {
        let mut message: Listener = open(&MESSAGES.listeners, 0);
        message.filter_chains[0].filters[0].config_type = Some(ConfigType::TypedConfig(pack_any(manager.clone())));
        said(Kind::Listener, &message)
    };
    assert_as_said(
        &rows,
        &[Good {
            message: manager,
            decode,
        }],
    );
}

fn routes() -> RouteConfiguration {
    let to_cluster = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster("web".to_owned())),
        ..RouteAction::default()
    };
    let every = RouteMatch {
        path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
        ..RouteMatch::default()
    };
    let route = Route {
        r#match: Some(every),
        action: Some(Action::Route(to_cluster)),
        ..Route::default()
    };
    let host = VirtualHost {
        name: "web".to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        ..VirtualHost::default()
    };
    RouteConfiguration {
        name: "routes".to_owned(),
        virtual_hosts: vec![host],
        ..RouteConfiguration::default()
    }
}

fn with_route(route: Route) -> Said {
    let mut message = routes();
    message.virtual_hosts[0].routes = vec![route];
    said(Kind::Route, &message)
}

#[test]
fn what_is_said_of_routes_is_what_happens() {
    let rows = messages(&decoders());
    let message = routes();
    let host = message.virtual_hosts[0].clone();
    let route = host.routes[0].clone();
    let decode = |message: &RouteConfiguration| said(Kind::Route, message);
    assert_as_said(&rows, &[Good { message, decode }]);
    let decode = |host: &VirtualHost| {
        let mut message = routes();
        message.virtual_hosts = vec![host.clone()];
        said(Kind::Route, &message)
    };
    assert_as_said(&rows, &[Good { message: host, decode }]);
    let Some(Action::Route(action)) = route.action.clone() else {
        panic!("{route:?}")
    };
    let decode = |action: &RouteAction| {
        let mut route = routes().virtual_hosts[0].routes[0].clone();
        route.action = Some(Action::Route(action.clone()));
        with_route(route)
    };
    assert_as_said(
        &rows,
        &[Good {
            message: action,
            decode,
        }],
    );
    let matches = route.r#match.clone().expect("it is there");
    let decode = |matches: &RouteMatch| {
        let mut route = routes().virtual_hosts[0].routes[0].clone();
        route.r#match = Some(matches.clone());
        with_route(route)
    };
    assert_as_said(
        &rows,
        &[Good {
            message: matches,
            decode,
        }],
    );
    let decode = |route: &Route| with_route(route.clone());
    assert_as_said(&rows, &[Good { message: route, decode }]);
}
