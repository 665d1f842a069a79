//! Where a redirect sends a client.

use super::Ask;
use super::path::{Matched, PathChange};
use evenkeel_control_api::resource::route::{Redirect, RedirectPath};

/// The value of `Location`. A request that is for nobody gets a reference that is relative.
pub(super) fn location(redirect: &Redirect, matched: Matched, ask: &Ask<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let scheme = redirect.scheme.as_deref().unwrap_or(ask.scheme);
    let host = match &redirect.host {
        Some(host) => host.as_bytes(),
        None => host(ask, scheme, redirect.port),
    };
    if !host.is_empty() {
        out.extend_from_slice(scheme.as_bytes());
        out.extend_from_slice(b"://");
        out.extend_from_slice(host);
        if let Some(port) = redirect.port {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
    }
    path(redirect, matched, ask, &mut out);
    out
}

/// The host of the request; its port goes where another is named, and where it was that of another scheme.
fn host<'a>(ask: &Ask<'a>, scheme: &str, port: Option<u16>) -> &'a [u8] {
    let authority = ask.authority.unwrap_or_default();
    let host = super::hosts::without_port(authority);
    let usual: &[u8] = match ask.scheme {
        "http" => b":80",
        "https" => b":443",
        _ => b"",
    };
    let goes = port.is_some() || (scheme != ask.scheme && &authority[host.len()..] == usual);
    if goes { host } else { authority }
}

fn path(redirect: &Redirect, matched: Matched, ask: &Ask<'_>, out: &mut Vec<u8>) {
    let query = ask.query.filter(|_| !redirect.strip_query);
    let change = match &redirect.path {
        RedirectPath::Same => None,
        RedirectPath::Exact(path) => {
            out.extend_from_slice(path.as_bytes());
            // The query that is configured is neither joined with the request's nor stripped.
            if !path.contains('?') {
                put_query(query, out);
            }
            return;
        }
        RedirectPath::Prefix(prefix) => Some(PathChange::Matched(matched, prefix.clone())),
        RedirectPath::Regex(substitution) => Some(PathChange::Regex(substitution.clone())),
    };
    if let Some(changed) = change.and_then(|change| change.apply(ask.path, query)) {
        out.extend_from_slice(&changed);
    } else {
        out.extend_from_slice(ask.path);
        put_query(query, out);
    }
}

fn put_query(query: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
}
