//! Paths: what they must be, and what they become.

use crate::mesh::model::GrpcMethod;
use crate::mesh::model::PathReplacement;
use crate::mesh::model::PathTest;
use crate::mesh::model::TextTest;
use crate::mesh::translate::value;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;

/// A name between two slashes.
const ANY_NAME: &str = "[^/]+";

/// What a path becomes.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    /// This.
    Full(String),
    /// This in the place of what the route matches.
    Matched(String),
    /// Every match replaced.
    Regex(RegexMatchAndSubstitute),
}

/// What a path must be.
pub(super) fn specifier(test: &PathTest) -> PathSpecifier {
    match test {
        PathTest::Exact(path) => PathSpecifier::Path(path.clone()),
        PathTest::Prefix(prefix) => match prefix.trim_end_matches('/') {
            "" => PathSpecifier::Prefix("/".to_owned()),
            prefix => PathSpecifier::PathSeparatedPrefix(prefix.to_owned()),
        },
        PathTest::Regex(pattern) => PathSpecifier::SafeRegex(value::regex(pattern.clone())),
        PathTest::Grpc(GrpcMethod { service, method }) => grpc(service.as_ref(), method.as_ref()),
    }
}

fn grpc(service: Option<&TextTest>, method: Option<&TextTest>) -> PathSpecifier {
    match (service, method) {
        (None, None) => PathSpecifier::Prefix("/".to_owned()),
        (Some(TextTest::Exact(service)), None) => PathSpecifier::Prefix(format!("/{service}/")),
        (Some(TextTest::Exact(service)), Some(TextTest::Exact(method))) => {
            PathSpecifier::Path(format!("/{service}/{method}"))
        }
        _ => PathSpecifier::SafeRegex(value::regex(format!("/{}/{}", name(service), name(method)))),
    }
}

/// As an expression.
fn name(asked: Option<&TextTest>) -> String {
    match asked {
        None => ANY_NAME.to_owned(),
        Some(TextTest::Exact(text)) => regex::escape(text),
        Some(TextTest::Regex(pattern)) => format!("(?:{pattern})"),
    }
}

/// What becomes of a path that was matched so; `None`: nothing.
pub(super) fn change(replacement: &PathReplacement, matched: &PathTest) -> Option<Change> {
    let (with, prefix) = match (replacement, matched) {
        (PathReplacement::Prefix(path), PathTest::Prefix(prefix)) => (path, prefix.trim_end_matches('/')),
        (PathReplacement::Full(path) | PathReplacement::Prefix(path), _) => {
            let path = if path.is_empty() { "/" } else { path };
            return Some(Change::Full(path.to_owned()));
        }
    };
    match (prefix, with.trim_end_matches('/')) {
        ("", "") => None,
        // The slash that matches everything is the one behind what takes its place.
        ("", with) => Some(Change::Matched(format!("{with}/"))),
        // What follows begins with a slash, or there is nothing and the path is one.
        (prefix, "") => Some(Change::Regex(substitution(
            format!("^{}/?", regex::escape(prefix)),
            "/".to_owned(),
        ))),
        (_, with) => Some(Change::Matched(with.to_owned())),
    }
}

/// The whole path replaced, where the API has no other way to say so.
pub(super) fn whole(path: &str) -> RegexMatchAndSubstitute {
    substitution("^.*$".to_owned(), path.replace('\\', r"\\"))
}

fn substitution(pattern: String, substitution: String) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(value::regex(pattern)),
        substitution,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(prefix: &str, with: &str) -> Option<Change> {
        let with = PathReplacement::Prefix(with.to_owned());
        change(&with, &PathTest::Prefix(prefix.to_owned()))
    }

    #[test]
    fn a_prefix_is_replaced_by_segments() {
        let matched = |with: &str| Some(Change::Matched(with.to_owned()));
        assert_eq!(prefix("/foo", "/xyz"), matched("/xyz"));
        assert_eq!(prefix("/foo/", "/xyz/"), matched("/xyz"));
        assert_eq!(prefix("/", "/xyz"), matched("/xyz/"));
        assert_eq!(prefix("/", "/"), None);
        for nothing in ["", "/"] {
            let Some(Change::Regex(found)) = prefix("/a.b", nothing) else {
                panic!("{nothing:?}")
            };
            let pattern = found.pattern.unwrap().regex;
            assert_eq!((pattern.as_str(), found.substitution.as_str()), (r"^/a\.b/?", "/"));
        }
    }

    #[test]
    fn where_no_prefix_is_matched_all_is_replaced() {
        let all = PathReplacement::Prefix("/xyz".to_owned());
        let matched = PathTest::Exact("/foo".to_owned());
        assert_eq!(change(&all, &matched), Some(Change::Full("/xyz".to_owned())));
        assert_eq!(whole(r"/a\1").substitution, r"/a\\1");
    }

    #[test]
    fn a_method_of_grpc_is_a_path() {
        let exact = |text: &str| TextTest::Exact(text.to_owned());
        let regex_of = |specifier| match specifier {
            PathSpecifier::SafeRegex(matcher) => matcher.regex,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            grpc(Some(&exact("a.B")), Some(&exact("C"))),
            PathSpecifier::Path("/a.B/C".to_owned())
        );
        assert_eq!(
            grpc(Some(&exact("a.B")), None),
            PathSpecifier::Prefix("/a.B/".to_owned())
        );
        assert_eq!(grpc(None, None), PathSpecifier::Prefix("/".to_owned()));
        assert_eq!(regex_of(grpc(None, Some(&exact("C")))), "/[^/]+/C");
        let either = TextTest::Regex("C|D".to_owned());
        assert_eq!(regex_of(grpc(Some(&exact("a.B")), Some(&either))), r"/a\.B/(?:C|D)");
    }
}
