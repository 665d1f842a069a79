//! What routes say, as it is kept.

use super::*;
use evenkeel_control_api::mesh::model::{
    Field, GrpcMethod, HeaderTest, HttpAction, HttpMatch, HttpRedirect, HttpTimeouts, PathReplacement, PathTest,
    QueryTest, RedirectStatus, TextTest,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::time::Duration;

fn read(kind: Kind, spec: &str) -> Route {
    let metadata = ObjectMeta {
        name: Some("r".to_owned()),
        namespace: Some("shop".to_owned()),
        ..ObjectMeta::default()
    };
    let spec: Value = serde_saphyr::from_str(spec).unwrap_or_else(|error| panic!("{error}: {spec}"));
    read::route(kind, &metadata, &spec)
}

/// The only rule, of which nothing may be wrong.
fn rule(kind: Kind, rule: &str) -> (HttpRule, Vec<Reference>) {
    let route = read(kind, &format!("rules: [{rule}]"));
    assert_eq!((&route.faults[..], &route.dropped[..]), (&[][..], &[][..]), "{rule}");
    match route.rules {
        Rules::Http(mut rules) if rules.len() == 1 => rules.remove(0),
        other => panic!("{other:?}"),
    }
}

fn http_match(matches: &str) -> HttpMatch {
    rule(Kind::HttpRoute, &format!("{{matches: [{matches}]}}"))
        .0
        .matches
        .remove(0)
}

fn text(text: &str) -> TextTest {
    TextTest::Exact(text.to_owned())
}

#[test]
fn the_matches_of_an_http_route_are_read() {
    for (matches, path) in [
        ("{}", PathTest::Prefix("/".into())),
        ("{path: {value: /a}}", PathTest::Prefix("/a".into())),
        ("{path: {type: PathPrefix}}", PathTest::Prefix("/".into())),
        ("{path: {type: Exact, value: /a}}", PathTest::Exact("/a".into())),
        (
            "{path: {type: RegularExpression, value: '/a.*'}}",
            PathTest::Regex("/a.*".into()),
        ),
    ] {
        assert_eq!(http_match(matches).path, path, "{matches}");
    }
    let found = http_match(
        "{method: POST, headers: [{name: X-A, value: '1'}, {name: x-a, value: '2'}, {name: b, type: RegularExpression, value: c+}], queryParams: [{name: q, value: v}]}",
    );
    let header = |name: &str, value| HeaderTest {
        name: name.to_owned(),
        value,
    };
    assert_eq!(found.method.as_deref(), Some("POST"));
    // Of two for one name the first counts.
    assert_eq!(
        found.headers,
        [header("X-A", text("1")), header("b", TextTest::Regex("c+".into()))]
    );
    assert_eq!(
        found.query,
        [QueryTest {
            name: "q".into(),
            value: text("v")
        }]
    );
}

#[test]
fn the_filters_of_an_http_route_are_read() {
    let (rule, _) = rule(
        Kind::HttpRoute,
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '1'}], add: [{name: b, value: '2'}], remove: [c]}}, {type: ResponseHeaderModifier, responseHeaderModifier: {remove: [d]}}, {type: URLRewrite, urlRewrite: {hostname: a.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}], timeouts: {request: 1m30s, backendRequest: 0s}}",
    );
    let field = |name: &str, value: &str| Field {
        name: name.into(),
        value: value.into(),
    };
    let HeaderChanges { set, add, remove } = rule.request_headers;
    assert_eq!(
        (set, add, remove),
        (vec![field("a", "1")], vec![field("b", "2")], vec!["c".to_owned()])
    );
    assert_eq!(rule.response_headers.remove, ["d"]);
    let HttpAction::Forward(forward) = rule.action else {
        panic!()
    };
    assert_eq!(forward.host.as_deref(), Some("a.example"));
    assert_eq!(forward.path, Some(PathReplacement::Prefix("/x".into())));
    let timeouts = HttpTimeouts {
        request: Some(Duration::from_secs(90)),
        backend_request: None,
    };
    assert_eq!(forward.timeouts, timeouts, "nothing is no limit");
}

#[test]
fn a_redirect_is_read() {
    let (rule, _) = rule(
        Kind::HttpRoute,
        "{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: a.example, port: 8443, statusCode: 308, path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}",
    );
    let redirect = HttpRedirect {
        scheme: Some("https".into()),
        host: Some("a.example".into()),
        port: 8443.try_into().ok(),
        path: Some(PathReplacement::Full("/x".into())),
        status: RedirectStatus::Permanent,
    };
    assert_eq!(rule.action, HttpAction::Redirect(redirect));
}

#[test]
fn a_grpc_route_is_about_methods() {
    let matched = |rule_text: &str| rule(Kind::GrpcRoute, rule_text).0.matches;
    let any = GrpcMethod::default();
    for (matches, method) in [
        ("{}", any.clone()),
        ("{matches: [{}]}", any),
        (
            "{matches: [{method: {service: shop.Orders, method: Get}}]}",
            GrpcMethod {
                service: Some(text("shop.Orders")),
                method: Some(text("Get")),
            },
        ),
        (
            "{matches: [{method: {type: RegularExpression, service: 'shop[.].*'}}]}",
            GrpcMethod {
                service: Some(TextTest::Regex("shop[.].*".into())),
                method: None,
            },
        ),
    ] {
        assert_eq!(matched(matches)[0].path, PathTest::Grpc(method), "{matches}");
    }
}

#[test]
fn backends_have_weights_and_changes_of_their_own() {
    let (_, references) = rule(
        Kind::HttpRoute,
        "{backendRefs: [{name: a, port: 80}, {name: b, namespace: other, port: 81, weight: 0, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}]}]}",
    );
    let places: Vec<_> = references
        .iter()
        .map(|it| (it.key.to_string(), it.port, it.weight))
        .collect();
    assert_eq!(
        places,
        [("shop/a".to_owned(), Some(80), 1), ("other/b".to_owned(), Some(81), 0)]
    );
    assert_eq!(references[1].request_headers.remove, ["x"]);
}

#[test]
fn routes_of_connections_have_one_rule() {
    let spec = "rules: [{backendRefs: [{name: a, port: 80, weight: 3}]}]";
    let Rules::Tcp(references) = read(Kind::TcpRoute, spec).rules else {
        panic!()
    };
    assert_eq!(references[0].weight, 3);
    let tls = read(
        Kind::TlsRoute,
        &format!("hostnames: [a.example, '*.b.example']\n{spec}"),
    );
    let Rules::Tls(hostnames, references) = tls.rules else {
        panic!()
    };
    assert_eq!((hostnames.len(), references.len()), (2, 1));
    let two = read(Kind::TcpRoute, "rules: [{}, {}]");
    assert_eq!(
        two.faults,
        ["spec.rules[1]: is not supported: a second rule would never be reached"]
    );
    let hostnames = read(Kind::TcpRoute, "hostnames: [a]");
    assert_eq!(hostnames.faults, ["spec.hostnames: is not supported"]);
}

#[test]
fn what_cannot_be_done_is_refused_with_its_place() {
    let http = |rule: &str| read(Kind::HttpRoute, &format!("rules: [{rule}]")).dropped;
    for (rule, fault) in [
        ("{retry: {attempts: 2}}", "retry: is not supported"),
        ("{sessionPersistence: {}}", "sessionPersistence: is not supported"),
        (
            "{filters: [{type: RequestMirror, requestMirror: {}}]}",
            "filters[0].type: RequestMirror is not supported",
        ),
        (
            "{filters: [{type: CORS, cors: {}}]}",
            "filters[0].type: CORS is not supported",
        ),
        (
            "{filters: [{type: ExtensionRef, extensionRef: {}}]}",
            "filters[0].type: ExtensionRef is not supported",
        ),
        (
            "{filters: [{type: ExternalAuth, externalAuth: {}}]}",
            "filters[0].type: ExternalAuth is not supported",
        ),
        ("{filters: [{}]}", "filters[0]: type is missing"),
        ("{filters: [{type: URLRewrite}]}", "filters[0].urlRewrite: is missing"),
        (
            "{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceRegex}}}]}",
            "filters[0].urlRewrite.path.type: ReplaceRegex is not supported",
        ),
        (
            "{filters: [{type: URLRewrite, urlRewrite: {}}, {type: URLRewrite, urlRewrite: {}}]}",
            "filters[1]: is a second one of its type, which is not supported",
        ),
        (
            "{backendRefs: [{name: a, port: 80, filters: [{type: URLRewrite, urlRewrite: {}}]}]}",
            "backendRefs[0].filters[0].type: URLRewrite is not supported",
        ),
        ("{backendRefs: [{port: 80}]}", "backendRefs[0].name: is missing"),
        (
            "{backendRefs: [{name: a, port: 70000}]}",
            "backendRefs[0].port: 70000 is not in the range",
        ),
        (
            "{backendRefs: [{name: a, weight: -1}]}",
            "backendRefs[0].weight: -1 is not in the range",
        ),
        ("{backendRefs: {}}", "backendRefs: is no list"),
        (
            "{matches: [{path: {value: a}}]}",
            "matches[0].path: \"a\" does not begin with \"/\"",
        ),
        (
            "{matches: [{path: {type: Glob, value: /a}}]}",
            "matches[0].path.type: Glob is not supported",
        ),
        (
            "{matches: [{method: BREW}]}",
            "matches[0].method: BREW is not supported",
        ),
        ("{matches: [{body: {}}]}", "matches[0].body: is not supported"),
        (
            "{matches: [{headers: [{name: a}]}]}",
            "matches[0].headers[0].value: is missing",
        ),
        (
            "{timeouts: {request: 1.5s}}",
            "timeouts.request: Invalid duration format",
        ),
        (
            "{timeouts: {request: 1s, backendRequest: 2s}}",
            "timeouts: backendRequest is longer than request",
        ),
        (
            "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: 'a b', value: c}]}}]}",
            "filters[0].requestHeaderModifier.set[0]: \"a b\" is not the name of a field",
        ),
        (
            "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: \"b\\nc\"}]}}]}",
            "filters[0].requestHeaderModifier.set[0]: the value has characters that a field cannot have",
        ),
    ] {
        let dropped = http(rule);
        let start = format!("spec.rules[0].{fault}");
        assert!(
            dropped.len() == 1 && dropped[0].starts_with(&start),
            "{rule}: {dropped:?}"
        );
    }
    for rule in [
        "{filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: [{name: a, port: 80}]}",
        "{matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]}",
        "{matches: [{path: {type: RegularExpression, value: '/a('}}]}",
        "7",
    ] {
        assert_eq!(http(rule).len(), 1, "{rule}");
    }
}

#[test]
fn what_is_wrong_outside_of_the_rules_is_wrong_with_the_route() {
    for (spec, fault) in [
        ("hostnames: ['a b']", "spec.hostnames[0]: is not the name of a host"),
        ("hostnames: [7]", "spec.hostnames[0]: is no text"),
        ("scope: cluster", "spec.scope: is not supported"),
        (
            "parentRefs: [{group: '', kind: Service}]",
            "spec.parentRefs[0].name: is missing",
        ),
        ("[]", "spec: is no object"),
    ] {
        assert_eq!(read(Kind::HttpRoute, spec).faults, [fault]);
    }
    assert_eq!(
        read(Kind::HttpRoute, "useDefaultGateways: All").faults,
        Vec::<String>::new(),
        "a matter of Gateways"
    );
}
