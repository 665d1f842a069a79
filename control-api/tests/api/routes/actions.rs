//! Where a request goes and how it is changed on its way, or what answers it.

use super::acting;
use super::assert_refused;
use super::configuration;
use super::decoded;
use super::forward;
use super::host;
use super::one;
use super::route;
use super::seconds;
use super::substitution;
use super::to_cluster;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::route::v3 as proto;
use envoy_types::pb::envoy::config::route::v3::redirect_action::PathRewriteSpecifier;
use envoy_types::pb::envoy::config::route::v3::redirect_action::SchemeRewriteSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_action::HostRewriteSpecifier;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::google::protobuf::UInt32Value;
use evenkeel_control_api::resource::route::Action;
use evenkeel_control_api::resource::route::ClusterName;
use evenkeel_control_api::resource::route::Destination;
use evenkeel_control_api::resource::route::FieldName;
use evenkeel_control_api::resource::route::GrpcTimeout;
use evenkeel_control_api::resource::route::HostRewrite;
use evenkeel_control_api::resource::route::PathRewrite;
use evenkeel_control_api::resource::route::RedirectPath;
use std::time::Duration;

#[test]
fn a_cluster_is_named_by_the_route_by_a_header_or_by_chance() {
    let header = ClusterSpecifier::ClusterHeader("X-Cluster".into());
    let found = forward(acting(|action| action.cluster_specifier = Some(header)));
    let Destination::One(ClusterName::Field(FieldName::Field(name))) = found.destination else {
        panic!("{:?}", found.destination)
    };
    assert_eq!(name, "x-cluster");
    let found = forward(acting(|action| {
        action.cluster_specifier = Some(weighted(
            &[("a", Some(1)), ("b", Some(0)), ("c", Some(u32::MAX - 1))],
            0,
        ));
        action.cluster_not_found_response_code = 1;
    }));
    let Destination::Weighted(several) = found.destination else {
        panic!("{:?}", found.destination)
    };
    assert_eq!(
        several.iter().map(|one| one.weight).collect::<Vec<_>>(),
        [1, 0, u32::MAX - 1]
    );
    assert_eq!(found.not_found.as_u16(), 404);
    let all = decoded(&configuration(vec![host(vec![
        acting(|_| {}),
        acting(|action| action.cluster_specifier = Some(weighted(&[("a", Some(1)), ("b", Some(1))], 2))),
    ])]));
    assert_eq!(all.clusters().collect::<Vec<_>>(), ["web", "a", "b"]);
}

fn weighted(clusters: &[(&str, Option<u32>)], total: u32) -> ClusterSpecifier {
    let clusters = clusters.iter().map(|(name, weight)| ClusterWeight {
        name: (*name).to_owned(),
        weight: weight.map(|value| UInt32Value { value }),
        ..ClusterWeight::default()
    });
    #[expect(deprecated, reason = "what is deprecated means what it meant")]
    ClusterSpecifier::WeightedClusters(proto::WeightedCluster {
        clusters: clusters.collect(),
        total_weight: (total > 0).then_some(UInt32Value { value: total }),
        ..proto::WeightedCluster::default()
    })
}

#[test]
fn weights_add_up_to_something_that_is_said() {
    let path = "route.weighted_clusters";
    for (clusters, total, fault) in [
        (
            &[("a", Some(0))][..],
            0,
            "clusters: the weights add up to 0, and must to something from 1 to 4294967295",
        ),
        (
            &[("a", Some(u32::MAX)), ("b", Some(1))],
            0,
            "clusters: the weights add up to 4294967296, and must to something from 1 to 4294967295",
        ),
        (
            &[("a", Some(1))],
            100,
            "total_weight: is 100, and the weights add up to 1",
        ),
    ] {
        let action = acting(|action| action.cluster_specifier = Some(weighted(clusters, total)));
        assert_refused(action, &[&format!("{path}.{fault}")]);
    }
    let without = acting(|action| action.cluster_specifier = Some(weighted(&[("a", None), ("", Some(1))], 0)));
    assert_refused(
        without,
        &[
            &format!("{path}.clusters[0].weight: is missing"),
            &format!("{path}.clusters[1]: needs either a name or a cluster_header"),
            &format!("{path}.clusters: the weights add up to 0, and must to something from 1 to 4294967295"),
        ],
    );
}

#[test]
#[expect(deprecated, reason = "what is deprecated means what it meant")]
fn times_are_what_they_say_and_nothing_is_no_limit() {
    let found = forward(acting(|action| {
        action.timeout = Some(seconds(15));
        action.idle_timeout = Some(seconds(0));
        action.max_grpc_timeout = Some(seconds(0));
        action.max_stream_duration = Some(proto::route_action::MaxStreamDuration {
            max_stream_duration: Some(seconds(60)),
            grpc_timeout_header_max: Some(seconds(5)),
            grpc_timeout_header_offset: Some(seconds(1)),
        });
    }));
    let duration = Duration::from_secs;
    assert_eq!((found.timeouts.answer, found.timeouts.idle), (Some(duration(15)), None));
    assert_eq!(found.timeouts.stream, Some(duration(60)));
    let grpc = |most: Option<u64>, sooner| {
        Some(GrpcTimeout {
            most: most.map(duration),
            sooner: duration(sooner),
        })
    };
    assert_eq!(found.timeouts.grpc_answer, grpc(None, 0));
    assert_eq!(found.timeouts.grpc_stream, grpc(Some(5), 1));
    assert_refused(
        acting(|action| action.timeout = Some(seconds(-1))),
        &["route.timeout: is not a duration from 0 to 10,000 years"],
    );
}

#[test]
fn paths_and_hosts_are_rewritten_as_they_are_matched() {
    let found = forward(acting(|action| {
        action.prefix_rewrite = "/b".to_owned();
        action.host_rewrite_specifier = Some(HostRewriteSpecifier::HostRewriteLiteral("b.test:81".into()));
        action.append_x_forwarded_host = true;
    }));
    assert_eq!(found.path, Some(PathRewrite::Prefix("/b".to_owned())));
    assert_eq!(
        found.host,
        Some(HostRewrite::Literal("b.test:81".parse().expect("a value")))
    );
    assert!(found.append_forwarded_host);
    let found = forward(acting(|action| {
        action.regex_rewrite = Some(substitution("^/a", "/b"));
        let host = substitution("^/(.+?)/.*$", r"\1");
        action.host_rewrite_specifier = Some(HostRewriteSpecifier::HostRewritePathRegex(host));
    }));
    assert!(matches!(found.path, Some(PathRewrite::Regex(regex)) if regex.as_strs() == ("^/a", "/b")));
    assert!(matches!(found.host, Some(HostRewrite::Path(regex)) if regex.apply(b"/c/d") == b"c"));
}

#[test]
fn a_rewrite_that_makes_no_path_or_no_host_is_refused() {
    assert_refused(
        acting(|action| {
            action.prefix_rewrite = "b".to_owned();
            action.host_rewrite_specifier = Some(HostRewriteSpecifier::HostRewriteLiteral("b/c".into()));
        }),
        &[
            "route.prefix_rewrite: \"b\" does not begin with \"/\"",
            "route.host_rewrite_literal: \"b/c\" holds what cannot stand there",
        ],
    );
    assert_refused(
        acting(|action| {
            action.prefix_rewrite = "/b".to_owned();
            action.regex_rewrite = Some(substitution("a", "b"));
            let auto = HostRewriteSpecifier::AutoHostRewrite(BoolValue { value: true });
            action.host_rewrite_specifier = Some(auto);
        }),
        &[
            "route.regex_rewrite: cannot be there with prefix_rewrite",
            "route.auto_host_rewrite: cannot be true",
        ],
    );
}

#[test]
fn a_redirect_names_the_parts_that_change() {
    let redirect = proto::RedirectAction {
        host_redirect: "b.test".to_owned(),
        port_redirect: 8443,
        response_code: 4,
        strip_query: true,
        scheme_rewrite_specifier: Some(SchemeRewriteSpecifier::HttpsRedirect(true)),
        path_rewrite_specifier: Some(PathRewriteSpecifier::PathRedirect("/b?c".into())),
    };
    let Action::Redirect(found) = one(route(proto::route::Action::Redirect(redirect))).action else {
        panic!("no redirect")
    };
    assert_eq!(
        (found.scheme.as_deref(), found.host.as_deref()),
        (Some("https"), Some("b.test"))
    );
    assert_eq!(
        (found.port, found.status.as_u16(), found.strip_query),
        (Some(8443), 308, true)
    );
    assert_eq!(found.path, RedirectPath::Exact("/b?c".to_owned()));
    let bad = proto::RedirectAction {
        host_redirect: "b.test/c".to_owned(),
        port_redirect: 65_536,
        response_code: 9,
        ..proto::RedirectAction::default()
    };
    assert_refused(
        route(proto::route::Action::Redirect(bad)),
        &[
            "redirect.port_redirect: must be from 0 to 65535, found 65536",
            "redirect.host_redirect: \"b.test/c\" holds what cannot stand there",
            "redirect.response_code: 9 is not known",
        ],
    );
}

fn responding(status: u32, body: Option<Specifier>) -> proto::Route {
    route(proto::route::Action::DirectResponse(proto::DirectResponseAction {
        status,
        body: body.map(|specifier| core::DataSource {
            specifier: Some(specifier),
            ..core::DataSource::default()
        }),
        body_format: None,
    }))
}

#[test]
fn a_direct_response_has_a_body_of_bounded_size() {
    let Action::Respond(found) = one(responding(503, Some(Specifier::InlineString("no".into())))).action else {
        panic!("no response")
    };
    assert_eq!((found.status.as_u16(), &*found.body), (503, &b"no"[..]));
    let large = |bytes| Some(Specifier::InlineBytes(vec![b'a'; bytes]));
    one(responding(200, large(4096)));
    let path = "direct_response";
    assert_refused(
        responding(200, large(4097)),
        &[&format!("{path}.body: has 4097 bytes, more than 4096")],
    );
    let mut more = configuration(vec![host(vec![responding(200, large(5000))])]);
    more.max_direct_response_body_size_bytes = Some(UInt32Value { value: 5000 });
    decoded(&more);
    assert_refused(
        responding(199, None),
        &[&format!("{path}.status: must be from 200 to 599, found 199")],
    );
    assert_refused(
        responding(204, large(1)),
        &[&format!("{path}.body: an answer of 204 has none")],
    );
    let file = Some(Specifier::Filename("/etc/passwd".into()));
    assert_refused(
        responding(200, file),
        &[&format!("{path}.body: must be inline_string or inline_bytes")],
    );
}

#[test]
fn a_route_that_forwards_nothing_is_one() {
    let nowhere = proto::route::Action::NonForwardingAction(proto::NonForwardingAction {});
    assert_eq!(one(route(nowhere)).action, Action::Nowhere);
    let mut without = route(proto::route::Action::Route(to_cluster("web")));
    without.action = None;
    assert_refused(without, &["route: is missing, and so are the other actions"]);
}
