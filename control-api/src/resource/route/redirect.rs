//! `RedirectAction`: an answer that sends the client elsewhere.

use crate::report::Report;
use crate::resource::matcher;
use crate::resource::matcher::Substitution;
use envoy_types::pb::envoy::config::route::v3 as proto;
use http::HeaderValue;
use http::StatusCode;
use proto::redirect_action::PathRewriteSpecifier;
use proto::redirect_action::RedirectResponseCode;
use proto::redirect_action::SchemeRewriteSpecifier;

/// Where the client is sent. What is `None` is that of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Such as `https`.
    pub scheme: Option<String>,
    /// A host, perhaps with a port.
    pub host: Option<String>,
    /// A port.
    pub port: Option<u16>,
    /// The path.
    pub path: RedirectPath,
    /// The query goes.
    pub strip_query: bool,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// The path that the client is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectPath {
    /// That of the request.
    Same,
    /// This; a query in it takes the place of the request's.
    Exact(String),
    /// That of the request, with this in the place of what the route matches.
    Prefix(String),
    /// That of the request, with every match replaced.
    Regex(Substitution),
}

/// Decodes one.
pub(super) fn redirect(message: proto::RedirectAction, report: &mut Report) -> Option<Redirect> {
    let proto::RedirectAction {
        host_redirect,
        port_redirect,
        response_code,
        strip_query,
        scheme_rewrite_specifier,
        path_rewrite_specifier,
    } = message;
    let scheme = match scheme_rewrite_specifier {
        Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => Some("https".to_owned()),
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => some_scheme(scheme, report),
        Some(SchemeRewriteSpecifier::HttpsRedirect(false)) | None => None,
    };
    let port = u16::try_from(port_redirect);
    if port.is_err() {
        report.refuse_field(
            "port_redirect",
            format!("must be from 0 to 65535, found {port_redirect}"),
        );
    }
    let host = if host_redirect.is_empty() || speakable("host_redirect", &host_redirect, &['/', '?', '#', '@'], report)
    {
        Some(host_redirect)
    } else {
        None
    };
    let status = match RedirectResponseCode::try_from(response_code) {
        Ok(RedirectResponseCode::MovedPermanently) => Some(StatusCode::MOVED_PERMANENTLY),
        Ok(RedirectResponseCode::Found) => Some(StatusCode::FOUND),
        Ok(RedirectResponseCode::SeeOther) => Some(StatusCode::SEE_OTHER),
        Ok(RedirectResponseCode::TemporaryRedirect) => Some(StatusCode::TEMPORARY_REDIRECT),
        Ok(RedirectResponseCode::PermanentRedirect) => Some(StatusCode::PERMANENT_REDIRECT),
        Err(_) => {
            report.refuse_field("response_code", format!("{response_code} is not known"));
            None
        }
    };
    Some(Redirect {
        scheme,
        host: host.filter(|host| !host.is_empty()),
        port: port.ok().filter(|port| *port > 0),
        path: path(path_rewrite_specifier, report)?,
        strip_query,
        status: status?,
    })
}

fn some_scheme(scheme: String, report: &mut Report) -> Option<String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.bytes().all(known) {
        report.refuse_field("scheme_redirect", format!("{scheme:?} is not a scheme"));
    }
    (!scheme.is_empty()).then_some(scheme)
}

fn path(specifier: Option<PathRewriteSpecifier>, report: &mut Report) -> Option<RedirectPath> {
    match specifier {
        None => Some(RedirectPath::Same),
        Some(PathRewriteSpecifier::PathRedirect(path) | PathRewriteSpecifier::PrefixRewrite(path))
            if path.is_empty() =>
        {
            Some(RedirectPath::Same)
        }
        Some(PathRewriteSpecifier::PathRedirect(path)) => {
            speakable("path_redirect", &path, &[], report).then_some(RedirectPath::Exact(path))
        }
        Some(PathRewriteSpecifier::PrefixRewrite(prefix)) => {
            speakable("prefix_rewrite", &prefix, &['?', '#'], report).then_some(RedirectPath::Prefix(prefix))
        }
        Some(PathRewriteSpecifier::RegexRewrite(message)) => {
            let found = report.within("regex_rewrite", |report| matcher::substitution(message, report));
            found.map(RedirectPath::Regex)
        }
        Some(PathRewriteSpecifier::PathRewrite(_)) => {
            report.refuse_field("path_rewrite", "is not supported");
            None
        }
    }
}

/// Whether this can stand in a URI, and holds none of `without`.
pub(super) fn speakable(field: &str, text: &str, without: &[char], report: &mut Report) -> bool {
    let speakable = !text.contains([' ', '\t']) && !text.contains(without) && HeaderValue::from_str(text).is_ok();
    if !speakable {
        report.refuse_field(field, format!("{text:?} holds what cannot stand there"));
    }
    speakable
}
