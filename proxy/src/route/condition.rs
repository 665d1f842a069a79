//! Whether a request is what a route is for.

use super::{Ask, Die};
use evenkeel_control_api::resource::route::{Fraction, HeaderMatch, PathMatch, QueryMatch, RouteMatch, ValueTest};
use std::num::NonZeroU64;

/// Whether all of it holds. The die is thrown only where everything else does.
pub(super) fn holds(matches: &RouteMatch, ask: &Ask<'_>, die: Die<'_>) -> bool {
    path(&matches.path, matches.ignore_case, ask)
        && (!matches.grpc || is_grpc(ask))
        && matches.headers.iter().all(|header| field(header, ask))
        && matches.query.iter().all(|parameter| query(parameter, ask))
        && matches.fraction.is_none_or(|fraction| is_among(fraction, die))
}

/// Whether every request is what a route with this is for.
pub(super) fn is_everything(matches: &RouteMatch) -> bool {
    is_every_path(&matches.path)
        && !matches.grpc
        && matches.headers.is_empty()
        && matches.query.is_empty()
        && matches.fraction.is_none()
}

fn is_every_path(path: &PathMatch) -> bool {
    matches!(path, PathMatch::Prefix(prefix) if prefix.is_empty() || prefix == "/")
}

fn path(wanted: &PathMatch, ignore_case: bool, ask: &Ask<'_>) -> bool {
    if ask.is_connect() {
        return *wanted == PathMatch::Connect || is_every_path(wanted);
    }
    let same = |one: &[u8], other: &str| {
        if ignore_case {
            one.eq_ignore_ascii_case(other.as_bytes())
        } else {
            one == other.as_bytes()
        }
    };
    let begins = |prefix: &str| ask.path.get(..prefix.len()).is_some_and(|start| same(start, prefix));
    match wanted {
        PathMatch::Prefix(prefix) => is_every_path(wanted) || begins(prefix),
        PathMatch::Exact(path) => same(ask.path, path),
        PathMatch::Segments(prefix) => begins(prefix) && matches!(ask.path.get(prefix.len()), None | Some(b'/')),
        PathMatch::Regex(pattern) => pattern.matches(ask.path),
        PathMatch::Connect => false,
    }
}

fn field(wanted: &HeaderMatch, ask: &Ask<'_>) -> bool {
    let value = match ask.field(&wanted.name) {
        Some(value) => value,
        None if wanted.missing_is_empty => b"".into(),
        // Only the absence itself can be asked for of what is absent.
        None => return matches!(wanted.test, ValueTest::Present(present) if present == wanted.invert),
    };
    let passes = match &wanted.test {
        ValueTest::Present(present) => *present,
        ValueTest::Text(text) => text.matches(&value),
        ValueTest::Range { from, below } => {
            let number = str::from_utf8(&value).ok().and_then(|text| text.parse::<i64>().ok());
            number.is_some_and(|number| (*from..*below).contains(&number))
        }
    };
    passes != wanted.invert
}

/// Only the first parameter of a name counts, and nothing is decoded.
fn query(wanted: &QueryMatch, ask: &Ask<'_>) -> bool {
    let mut parameters = ask
        .query
        .into_iter()
        .flat_map(|query| query.split(|byte| *byte == b'&'));
    let found = parameters.find_map(|parameter| {
        let (name, value) = match parameter.iter().position(|byte| *byte == b'=') {
            Some(at) => (&parameter[..at], &parameter[at + 1..]),
            None => (parameter, &b""[..]),
        };
        (name == wanted.name.as_bytes()).then_some(value)
    });
    found.is_some_and(|value| wanted.test.as_ref().is_none_or(|test| test.matches(value)))
}

/// `application/grpc`, perhaps with a suffix such as `+proto`.
fn is_grpc(ask: &Ask<'_>) -> bool {
    let content_type = ask.fields.value(&http::header::CONTENT_TYPE, 0).unwrap_or_default();
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

fn is_among(Fraction { numerator, denominator }: Fraction, die: Die<'_>) -> bool {
    NonZeroU64::new(denominator.into()).is_some_and(|denominator| die(denominator) < u64::from(numerator))
}
