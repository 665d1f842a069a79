//! Route configurations, one by one as RDS brings them: what is used, what is noted, what is refused and where.

mod actions;
mod domains;
mod fields;
mod matching;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::route::v3 as proto;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::Header;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::PolicySpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatcher;
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use envoy_types::util::pack_any;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::resource::Resource;
use evenkeel_control_api::resource::RouteConfiguration;
use evenkeel_control_api::resource::route::Action;
use evenkeel_control_api::resource::route::ClusterName;
use evenkeel_control_api::resource::route::Destination;
use evenkeel_control_api::resource::route::Forward;
use evenkeel_control_api::resource::route::PathMatch;
use evenkeel_control_api::resource::route::Route;
use evenkeel_control_api::resource::route::Timeouts;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Packed;
use prost::Message;
use prost::Name;

/// Where the faults of the only route stand.
const ROUTE: &str = "virtual_hosts[0].routes[0]";

fn to_cluster(cluster: &str) -> proto::RouteAction {
    proto::RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
        ..proto::RouteAction::default()
    }
}

fn route(action: proto::route::Action) -> proto::Route {
    proto::Route {
        r#match: Some(proto::RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..proto::RouteMatch::default()
        }),
        action: Some(action),
        ..proto::Route::default()
    }
}

fn matching(change: impl FnOnce(&mut proto::RouteMatch)) -> proto::Route {
    let mut route = route(proto::route::Action::Route(to_cluster("web")));
    change(route.r#match.as_mut().expect("a match"));
    route
}

fn acting(change: impl FnOnce(&mut proto::RouteAction)) -> proto::Route {
    let mut action = to_cluster("web");
    change(&mut action);
    route(proto::route::Action::Route(action))
}

fn host(routes: Vec<proto::Route>) -> proto::VirtualHost {
    proto::VirtualHost {
        name: "host".to_owned(),
        domains: vec!["*".to_owned()],
        routes,
        ..proto::VirtualHost::default()
    }
}

fn configuration(virtual_hosts: Vec<proto::VirtualHost>) -> proto::RouteConfiguration {
    proto::RouteConfiguration {
        name: "routes".to_owned(),
        virtual_hosts,
        ..proto::RouteConfiguration::default()
    }
}

fn regex(text: &str) -> RegexMatcher {
    RegexMatcher {
        regex: text.to_owned(),
        engine_type: None,
    }
}

fn substitution(pattern: &str, with: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(regex(pattern)),
        substitution: with.to_owned(),
    }
}

fn seconds(seconds: i64) -> ProtoDuration {
    ProtoDuration { seconds, nanos: 0 }
}

fn addition(key: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: key.to_owned(),
            value: value.to_owned(),
            raw_value: Vec::new(),
        }),
        ..HeaderValueOption::default()
    }
}

/// The resource and the paths of its notes, or its faults.
fn decode(message: &proto::RouteConfiguration) -> Result<(RouteConfiguration, Vec<String>), Vec<String>> {
    let packed = Packed {
        type_url: proto::RouteConfiguration::type_url(),
        value: message.encode_to_vec(),
    };
    match xds::decode_one(Kind::Route, &packed) {
        Ok((Resource::Route(routes), notes)) => {
            let notes = notes.into_iter().map(|note| note.path).collect();
            Ok((RouteConfiguration::clone(&routes), notes))
        }
        Ok((other, _)) => panic!("{other:?}"),
        Err(faults) => Err(faults.0.iter().map(ToString::to_string).collect()),
    }
}

#[track_caller]
fn decoded(message: &proto::RouteConfiguration) -> RouteConfiguration {
    decode(message).unwrap_or_else(|faults| panic!("{faults:?}")).0
}

#[track_caller]
fn one(route: proto::Route) -> Route {
    let mut found = decoded(&configuration(vec![host(vec![route])]));
    found.virtual_hosts.remove(0).routes.remove(0)
}

#[track_caller]
fn forward(route: proto::Route) -> Forward {
    match one(route).action {
        Action::Forward(forward) => *forward,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_refused(route: proto::Route, expected: &[&str]) {
    let faults = decode(&configuration(vec![host(vec![route])])).expect_err("the route should be refused");
    let expected: Vec<_> = expected.iter().map(|fault| format!("{ROUTE}.{fault}")).collect();
    assert_eq!(faults, expected);
}

#[test]
fn what_is_not_said_changes_nothing() {
    let found = one(route(proto::route::Action::Route(to_cluster("web"))));
    assert_eq!(found.matches.path, PathMatch::Prefix("/".to_owned()));
    assert!(found.mutations.request.is_empty() && found.mutations.response.is_empty());
    let Action::Forward(forward) = found.action else {
        panic!("{:?}", found.action)
    };
    assert_eq!(
        forward.destination,
        Destination::One(ClusterName::Literal("web".to_owned()))
    );
    assert_eq!(forward.timeouts, Timeouts::default());
    assert_eq!(
        (forward.not_found.as_u16(), forward.path, forward.host),
        (503, None, None)
    );
}

#[test]
fn what_decides_who_may_send_or_where_it_goes_is_refused_and_the_rest_noted() {
    let mut message = configuration(vec![host(vec![acting(|action| {
        action.metadata_match = Some(core::Metadata::default());
        action.rate_limits = vec![proto::RateLimit::default()];
        action.internal_redirect_policy = Some(proto::InternalRedirectPolicy::default());
    })])]);
    message.vhds = Some(proto::Vhds::default());
    message.virtual_hosts[0].require_tls = 2;
    let filters = &mut message.virtual_hosts[0].routes[0].typed_per_filter_config;
    filters.insert("a.filter".to_owned(), pack_any(proto::Tracing::default()));
    assert_eq!(
        decode(&message).expect_err("faults"),
        [
            "vhds: is not supported".to_owned(),
            "virtual_hosts[0].require_tls: is not supported".to_owned(),
            format!("{ROUTE}.typed_per_filter_config[a.filter]: is not supported"),
            format!("{ROUTE}.route.metadata_match: is not supported"),
            format!("{ROUTE}.route.rate_limits: is not supported"),
            format!("{ROUTE}.route.internal_redirect_policy: is not supported"),
        ]
    );
    let mut message = configuration(vec![host(vec![acting(|action| {
        action.retry_policy = Some(proto::RetryPolicy::default());
        action.request_mirror_policies = vec![proto::route_action::RequestMirrorPolicy::default()];
        action.hash_policy = vec![proto::route_action::HashPolicy {
            policy_specifier: Some(PolicySpecifier::Header(Header::default())),
            ..proto::route_action::HashPolicy::default()
        }];
        action.upgrade_configs = vec![proto::route_action::UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..proto::route_action::UpgradeConfig::default()
        }];
    })])]);
    message.validate_clusters = Some(BoolValue { value: false });
    message.virtual_hosts[0].routes[0].decorator = Some(proto::Decorator::default());
    let optional = proto::FilterConfig {
        is_optional: true,
        ..proto::FilterConfig::default()
    };
    let filters = &mut message.virtual_hosts[0].routes[0].typed_per_filter_config;
    filters.insert("a.filter".to_owned(), pack_any(optional));
    let (_, notes) = decode(&message).unwrap_or_else(|faults| panic!("{faults:?}"));
    let fields = [
        "decorator",
        "typed_per_filter_config[a.filter]",
        "route.retry_policy",
        "route.request_mirror_policies",
        "route.hash_policy[0].header",
    ];
    assert_eq!(notes, fields.map(|field| format!("{ROUTE}.{field}")));
}
