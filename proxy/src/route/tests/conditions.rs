//! Whether a request is what a route is for.

use super::{Request, everything, place, route, table};
use evenkeel_control_api::resource::matcher::{Pattern, StringMatch, TextTest};
use evenkeel_control_api::resource::route::{FieldName, HeaderMatch, PathMatch, QueryMatch, RouteMatch, ValueTest};
use http::HeaderName;

fn takes(matches: &RouteMatch, request: &Request) -> bool {
    place(&table(vec![route(matches.clone(), 1)]), request).is_some()
}

fn path(path: PathMatch) -> RouteMatch {
    RouteMatch { path, ..everything() }
}

fn exactly(text: &str) -> StringMatch {
    StringMatch {
        test: TextTest::Exact(text.to_owned()),
        ignore_case: false,
    }
}

fn header(name: &'static str, test: ValueTest) -> HeaderMatch {
    HeaderMatch {
        name: FieldName::Field(HeaderName::from_static(name)),
        test,
        invert: false,
        missing_is_empty: false,
    }
}

fn headers(header: HeaderMatch) -> RouteMatch {
    RouteMatch {
        headers: vec![header],
        ..everything()
    }
}

#[test]
fn paths_are_compared_without_the_query() {
    let (prefix, exact) = (PathMatch::Prefix("/api".into()), PathMatch::Exact("/api".into()));
    let segments = PathMatch::Segments("/api".into());
    let regex = PathMatch::Regex(Pattern::new("/a.i|/apis").unwrap());
    for (target, expected) in [
        ("/api", [true; 4]),
        ("/api?a=/b", [true; 4]),
        ("/api/", [true, false, true, false]),
        ("/api/v1", [true, false, true, false]),
        ("/apis", [true, false, false, true]),
        ("/API", [false; 4]),
        ("/ap", [false; 4]),
        ("/?/api", [false; 4]),
    ] {
        let request = Request::to(target);
        let found = [&prefix, &exact, &segments, &regex].map(|one| takes(&path(one.clone()), &request));
        assert_eq!(found, expected, "{target}");
    }
}

#[test]
fn case_is_ignored_where_that_is_asked_for_but_not_in_expressions() {
    let loosely = |one| RouteMatch {
        ignore_case: true,
        ..path(one)
    };
    let request = Request::to("/API/v1");
    assert!(takes(&loosely(PathMatch::Prefix("/api".into())), &request));
    assert!(takes(&loosely(PathMatch::Exact("/Api/V1".into())), &request));
    assert!(takes(&loosely(PathMatch::Segments("/api".into())), &request));
    assert!(!takes(
        &loosely(PathMatch::Regex(Pattern::new("/api/v1").unwrap())),
        &request
    ));
}

#[test]
fn connect_has_no_path() {
    let mut connect = Request::to("/");
    connect.method = "CONNECT";
    assert!(takes(&path(PathMatch::Connect), &connect));
    assert!(takes(&everything(), &connect), "what worked without a mesh");
    for other in [
        PathMatch::Exact("/".into()),
        PathMatch::Regex(Pattern::new(".*").unwrap()),
    ] {
        assert!(!takes(&path(other), &connect));
    }
    assert!(!takes(&path(PathMatch::Connect), &Request::to("/")));
}

#[test]
fn the_first_rule_that_matches_wins() {
    let rules = vec![
        route(path(PathMatch::Prefix("/api/".into())), 1),
        route(everything(), 2),
        route(path(PathMatch::Exact("/other".into())), 3),
    ];
    let table = table(rules);
    assert_eq!(place(&table, &Request::to("/api/v1")), Some(1));
    assert_eq!(place(&table, &Request::to("/apiary")), Some(2));
    assert_eq!(place(&table, &Request::to("/other")), Some(2));
    assert_eq!(place(&table, &Request::to("*")), Some(2));
}

#[test]
fn absence_can_be_asked_for_and_is_else_no_match_inverted_or_not() {
    let (there, absent) = (Request::to("/").with("x-a", "1"), Request::to("/"));
    let cases = [
        // (test, inverted, missing is empty) -> (there, absent)
        (ValueTest::Present(true), false, false, true, false),
        (ValueTest::Present(true), true, false, false, true),
        (ValueTest::Present(false), false, false, false, true),
        (ValueTest::Present(false), true, false, true, false),
        (ValueTest::Text(exactly("1")), false, false, true, false),
        (ValueTest::Text(exactly("1")), true, false, false, false),
        (ValueTest::Text(exactly("")), false, true, false, true),
        (ValueTest::Text(exactly("1")), true, true, false, true),
        (ValueTest::Range { from: 0, below: 10 }, true, true, false, true),
        (ValueTest::Range { from: 0, below: 10 }, true, false, false, false),
    ];
    for (test, invert, missing_is_empty, when_there, when_absent) in cases {
        let case = format!("{test:?} inverted {invert}, missing is empty {missing_is_empty}");
        let matches = headers(HeaderMatch {
            invert,
            missing_is_empty,
            ..header("x-a", test)
        });
        assert_eq!(takes(&matches, &there), when_there, "{case}");
        assert_eq!(takes(&matches, &absent), when_absent, "{case}");
    }
}

#[test]
fn a_range_is_of_whole_numbers_and_half_open() {
    let matches = headers(header("x-a", ValueTest::Range { from: -10, below: 0 }));
    for (value, expected) in [
        ("-1", true),
        ("-10", true),
        ("0", false),
        ("-11", false),
        ("somestring", false),
        ("10.9", false),
        ("-1somestring", false),
        ("", false),
    ] {
        assert_eq!(
            takes(&matches, &Request::to("/").with("x-a", value)),
            expected,
            "{value}"
        );
    }
}

#[test]
fn several_lines_of_a_name_are_one_value() {
    let request = Request::to("/").with("x-a", "1").with("x-a", "2");
    assert!(takes(
        &headers(header("x-a", ValueTest::Text(exactly("1,2")))),
        &request
    ));
    assert!(!takes(&headers(header("x-a", ValueTest::Text(exactly("1")))), &request));
}

#[test]
fn what_is_no_field_has_a_name_like_one() {
    let request = Request::to("/a?b=c");
    for (name, value) in [
        (FieldName::Method, "GET"),
        (FieldName::Path, "/a?b=c"),
        (FieldName::Authority, "web.test"),
        (FieldName::Scheme, "http"),
    ] {
        let matches = headers(HeaderMatch {
            name: name.clone(),
            ..header("x-a", ValueTest::Text(exactly(value)))
        });
        assert!(takes(&matches, &request), "{name:?}");
    }
}

#[test]
fn the_first_parameter_of_a_name_counts_and_their_order_does_not() {
    let parameter = |test: Option<&str>| RouteMatch {
        query: vec![QueryMatch {
            name: "a".to_owned(),
            test: test.map(exactly),
        }],
        ..everything()
    };
    for (target, present, one) in [
        ("/?a=1", true, true),
        ("/?b=2&a=1", true, true),
        ("/?a=1&a=2", true, true),
        ("/?a=2&a=1", true, false),
        ("/?a", true, false),
        ("/?a=", true, false),
        ("/?a=1=1", true, false),
        ("/?A=1", false, false),
        ("/?%61=1", false, false),
        ("/?aa=1", false, false),
        ("/?", false, false),
        ("/a=1", false, false),
    ] {
        let request = Request::to(target);
        assert_eq!(takes(&parameter(None), &request), present, "{target}");
        assert_eq!(takes(&parameter(Some("1")), &request), one, "{target}");
    }
}

#[test]
fn grpc_is_told_by_its_content_type() {
    let matches = RouteMatch {
        grpc: true,
        ..everything()
    };
    for (content_type, expected) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc-web", false),
        ("application/json", false),
    ] {
        let request = Request::to("/").with("content-type", content_type);
        assert_eq!(takes(&matches, &request), expected, "{content_type}");
    }
    assert!(!takes(&matches, &Request::to("/")));
}

#[test]
fn everything_that_is_asked_has_to_hold() {
    let matches = RouteMatch {
        headers: vec![
            header("x-a", ValueTest::Present(true)),
            header("x-b", ValueTest::Present(true)),
        ],
        query: vec![QueryMatch {
            name: "c".to_owned(),
            test: None,
        }],
        ..path(PathMatch::Prefix("/d".into()))
    };
    let both = |target| Request::to(target).with("x-a", "1").with("x-b", "1");
    assert!(takes(&matches, &both("/d?c")));
    assert!(!takes(&matches, &both("/d")));
    assert!(!takes(&matches, &both("/?c")));
    assert!(!takes(&matches, &Request::to("/d?c").with("x-a", "1")));
}
