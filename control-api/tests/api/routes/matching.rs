//! Which requests a route takes: paths, headers, parameters, fractions.

use super::ROUTE;
use super::assert_refused;
use super::configuration;
use super::decode;
use super::host;
use super::matching;
use super::one;
use super::regex;
use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::route::v3 as proto;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf::BoolValue;
use evenkeel_control_api::resource::route::Fraction;
use evenkeel_control_api::resource::route::PathMatch;
use evenkeel_control_api::resource::route::ValueTest;

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
