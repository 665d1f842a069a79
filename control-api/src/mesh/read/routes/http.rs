//! `http:`, rules for requests.

use super::Named;
use super::headers;
use super::hostnames;
use super::matches;
use crate::mesh::model::HttpAction;
use crate::mesh::model::HttpForward;
use crate::mesh::model::HttpRedirect;
use crate::mesh::model::HttpRule;
use crate::mesh::model::HttpTimeouts;
use crate::mesh::model::PathReplacement;
use crate::mesh::model::RedirectStatus;
use crate::mesh::model::ranges::SOME_TIME;
use crate::mesh::place::Fields;
use crate::mesh::place::Place;
use crate::mesh::translate::check_rule;

const RULE: [&str; 9] = [
    "name",
    "hostnames",
    "matches",
    "request_headers",
    "response_headers",
    "backends",
    "rewrite",
    "timeouts",
    "redirect",
];
/// The keys of a backend for requests.
const BACKEND: [&str; 6] = [
    "service",
    "port",
    "missing",
    "weight",
    "request_headers",
    "response_headers",
];
/// The words of `status:`.
const STATUSES: [(&str, RedirectStatus); 5] = [
    ("301", RedirectStatus::MovedPermanently),
    ("302", RedirectStatus::Found),
    ("303", RedirectStatus::SeeOther),
    ("307", RedirectStatus::Temporary),
    ("308", RedirectStatus::Permanent),
];

/// A rule for requests.
pub(super) fn rule(place: &Place<'_>, named: &mut Vec<Named>) -> Option<HttpRule> {
    let before = place.faults();
    let fields = place.fields(&RULE);
    let section = fields.optional("matches");
    let rule = HttpRule {
        name: super::name(&fields),
        hostnames: hostnames(fields.optional("hostnames").as_ref()),
        matches: section
            .iter()
            .flat_map(Place::items)
            .map(|place| matches::one(&place))
            .collect(),
        request_headers: headers::changes(fields.optional("request_headers").as_ref()),
        response_headers: headers::changes(fields.optional("response_headers").as_ref()),
        action: action(place, &fields, named)?,
    };
    // What only the whole of a rule shows.
    if place.faults() == before
        && let Err(faults) = check_rule(&rule)
    {
        faults.0.into_iter().for_each(|fault| place.refuse(fault.reason));
    }
    Some(rule)
}

fn action(place: &Place<'_>, fields: &Fields<'_>, named: &mut Vec<Named>) -> Option<HttpAction> {
    match (fields.optional("backends"), fields.optional("redirect")) {
        (None, Some(redirected)) => {
            for other in ["rewrite", "timeouts"] {
                if let Some(other) = fields.optional(other) {
                    other.refuse("is for what goes to backends, and redirect is here");
                }
            }
            Some(HttpAction::Redirect(redirect(&redirected)))
        }
        (Some(backends), None) => {
            let rewrite = fields.optional("rewrite");
            let rewrite = rewrite.as_ref().map(|place| place.fields(&["host", "path"]));
            let part = |key| rewrite.as_ref().and_then(|fields| fields.optional(key));
            Some(HttpAction::Forward(HttpForward {
                backends: super::backends(&backends, &BACKEND, named),
                host: part("host").and_then(|place| host(&place)),
                path: part("path").and_then(|place| replacement(&place)),
                timeouts: fields
                    .optional("timeouts")
                    .map(|place| timeouts(&place))
                    .unwrap_or_default(),
            }))
        }
        (Some(_), Some(_)) | (None, None) => {
            place.refuse("needs exactly one of backends, redirect");
            None
        }
    }
}

fn timeouts(place: &Place<'_>) -> HttpTimeouts {
    let fields = place.fields(&["request", "backend_request"]);
    let time = |key| fields.optional(key)?.duration(&SOME_TIME);
    HttpTimeouts {
        request: time("request"),
        backend_request: time("backend_request"),
    }
}

fn redirect(place: &Place<'_>) -> HttpRedirect {
    let fields = place.fields(&["scheme", "host", "port", "path", "status"]);
    let scheme = fields
        .optional("scheme")
        .and_then(|place| place.word(&[("http", "http"), ("https", "https")]));
    HttpRedirect {
        scheme: scheme.map(str::to_owned),
        host: fields.optional("host").and_then(|place| host(&place)),
        port: fields
            .optional("port")
            .and_then(|place| crate::mesh::read::port(&place)),
        path: fields.optional("path").and_then(|place| replacement(&place)),
        status: fields
            .optional("status")
            .and_then(|place| place.word(&STATUSES))
            .unwrap_or_default(),
    }
}

fn replacement(place: &Place<'_>) -> Option<PathReplacement> {
    let fields = place.fields(&["full", "prefix"]);
    match (fields.optional("full"), fields.optional("prefix")) {
        (Some(full), None) => matches::absolute(&full).map(PathReplacement::Full),
        (None, Some(prefix)) => matches::absolute(&prefix).map(PathReplacement::Prefix),
        (Some(_), Some(_)) | (None, None) => {
            place.refuse("needs exactly one of full, prefix");
            None
        }
    }
}

/// A name or an address, without a port.
fn host(place: &Place<'_>) -> Option<String> {
    let host = place.text()?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if host.is_empty() || !host.bytes().all(known) {
        place.refuse(format!("{host:?} is not the name of a host"));
        return None;
    }
    Some(host.to_owned())
}
