//! `filters`.
//!
//! To add one: a row in [`OF_A_RULE`], a variant of [`Filter`], and its match in [`filters`].

use crate::kubernetes::objects::place::Place;
use evenkeel_control_api::mesh::model::{Field, HeaderChanges, HttpRedirect, PathReplacement, RedirectStatus};
use hyper::header::{HeaderName, HeaderValue};
use std::num::NonZeroU16;

/// What filters come to.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) request_headers: HeaderChanges,
    pub(super) response_headers: HeaderChanges,
    pub(super) redirect: Option<HttpRedirect>,
    pub(super) host: Option<String>,
    pub(super) path: Option<PathReplacement>,
}

/// A filter that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    RequestFields,
    ResponseFields,
    Redirect,
    Rewrite,
}

/// What may stand at a rule of HTTPRoute.
pub(super) const OF_A_RULE: [(&str, Filter); 4] = [
    ("RequestHeaderModifier", Filter::RequestFields),
    ("ResponseHeaderModifier", Filter::ResponseFields),
    ("RequestRedirect", Filter::Redirect),
    ("URLRewrite", Filter::Rewrite),
];
/// What may stand at a backend, and at a rule of GRPCRoute.
pub(super) const OF_FIELDS: [(&str, Filter); 2] = [OF_A_RULE[0], OF_A_RULE[1]];

const STATUSES: [(u16, RedirectStatus); 5] = [
    (301, RedirectStatus::MovedPermanently),
    (302, RedirectStatus::Found),
    (303, RedirectStatus::SeeOther),
    (307, RedirectStatus::Temporary),
    (308, RedirectStatus::Permanent),
];

/// All filters of a rule or of a backend; each may be there once.
pub(super) fn filters(places: &[Place<'_>], allowed: &[(&str, Filter)]) -> Filters {
    let mut read = Filters::default();
    let mut seen = Vec::new();
    for place in places {
        let Some(filter) = place.field("type").and_then(|place| place.word(allowed)) else {
            continue;
        };
        if seen.contains(&filter) {
            place.refuse("is a second one of its type, which is not supported");
        }
        seen.push(filter);
        let key = match filter {
            Filter::RequestFields => "requestHeaderModifier",
            Filter::ResponseFields => "responseHeaderModifier",
            Filter::Redirect => "requestRedirect",
            Filter::Rewrite => "urlRewrite",
        };
        let Some(inside) = place.fields(&["type", key]).and_then(|fields| fields.required(key)) else {
            continue;
        };
        match filter {
            Filter::RequestFields => read.request_headers = changes(&inside),
            Filter::ResponseFields => read.response_headers = changes(&inside),
            Filter::Redirect => read.redirect = redirect(&inside),
            Filter::Rewrite => rewrite(&inside, &mut read),
        }
    }
    read
}

fn changes(place: &Place<'_>) -> HeaderChanges {
    let Some(fields) = place.fields(&["set", "add", "remove"]) else {
        return HeaderChanges::default();
    };
    let all = |key| fields.items(key).iter().filter_map(field).collect();
    let name = |place: &Place<'_>| Some(field_name(place, place.text()?)?.to_owned());
    HeaderChanges {
        set: all("set"),
        add: all("add"),
        remove: fields.items("remove").iter().filter_map(name).collect(),
    }
}

fn field(place: &Place<'_>) -> Option<Field> {
    let fields = place.fields(&["name", "value"])?;
    let name = field_name(place, fields.required("name")?.text()?)?.to_owned();
    let value = fields.required("value")?.text()?.to_owned();
    if HeaderValue::from_str(&value).is_err() {
        place.refuse("the value has characters that a field cannot have");
    }
    Some(Field { name, value })
}

fn field_name<'a>(place: &Place<'_>, name: &'a str) -> Option<&'a str> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        place.refuse(format_args!("{name:?} is not the name of a field"));
        return None;
    }
    Some(name)
}

fn redirect(place: &Place<'_>) -> Option<HttpRedirect> {
    let fields = place.fields(&["scheme", "hostname", "path", "port", "statusCode"])?;
    let scheme = fields.optional("scheme");
    let scheme = scheme.and_then(|place| place.word(&[("http", "http"), ("https", "https")]));
    let status = fields.optional("statusCode").map(|place| {
        let number: Option<u16> = place.number();
        let known = STATUSES.iter().find(|(status, _)| Some(*status) == number);
        if known.is_none() {
            place.refuse("is no status of a redirect");
        }
        known.map(|(_, status)| *status).unwrap_or_default()
    });
    Some(HttpRedirect {
        scheme: scheme.map(str::to_owned),
        host: fields.optional("hostname").and_then(|place| host(&place)),
        port: fields
            .optional("port")
            .and_then(|place| NonZeroU16::new(place.number()?)),
        path: fields.optional("path").and_then(|place| replacement(&place)),
        status: status.unwrap_or_default(),
    })
}

fn rewrite(place: &Place<'_>, read: &mut Filters) {
    if let Some(fields) = place.fields(&["hostname", "path"]) {
        read.host = fields.optional("hostname").and_then(|place| host(&place));
        read.path = fields.optional("path").and_then(|place| replacement(&place));
    }
}

fn host(place: &Place<'_>) -> Option<String> {
    place.text().map(str::to_owned)
}

fn replacement(place: &Place<'_>) -> Option<PathReplacement> {
    let full: fn(String) -> PathReplacement = PathReplacement::Full;
    let words = [
        ("ReplaceFullPath", ("replaceFullPath", full)),
        ("ReplacePrefixMatch", ("replacePrefixMatch", PathReplacement::Prefix)),
    ];
    let (key, replacement) = place.field("type")?.word(&words)?;
    let fields = place.fields(&["type", key])?;
    // Without a value it is nothing, as if it were empty.
    let value = fields.optional(key).and_then(|place| place.text()).unwrap_or_default();
    Some(replacement(value.to_owned()))
}
