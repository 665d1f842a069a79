//! The rules of HTTPRoute.

use super::filter::{self, Filters};
use super::reference;
use crate::kubernetes::key::Key;
use crate::kubernetes::objects::place::{Place, duration};
use crate::kubernetes::objects::route::Reference;
use evenkeel_control_api::mesh::model::{
    HeaderTest, HttpAction, HttpForward, HttpMatch, HttpRule, HttpTimeouts, PathReplacement, PathTest, QueryTest,
    TextTest,
};
use std::time::Duration;

/// The words of `method`.
const METHODS: [(&str, &str); 9] = [
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("DELETE", "DELETE"),
    ("CONNECT", "CONNECT"),
    ("OPTIONS", "OPTIONS"),
    ("TRACE", "TRACE"),
    ("PATCH", "PATCH"),
];

/// How a text is compared.
#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Exact,
    Prefix,
    Regex,
}

/// One rule, and the backends that it names.
pub(super) fn rule(place: &Place<'_>, route: &Key) -> Option<(HttpRule, Vec<Reference>)> {
    let fields = place.fields(&["name", "matches", "filters", "backendRefs", "timeouts"])?;
    let matches: Vec<_> = fields.items("matches").iter().filter_map(condition).collect();
    let references: Vec<_> = fields
        .items("backendRefs")
        .iter()
        .filter_map(|place| backend(place, route))
        .collect();
    let filters = filter::filters(&fields.items("filters"), &filter::OF_A_RULE);
    let timeouts = fields.optional("timeouts").map(|place| timeouts(&place));
    let Filters {
        request_headers,
        response_headers,
        redirect,
        host,
        path,
    } = filters;
    let replaces = [
        redirect.as_ref().and_then(|redirect| redirect.path.as_ref()),
        path.as_ref(),
    ];
    let is_prefix = |found: &HttpMatch| matches!(found.path, PathTest::Prefix(_));
    if replaces
        .iter()
        .flatten()
        .any(|path| matches!(path, PathReplacement::Prefix(_)))
        && !matches.iter().all(is_prefix)
    {
        place.refuse("replaces a prefix, but not all matches are of prefixes");
    }
    if redirect.is_some() && (!references.is_empty() || host.is_some() || path.is_some()) {
        place.refuse("a redirect cannot be there with backends or a rewrite");
    }
    let action = match redirect {
        Some(redirect) => HttpAction::Redirect(redirect),
        None => HttpAction::Forward(HttpForward {
            backends: Vec::new(),
            host,
            path,
            timeouts: timeouts.unwrap_or_default(),
        }),
    };
    let rule = HttpRule {
        matches,
        request_headers,
        response_headers,
        ..HttpRule::new(action)
    };
    Some((rule, references))
}

/// A backend of HTTPRoute or GRPCRoute: it may change header fields.
pub(super) fn backend(place: &Place<'_>, route: &Key) -> Option<Reference> {
    let fields = place.fields(&[reference::FIELDS.as_slice(), &["filters"]].concat())?;
    let filters = filter::filters(&fields.items("filters"), &filter::OF_FIELDS);
    Some(Reference {
        request_headers: filters.request_headers,
        response_headers: filters.response_headers,
        ..reference::reference(place, &fields, route)?
    })
}

fn condition(place: &Place<'_>) -> Option<HttpMatch> {
    let fields = place.fields(&["path", "method", "headers", "queryParams"])?;
    let method = fields.optional("method").and_then(|place| place.word(&METHODS));
    let query = fields.items("queryParams");
    let query = query.iter().filter_map(|place| named(place));
    Some(HttpMatch {
        path: fields
            .optional("path")
            .and_then(|place| path(&place))
            .unwrap_or_default(),
        method: method.map(str::to_owned),
        headers: headers(&fields.items("headers")),
        query: query.map(|(name, value)| QueryTest { name, value }).collect(),
    })
}

fn path(place: &Place<'_>) -> Option<PathTest> {
    let words = [
        ("Exact", Comparison::Exact),
        ("PathPrefix", Comparison::Prefix),
        ("RegularExpression", Comparison::Regex),
    ];
    let fields = place.fields(&["type", "value"])?;
    let comparison = match fields.optional("type") {
        Some(place) => place.word(&words)?,
        None => Comparison::Prefix,
    };
    let value = match fields.optional("value") {
        Some(place) => place.text()?,
        None => "/",
    };
    if comparison != Comparison::Regex && !value.starts_with('/') {
        place.refuse(format_args!("{value:?} does not begin with \"/\""));
    }
    let value = value.to_owned();
    Some(match comparison {
        Comparison::Exact => PathTest::Exact(value),
        Comparison::Prefix => PathTest::Prefix(value),
        Comparison::Regex => PathTest::Regex(value),
    })
}

/// The tests of fields. Of two for one name the first counts, as the Gateway API says.
pub(super) fn headers(places: &[Place<'_>]) -> Vec<HeaderTest> {
    let mut tests: Vec<HeaderTest> = Vec::new();
    for (name, value) in places.iter().filter_map(named) {
        if !tests.iter().any(|test| test.name.eq_ignore_ascii_case(&name)) {
            tests.push(HeaderTest { name, value });
        }
    }
    tests
}

fn named(place: &Place<'_>) -> Option<(String, TextTest)> {
    let fields = place.fields(&["type", "name", "value"])?;
    let name = fields.required("name")?.text()?.to_owned();
    let value = fields.required("value")?.text()?;
    let kind = fields.optional("type");
    Some((name, text_test(kind.as_ref(), value)?))
}

/// A test of text; without a type it is an exact one.
pub(super) fn text_test(kind: Option<&Place<'_>>, value: &str) -> Option<TextTest> {
    let exact: fn(String) -> TextTest = TextTest::Exact;
    let words = [("Exact", exact), ("RegularExpression", TextTest::Regex)];
    let test = match kind {
        Some(place) => place.word(&words)?,
        None => exact,
    };
    Some(test(value.to_owned()))
}

fn timeouts(place: &Place<'_>) -> HttpTimeouts {
    let Some(fields) = place.fields(&["request", "backendRequest"]) else {
        return HttpTimeouts::default();
    };
    // Nothing is how the Gateway API says that there is no limit.
    let limit = |key| time(&fields.optional(key)?).filter(|time| !time.is_zero());
    let timeouts = HttpTimeouts {
        request: limit("request"),
        backend_request: limit("backendRequest"),
    };
    if let (Some(request), Some(backend)) = (timeouts.request, timeouts.backend_request)
        && backend > request
    {
        place.refuse("backendRequest is longer than request");
    }
    timeouts
}

fn time(place: &Place<'_>) -> Option<Duration> {
    let duration = duration(place.text()?);
    duration.map_err(|reason| place.refuse(reason)).ok()
}
