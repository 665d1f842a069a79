//! The rules of GRPCRoute.

use super::filter;
use super::http;
use crate::kubernetes::key::Key;
use crate::kubernetes::objects::place::Place;
use crate::kubernetes::objects::route::Reference;
use evenkeel_control_api::mesh::model::{GrpcMethod, HttpAction, HttpForward, HttpMatch, HttpRule, PathTest};

/// One rule, and the backends that it names.
pub(super) fn rule(place: &Place<'_>, route: &Key) -> Option<(HttpRule, Vec<Reference>)> {
    let fields = place.fields(&["name", "matches", "filters", "backendRefs"])?;
    let filters = filter::filters(&fields.items("filters"), &filter::OF_FIELDS);
    let backends = fields.items("backendRefs");
    let matches: Vec<_> = fields.items("matches").iter().filter_map(condition).collect();
    let rule = HttpRule {
        // A rule for everything is one for every call, and for nothing else.
        matches: if matches.is_empty() {
            vec![call(GrpcMethod::default())]
        } else {
            matches
        },
        request_headers: filters.request_headers,
        response_headers: filters.response_headers,
        ..HttpRule::new(HttpAction::Forward(HttpForward::default()))
    };
    let references = backends.iter().filter_map(|place| http::backend(place, route));
    Some((rule, references.collect()))
}

fn condition(place: &Place<'_>) -> Option<HttpMatch> {
    let fields = place.fields(&["method", "headers"])?;
    let method = fields.optional("method").and_then(|place| method(&place));
    Some(HttpMatch {
        headers: http::headers(&fields.items("headers")),
        ..call(method.unwrap_or_default())
    })
}

fn call(method: GrpcMethod) -> HttpMatch {
    HttpMatch {
        path: PathTest::Grpc(method),
        ..HttpMatch::default()
    }
}

fn method(place: &Place<'_>) -> Option<GrpcMethod> {
    let fields = place.fields(&["type", "service", "method"])?;
    let kind = fields.optional("type");
    let test = |key| http::text_test(kind.as_ref(), fields.optional(key)?.text()?);
    Some(GrpcMethod {
        service: test("service"),
        method: test("method"),
    })
}
