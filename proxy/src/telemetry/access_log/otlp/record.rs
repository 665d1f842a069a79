//! What has ended as a record of OpenTelemetry, but for its body: <https://opentelemetry.io/docs/specs/semconv/>, version 1.42.
//!
//! To add an attribute: its line in `attributes`, and its row in `docs/access-log.md`.

use super::super::entry::Asked;
use super::super::entry::Entry;
use super::super::entry::Outcome;
use super::super::escaped;
use super::super::flags_of;
use crate::failure::Reason;
use crate::telemetry::Direction;
use crate::telemetry::fault;
use crate::telemetry::fault::Fault;
use crate::telemetry::grpc;
use crate::telemetry::otlp::wire;
use crate::telemetry::trace::without_secrets;
use opentelemetry::trace::SpanId;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// The fields of `LogRecord` (`logs.proto`).
const TIME: u32 = 1;
const SEVERITY: u32 = 2;
const SEVERITY_TEXT: u32 = 3;
const ATTRIBUTE: u32 = 6;
const FLAGS: u32 = 8;
const TRACE: u32 = 9;
const SPAN: u32 = 10;
const OBSERVED: u32 = 11;
/// `FLAGS`: the collector has the span.
const SAMPLED: u32 = 1;

/// Appends it; `span` is that of a request that is recorded.
pub(in crate::telemetry::access_log) fn record(
    entry: &Entry,
    outcome: &Outcome,
    span: Option<SpanId>,
    out: &mut Vec<u8>,
) {
    let nanos = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    wire::fixed64(TIME, nanos(entry.time), out);
    wire::fixed64(OBSERVED, nanos(entry.time + outcome.duration), out);
    let fault = entry.asked.as_ref().and_then(|_| fault::of_request(outcome));
    let is_error = outcome.failure.is_some() || fault == Some(Fault::Service);
    let (severity, text) = if is_error { (17, "ERROR") } else { (9, "INFO") };
    wire::varint(SEVERITY, severity, out);
    wire::bytes(SEVERITY_TEXT, text.as_bytes(), out);
    if let Some(trace) = entry.trace_identity() {
        wire::bytes(TRACE, &trace.to_bytes(), out);
    }
    if let Some(span) = span {
        wire::bytes(SPAN, &span.to_bytes(), out);
        wire::fixed32(FLAGS, SAMPLED, out);
    }
    let mut attributes = Attributes(out);
    match &entry.asked {
        Some(asked) => request(entry, asked, outcome, &mut attributes),
        None => attributes.some("server.address", entry.server_name.as_deref()),
    }
    common(entry, outcome, fault, &mut attributes);
}

struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    fn text(&mut self, key: &str, value: &str) {
        wire::text(ATTRIBUTE, key, value, self.0);
    }

    fn some(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// Bytes of a client, which may be no text.
    fn theirs(&mut self, key: &str, value: &[u8]) {
        match str::from_utf8(value) {
            Ok(text) => self.text(key, text),
            Err(_) => self.text(key, &escaped(value)),
        }
    }

    fn int(&mut self, key: &str, value: impl Into<u64>) {
        wire::int(ATTRIBUTE, key, value.into(), self.0);
    }

    fn socket(&mut self, [address, port]: [&str; 2], value: Option<SocketAddr>) {
        if let Some(value) = value {
            self.text(address, &value.ip().to_canonical().to_string());
            self.int(port, value.port());
        }
    }
}

/// Of a request alone.
fn request(entry: &Entry, asked: &Asked, outcome: &Outcome, attributes: &mut Attributes<'_>) {
    attributes.theirs("http.request.method", asked.method());
    attributes.theirs("url.path", asked.path_alone());
    if let Some(query) = asked.query() {
        attributes.text("url.query", &without_secrets(&escaped(query)));
    }
    if let Some(authority) = asked.authority() {
        let (host, port) = host_and_port(authority);
        attributes.theirs("server.address", host);
        if let Some(port) = port {
            attributes.int("server.port", port);
        }
    }
    let version = asked.version();
    attributes.text(
        "network.protocol.version",
        version.strip_prefix("HTTP/").unwrap_or(version),
    );
    if let Some(status) = outcome.status {
        attributes.int("http.response.status_code", status.as_u16());
    }
    attributes.int("http.request.body.size", entry.received.get());
    attributes.int("http.response.body.size", entry.sent.get());
    if let Some(status) = outcome.grpc_status {
        attributes.text("rpc.system.name", "grpc");
        attributes.text("rpc.response.status_code", &name(status));
    }
}

/// Of everything.
fn common(entry: &Entry, outcome: &Outcome, fault: Option<Fault>, attributes: &mut Attributes<'_>) {
    let origin = &entry.origin;
    attributes.socket(["client.address", "client.port"], origin.client);
    attributes.socket(["destination.address", "destination.port"], Some(origin.destination));
    let peer = match origin.direction {
        Direction::Inbound => origin.client,
        Direction::Outbound => entry.upstream,
    };
    attributes.socket(["network.peer.address", "network.peer.port"], peer);
    attributes.some("error.type", error(origin.direction, outcome, fault).as_deref());
    attributes.text("evenkeel.direction", origin.direction.label());
    attributes.text("evenkeel.service", &origin.service);
    attributes.text("evenkeel.protocol", entry.protocol);
    if let Some(upstream) = entry.upstream {
        attributes.text("evenkeel.upstream", &upstream.to_string());
    }
    attributes.some("evenkeel.reason", outcome.failure.map(Reason::label));
    if outcome.failure.is_some() || entry.retry.is_some() {
        attributes.text("evenkeel.response_flags", &flags_of(entry, outcome));
    }
    attributes.int("evenkeel.attempts", entry.attempts);
    attributes.some("evenkeel.retry", entry.retry);
    attributes.some("evenkeel.answered_by", entry.answered_by);
    if entry.asked.is_none() {
        attributes.int("evenkeel.received_bytes", entry.received.get());
        attributes.int("evenkeel.sent_bytes", entry.sent.get());
    }
    let seconds = outcome.duration.as_secs_f64();
    wire::double(ATTRIBUTE, "evenkeel.duration", seconds, attributes.0);
}

/// As a span has it.
fn error(direction: Direction, outcome: &Outcome, fault: Option<Fault>) -> Option<Cow<'static, str>> {
    if let Some(reason) = outcome.failure {
        return Some(reason.label().into());
    }
    if !fault?.is_error(direction) {
        return None;
    }
    let status = || outcome.status.map(|status| status.as_u16().to_string().into());
    let said = outcome
        .grpc_status
        .filter(|status| *status != 0)
        .map(name)
        .or_else(status);
    // As the conventions call what nothing is known of.
    Some(said.unwrap_or("_OTHER".into()))
}

fn name(status: u32) -> Cow<'static, str> {
    grpc::snake(status).map_or_else(|| status.to_string().into(), Cow::Borrowed)
}

/// The brackets of an address go.
fn host_and_port(authority: &[u8]) -> (&[u8], Option<u16>) {
    let colon = authority.iter().rposition(|byte| *byte == b':');
    let port = colon.and_then(|colon| str::from_utf8(&authority[colon + 1..]).ok()?.parse().ok());
    let host = match (colon, port) {
        (Some(colon), Some(_)) => &authority[..colon],
        _ => authority,
    };
    let inner = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    (inner.unwrap_or(host), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_from_its_port() {
        for (authority, host, port) in [
            ("web", "web", None),
            ("web:80", "web", Some(80)),
            ("[fd00::1]:80", "fd00::1", Some(80)),
            ("[fd00::1]", "fd00::1", None),
            ("web:x", "web:x", None),
            (":80", "", Some(80)),
        ] {
            assert_eq!(
                host_and_port(authority.as_bytes()),
                (host.as_bytes(), port),
                "{authority}"
            );
        }
    }
}
