//! Route configurations, one by one as RDS brings them: what is used, what is noted, what is refused and where.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::route::v3 as proto;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::Header;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::PolicySpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use envoy_types::pb::google::protobuf::UInt32Value;
use envoy_types::util::pack_any;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::resource::Resource;
use evenkeel_control_api::resource::RouteConfiguration;
use evenkeel_control_api::resource::route::Action;
use evenkeel_control_api::resource::route::AppendAction;
use evenkeel_control_api::resource::route::ClusterName;
use evenkeel_control_api::resource::route::Destination;
use evenkeel_control_api::resource::route::Domain;
use evenkeel_control_api::resource::route::FieldName;
use evenkeel_control_api::resource::route::Forward;
use evenkeel_control_api::resource::route::Fraction;
use evenkeel_control_api::resource::route::GrpcTimeout;
use evenkeel_control_api::resource::route::HeaderMutations;
use evenkeel_control_api::resource::route::HostRewrite;
use evenkeel_control_api::resource::route::LastWord;
use evenkeel_control_api::resource::route::PathMatch;
use evenkeel_control_api::resource::route::PathRewrite;
use evenkeel_control_api::resource::route::Ports;
use evenkeel_control_api::resource::route::RedirectPath;
use evenkeel_control_api::resource::route::Route;
use evenkeel_control_api::resource::route::Timeouts;
use evenkeel_control_api::resource::route::ValueTest;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Packed;
use prost::Message;
use prost::Name;
use proto::header_matcher::HeaderMatchSpecifier;
use proto::query_parameter_matcher::QueryParameterMatchSpecifier;
use proto::redirect_action::PathRewriteSpecifier;
use proto::redirect_action::SchemeRewriteSpecifier;
use proto::route_action::ClusterSpecifier;
use proto::route_action::HostRewriteSpecifier;
use proto::route_match::PathSpecifier;
use proto::weighted_cluster::ClusterWeight;
use std::time::Duration;

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
fn domains_are_names_or_begin_or_end_with_an_asterisk() {
    let mut message = host(Vec::new());
    message.domains = ["*", "Web.Test:80", "*.test", "*-x.test", "web.*"]
        .map(str::to_owned)
        .to_vec();
    let found = decoded(&configuration(vec![message])).virtual_hosts.remove(0).domains;
    assert_eq!(
        found,
        [
            Domain::Any,
            Domain::Exact("web.test:80".to_owned()),
            Domain::Suffix(".test".to_owned()),
            Domain::Suffix("-x.test".to_owned()),
            Domain::Prefix("web.".to_owned()),
        ]
    );
}

#[test]
fn a_domain_that_could_mean_two_things_is_refused() {
    let with = |domains: &[&str]| {
        let mut message = host(Vec::new());
        message.domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        message
    };
    for (domains, fault) in [
        (&["a", "A"][..], "virtual_hosts: the domain \"a\" is there twice"),
        (&["*", "*"], "virtual_hosts: the domain \"*\" is there twice"),
        (&["*.a", "*.a"], "virtual_hosts: the domain \"*.a\" is there twice"),
        (&[""], "virtual_hosts[0].domains[0]: is empty"),
        (
            &["a*b"],
            "virtual_hosts[0].domains[0]: \"a*b\": there can be one *, at the beginning or at the end",
        ),
        (
            &["*a*"],
            "virtual_hosts[0].domains[0]: \"*a*\": there can be one *, at the beginning or at the end",
        ),
        (
            &["**"],
            "virtual_hosts[0].domains[0]: \"**\": there can be one *, at the beginning or at the end",
        ),
        (&[], "virtual_hosts[0].domains: is empty"),
    ] {
        let faults = decode(&configuration(vec![with(domains)])).expect_err("a fault");
        assert_eq!(faults, [fault], "{domains:?}");
    }
    let shared = configuration(vec![with(&["a"]), with(&["b", "a"])]);
    assert_eq!(
        decode(&shared).expect_err("a fault"),
        ["virtual_hosts: the domain \"a\" is there twice"]
    );
}

#[test]
fn a_path_is_matched_in_five_ways() {
    for (specifier, expected) in [
        (PathSpecifier::Prefix("/a".into()), PathMatch::Prefix("/a".to_owned())),
        (PathSpecifier::Prefix(String::new()), PathMatch::Prefix(String::new())),
        (PathSpecifier::Path("/a".into()), PathMatch::Exact("/a".to_owned())),
        (
            PathSpecifier::PathSeparatedPrefix("/a".into()),
            PathMatch::Segments("/a".to_owned()),
        ),
        (
            PathSpecifier::ConnectMatcher(proto::route_match::ConnectMatcher {}),
            PathMatch::Connect,
        ),
    ] {
        let found = one(matching(|matches| {
            matches.path_specifier = Some(specifier);
            matches.case_sensitive = Some(BoolValue { value: false });
        }));
        assert_eq!(found.matches.path, expected);
        assert!(found.matches.ignore_case);
    }
    let found = one(matching(|matches| {
        matches.path_specifier = Some(PathSpecifier::SafeRegex(regex("/a|/b")));
    }));
    assert!(matches!(found.matches.path, PathMatch::Regex(pattern) if pattern.as_str() == "/a|/b"));
}

#[test]
fn a_path_that_no_request_can_have_is_refused() {
    for (specifier, fault) in [
        (
            PathSpecifier::Prefix("a".into()),
            "match.prefix: \"a\" does not begin with \"/\"",
        ),
        (
            PathSpecifier::Path("/a?b".into()),
            "match.path: \"/a?b\" holds a query or a fragment, and no path does",
        ),
        (
            PathSpecifier::PathSeparatedPrefix("/a/".into()),
            "match.path_separated_prefix: \"/a/\" ends with \"/\"",
        ),
        (
            PathSpecifier::SafeRegex(regex("/a(b")),
            "match.safe_regex.regex: \"/a(b\": unclosed group, at character 3",
        ),
    ] {
        assert_refused(matching(|matches| matches.path_specifier = Some(specifier)), &[fault]);
    }
    assert_refused(
        matching(|matches| matches.path_specifier = None),
        &["match: says nothing of the path"],
    );
}

#[test]
#[expect(deprecated, reason = "what is deprecated means what it meant")]
fn headers_and_parameters_are_tested_in_every_form_that_there_is() {
    let text = |ignore_case, pattern| StringMatcher {
        ignore_case,
        match_pattern: Some(pattern),
    };
    let specifiers = [
        None,
        Some(HeaderMatchSpecifier::PresentMatch(false)),
        Some(HeaderMatchSpecifier::StringMatch(text(
            true,
            MatchPattern::Contains("a".into()),
        ))),
        Some(HeaderMatchSpecifier::ExactMatch("a".into())),
        Some(HeaderMatchSpecifier::PrefixMatch("a".into())),
        Some(HeaderMatchSpecifier::SuffixMatch("a".into())),
        Some(HeaderMatchSpecifier::ContainsMatch("a".into())),
        Some(HeaderMatchSpecifier::SafeRegexMatch(regex("a"))),
    ];
    let found = one(matching(|matches| {
        matches.headers = specifiers
            .into_iter()
            .map(|header_match_specifier| proto::HeaderMatcher {
                name: "X-A".to_owned(),
                header_match_specifier,
                ..proto::HeaderMatcher::default()
            })
            .collect();
        matches.query_parameters = [None, Some(text(false, MatchPattern::Exact("b".into())))]
            .map(|text| proto::QueryParameterMatcher {
                name: "a".to_owned(),
                query_parameter_match_specifier: text.map(QueryParameterMatchSpecifier::StringMatch),
            })
            .to_vec();
        matches.grpc = Some(proto::route_match::GrpcRouteMatchOptions {});
    }));
    let tests: Vec<_> = found.matches.headers.iter().map(|header| &header.test).collect();
    assert_eq!(tests[..2], [&ValueTest::Present(true), &ValueTest::Present(false)]);
    assert!(
        tests[2..]
            .iter()
            .all(|test| matches!(test, ValueTest::Text(text) if text.matches(b"a")))
    );
    assert!(found.matches.query[0].test.is_none() && found.matches.query[1].test.is_some());
    assert!(found.matches.grpc);
}

#[test]
fn a_test_that_says_nothing_or_names_no_field_is_refused() {
    let header = |name: &str, test| proto::HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: test,
        ..proto::HeaderMatcher::default()
    };
    let empty = HeaderMatchSpecifier::StringMatch(StringMatcher {
        ignore_case: false,
        match_pattern: Some(MatchPattern::Prefix(String::new())),
    });
    let none = HeaderMatchSpecifier::StringMatch(StringMatcher::default());
    assert_refused(
        matching(|matches| {
            matches.headers = vec![
                header(":status", None),
                header("a", Some(empty)),
                header("a", Some(none)),
            ];
            matches.query_parameters = vec![proto::QueryParameterMatcher {
                name: "a".to_owned(),
                query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::PresentMatch(false)),
            }];
            matches.cookies = vec![proto::CookieMatcher::default()];
        }),
        &[
            "match.cookies: is not supported",
            "match.headers[0].name: \":status\" is not the name of a field",
            "match.headers[1].string_match.prefix: is empty",
            "match.headers[2].string_match: says nothing of what to match",
            "match.query_parameters[0].present_match: cannot be false",
        ],
    );
}

#[test]
fn a_fraction_is_its_default_and_all_is_no_fraction() {
    let fraction = |numerator, denominator| {
        let message = configuration(vec![host(vec![matching(|matches| {
            matches.runtime_fraction = Some(RuntimeFractionalPercent {
                default_value: Some(FractionalPercent { numerator, denominator }),
                runtime_key: "key".to_owned(),
            });
        })])]);
        let (found, notes) = decode(&message).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!(notes, [format!("{ROUTE}.match.runtime_fraction.runtime_key")]);
        found.virtual_hosts[0].routes[0].matches.fraction
    };
    let of = |numerator, denominator| Some(Fraction { numerator, denominator });
    assert_eq!(fraction(25, 0), of(25, 100));
    assert_eq!(fraction(0, 1), of(0, 10_000));
    assert_eq!(fraction(5, 2), of(5, 1_000_000));
    assert_eq!(fraction(100, 0), None);
}

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

#[test]
#[expect(deprecated, reason = "what is deprecated means what it meant")]
fn fields_are_added_as_they_are_asked_for() {
    let action = |action: HeaderAppendAction| HeaderValueOption {
        append_action: action as i32,
        ..addition("X-A", "b")
    };
    let append = |value| HeaderValueOption {
        append: Some(BoolValue { value }),
        ..addition("X-A", "b")
    };
    let kept = HeaderValueOption {
        keep_empty_value: true,
        ..addition("x-a", "")
    };
    let mut message = configuration(Vec::new());
    message.most_specific_header_mutations_wins = true;
    message.ignore_port_in_host_matching = true;
    message.request_headers_to_remove = vec!["X-B".to_owned()];
    message.request_headers_to_add = vec![
        addition("X-A", "100%%"),
        action(HeaderAppendAction::AddIfAbsent),
        action(HeaderAppendAction::OverwriteIfExistsOrAdd),
        action(HeaderAppendAction::OverwriteIfExists),
        append(true),
        append(false),
        addition("x-a", ""),
        kept,
    ];
    let found = decoded(&message);
    let HeaderMutations { remove, add } = &found.mutations.request;
    assert_eq!(remove.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-b"]);
    let actions: Vec<_> = add.iter().map(|addition| addition.action).collect();
    assert_eq!(
        actions,
        [
            AppendAction::Append,
            AppendAction::AddIfAbsent,
            AppendAction::Overwrite,
            AppendAction::OverwriteIfPresent,
            AppendAction::Append,
            AppendAction::Overwrite,
            AppendAction::Append,
        ]
    );
    assert!(add.iter().all(|addition| addition.name == "x-a"));
    assert_eq!(
        (&add[0].value, add[6].value.as_bytes()),
        (&"100%".parse().expect("a value"), &b""[..])
    );
    assert_eq!((found.last_word, found.ports), (LastWord::MostSpecific, Ports::Ignored));
}

#[test]
fn fields_that_frame_a_message_and_values_that_are_computed_are_refused() {
    let mut message = configuration(Vec::new());
    message.response_headers_to_remove = vec!["Content-Length".to_owned(), ":status".to_owned()];
    message.request_headers_to_add = vec![
        addition("Host", "a"),
        addition("x-a", "%DOWNSTREAM_REMOTE_ADDRESS%"),
        addition("x-a", "%REQ(:path)%"),
        addition("x-a", "50%"),
        addition("x-a", "a\nb"),
    ];
    assert_eq!(
        decode(&message).expect_err("faults"),
        [
            "request_headers_to_add[0].header.key: \"Host\" cannot be changed",
            "request_headers_to_add[1].header.value: the operator %DOWNSTREAM_REMOTE_ADDRESS% is not supported",
            "request_headers_to_add[2].header.value: the operator %REQ% is not supported",
            "request_headers_to_add[3].header.value: a percent sign is written %%",
            "request_headers_to_add[4].header.value: holds a control byte",
            "response_headers_to_remove[0]: \"Content-Length\" cannot be changed",
            "response_headers_to_remove[1]: \":status\" is not the name of a field that can be changed",
        ]
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
