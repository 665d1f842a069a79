//! A request's part in its trace: read out of its head, and begun as a span where it is recorded.

use crate::protocol::Session;
use crate::route::{Ask, Fields};
use crate::telemetry::access_log::Origin;
use crate::telemetry::trace::{Asked, Onward};
use crate::telemetry::{Protocol, RequestRecord};
use http::HeaderName;
use http::header::USER_AGENT;

/// How a request was spoken.
#[derive(Clone, Copy)]
pub(super) struct Spoken {
    pub(super) protocol: Protocol,
    /// Of HTTP.
    pub(super) version: &'static str,
    /// The head may have a line of a trace.
    pub(super) traced: bool,
}

/// Gives the request its part. What is returned goes into its head when it goes on.
#[inline]
pub(super) fn begin<'a>(
    session: &Session,
    record: &mut RequestRecord,
    spoken: Spoken,
    fields: &'a dyn Fields,
    ask: impl FnOnce() -> Ask<'a>,
) -> Option<Onward> {
    let tracer = session.context.tracer.as_ref()?;
    let value = |name: &HeaderName, before| fields.value(name, before);
    let part = tracer.part(spoken.traced, value, || {
        let asked = asked(&ask(), spoken.version);
        (Origin::clone(&session.origin()), spoken.protocol, asked)
    });
    record.trace(part.trace, part.span);
    part.onward
}

fn asked(ask: &Ask<'_>, version: &'static str) -> Asked {
    Asked {
        method: Asked::word(ask.method.as_bytes()),
        scheme: if ask.scheme == "https" { "https" } else { "http" },
        authority: ask.authority.map(Asked::word),
        path: Asked::path(ask.path),
        query: ask.query.map(Asked::path),
        user_agent: ask.fields.value(&USER_AGENT, 0).map(Asked::word),
        version,
    }
}
