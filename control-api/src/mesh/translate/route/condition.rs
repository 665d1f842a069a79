//! `RouteMatch`.

use super::path;
use crate::mesh::model::HeaderTest;
use crate::mesh::model::HttpMatch;
use crate::mesh::model::QueryTest;
use crate::mesh::model::TextTest;
use crate::mesh::translate::value;
use envoy_types::pb::envoy::config::route::v3 as proto;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use proto::header_matcher::HeaderMatchSpecifier;
use proto::query_parameter_matcher::QueryParameterMatchSpecifier;

/// What a request must be.
pub(super) fn condition(one: &HttpMatch) -> proto::RouteMatch {
    let method = one.method.iter().map(|method| HeaderTest {
        name: ":method".to_owned(),
        value: TextTest::Exact(method.clone()),
    });
    let method: Vec<_> = method.collect();
    proto::RouteMatch {
        path_specifier: Some(path::specifier(&one.path)),
        headers: method.iter().chain(&one.headers).map(header).collect(),
        query_parameters: one.query.iter().map(query).collect(),
        ..proto::RouteMatch::default()
    }
}

fn header(test: &HeaderTest) -> proto::HeaderMatcher {
    proto::HeaderMatcher {
        name: test.name.clone(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(text(&test.value))),
        ..proto::HeaderMatcher::default()
    }
}

fn query(test: &QueryTest) -> proto::QueryParameterMatcher {
    proto::QueryParameterMatcher {
        name: test.name.clone(),
        query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(text(&test.value))),
    }
}

fn text(asked: &TextTest) -> StringMatcher {
    let pattern = match asked {
        TextTest::Exact(text) => MatchPattern::Exact(text.clone()),
        TextTest::Regex(pattern) => MatchPattern::SafeRegex(value::regex(pattern.clone())),
    };
    StringMatcher {
        match_pattern: Some(pattern),
        ..StringMatcher::default()
    }
}
