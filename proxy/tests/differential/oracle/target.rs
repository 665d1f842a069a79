//! The request target in its four forms (RFC 9112 3.2).

use super::Stop;
use super::grammar::is_authority;
use super::grammar::is_number;
use super::grammar::is_obs_text;
use super::grammar::is_vchar;
use super::grammar::split_authority;

/// A target taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) form: &'static str,
    pub(crate) authority: Option<String>,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
}

pub(crate) fn target(method: &str, text: &str) -> Result<Target, Stop> {
    // Not `pchar` alone: what RFC 3986 forbids in paths and queries is sent all the same, and taken. Never a fragment.
    if !text.chars().all(|c| (is_vchar(c) || is_obs_text(c)) && c != '#') {
        return Err(Stop::Refused("a byte that no target holds"));
    }
    if method == "CONNECT" {
        return authority_form(text);
    }
    if text == "*" && method == "OPTIONS" {
        return Ok(Target {
            form: "asterisk",
            authority: None,
            path: "*".to_owned(),
            query: None,
        });
    }
    if text.starts_with('/') {
        let (path, query) = path_and_query(text);
        return Ok(Target {
            form: "origin",
            authority: None,
            path,
            query,
        });
    }
    absolute_form(text)
}

/// `uri-host ":" port`, both of them there, and a port that TCP has (RFC 9110 9.3.6).
fn authority_form(text: &str) -> Result<Target, Stop> {
    let (host, port) = split_authority(text);
    let port = port.filter(|port| is_number(port)).and_then(|port| port.parse().ok());
    match port {
        Some(1..=65_535_u32) if !host.is_empty() && is_authority(text) => Ok(Target {
            form: "authority",
            authority: Some(text.to_owned()),
            path: "/".to_owned(),
            query: None,
        }),
        _ => Err(Stop::Refused("CONNECT without host and port")),
    }
}

/// `http-URI / https-URI` (RFC 9110 4.2), whose host is never empty and which has no user.
fn absolute_form(text: &str) -> Result<Target, Stop> {
    let (scheme, rest) = text.split_once("://").ok_or(Stop::Refused("no form of a target"))?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(Stop::Refused("a scheme that is not spoken"));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    if split_authority(authority).0.is_empty() || !is_authority(authority) {
        return Err(Stop::Refused("an authority that is none"));
    }
    let (path, query) = path_and_query(behind);
    Ok(Target {
        form: "absolute",
        authority: Some(authority.to_owned()),
        path,
        query,
    })
}

/// An empty path is `/` (RFC 9110 4.2.3).
fn path_and_query(text: &str) -> (String, Option<String>) {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (text, None),
    };
    (if path.is_empty() { "/" } else { path }.to_owned(), query)
}
