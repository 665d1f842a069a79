//! `matches:` of a rule for requests.

use crate::mesh::model::GrpcMethod;
use crate::mesh::model::HeaderTest;
use crate::mesh::model::HttpMatch;
use crate::mesh::model::PathTest;
use crate::mesh::model::QueryTest;
use crate::mesh::model::TextTest;
use crate::mesh::place::Fields;
use crate::mesh::place::Place;
use crate::resource::matcher::Pattern;
use http::HeaderName;
use http::Method;

/// What a request must be.
pub(super) fn one(place: &Place<'_>) -> HttpMatch {
    let fields = place.fields(&["path", "grpc", "method", "headers", "query"]);
    let path = fields.optional("path").map(|place| path(&place));
    let grpc = fields.optional("grpc").map(|grpc| {
        if path.is_some() {
            grpc.refuse("says what the path is, and path is there, too");
        }
        let fields = grpc.fields(&["service", "method"]);
        PathTest::Grpc(GrpcMethod {
            service: fields.optional("service").and_then(|place| grpc_name(&place)),
            method: fields.optional("method").and_then(|place| grpc_name(&place)),
        })
    });
    let method = fields.optional("method").and_then(|place| {
        let text = place.text()?;
        if Method::from_bytes(text.as_bytes()).is_err() {
            place.refuse(format!("{text:?} is no method"));
        }
        Some(text.to_owned())
    });
    let headers = fields.optional("headers");
    let query = fields.optional("query");
    HttpMatch {
        path: path.or(grpc).unwrap_or_default(),
        method,
        headers: headers
            .map(|place| place.items().filter_map(|place| header(&place)).collect())
            .unwrap_or_default(),
        query: query
            .map(|place| place.items().filter_map(|place| parameter(&place)).collect())
            .unwrap_or_default(),
    }
}

fn path(place: &Place<'_>) -> PathTest {
    let fields = place.fields(&["exact", "prefix", "regex"]);
    let kinds = ["exact", "prefix", "regex"].map(|kind| fields.optional(kind));
    if kinds.iter().flatten().count() != 1 {
        place.refuse("needs exactly one of exact, prefix, regex");
    }
    let [exact, prefix, regex] = kinds;
    let exact = exact.and_then(|place| absolute(&place)).map(PathTest::Exact);
    let prefix = prefix.and_then(|place| absolute(&place)).map(PathTest::Prefix);
    let regex = regex.and_then(|place| expression(&place)).map(PathTest::Regex);
    exact.or(prefix).or(regex).unwrap_or_default()
}

/// A path without a query.
pub(super) fn absolute(place: &Place<'_>) -> Option<String> {
    let path = place.text()?;
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic());
    if !path.starts_with('/') || !visible || path.contains(['?', '#']) {
        place.refuse(format!(
            "{path:?} is no path: it begins with \"/\" and holds neither blanks nor '?' nor '#'"
        ));
        return None;
    }
    Some(path.to_owned())
}

fn expression(place: &Place<'_>) -> Option<String> {
    let text = place.text()?;
    let wrong = if text.is_empty() {
        Some("is empty".to_owned())
    } else {
        Pattern::new(text).err()
    };
    if let Some(reason) = wrong {
        place.refuse(reason);
        return None;
    }
    Some(text.to_owned())
}

fn grpc_name(place: &Place<'_>) -> Option<TextTest> {
    let fields = place.fields(&["exact", "regex"]);
    let test = test(place, &fields)?;
    if let TextTest::Exact(name) = &test
        && (name.is_empty()
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)))
    {
        place.refuse(format!("{name:?} is the name of nothing in gRPC"));
        return None;
    }
    Some(test)
}

fn header(place: &Place<'_>) -> Option<HeaderTest> {
    let fields = place.fields(&["name", "exact", "regex"]);
    let name = fields.required("name").and_then(|place| {
        let name = place.text()?;
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            place.refuse(format!("{name:?} is not the name of a field"));
            return None;
        }
        Some(name.to_owned())
    });
    let value = test(place, &fields);
    Some(HeaderTest {
        name: name?,
        value: value?,
    })
}

fn parameter(place: &Place<'_>) -> Option<QueryTest> {
    let fields = place.fields(&["name", "exact", "regex"]);
    let name = fields.required("name").and_then(|place| {
        let name = place.text()?;
        if name.is_empty() {
            place.refuse("is empty");
            return None;
        }
        Some(name.to_owned())
    });
    let value = test(place, &fields);
    Some(QueryTest {
        name: name?,
        value: value?,
    })
}

/// `exact` or `regex`.
fn test(place: &Place<'_>, fields: &Fields<'_>) -> Option<TextTest> {
    match (fields.optional("exact"), fields.optional("regex")) {
        (Some(exact), None) => exact.text().map(|text| TextTest::Exact(text.to_owned())),
        (None, Some(regex)) => expression(&regex).map(TextTest::Regex),
        (Some(_), Some(_)) | (None, None) => {
            place.refuse("needs exactly one of exact, regex");
            None
        }
    }
}
