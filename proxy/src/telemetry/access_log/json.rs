//! A line as one JSON object. Keys of requests are missing in the lines of opaque connections, and what is unknown is `null`.
//!
//! It is written by hand, literals with what they stand between: that is a third of what `serde` takes for the same.

use super::entry::Asked;
use super::entry::Entry;
use super::entry::Outcome;
use super::escape::Inside;
use super::escape::escape;
use super::number;
use super::origin::Origin;
use super::time::Clock;
use std::net::SocketAddr;

/// Most lines fit, so that the vector grows at most once.
const LINE: usize = 512;

pub(super) fn line(entry: &Entry, outcome: &Outcome, clock: &Clock, out: &mut Vec<u8>) {
    let origin = &entry.origin;
    out.reserve(LINE);
    out.extend_from_slice(b"{\"time\":\"");
    clock.rfc3339(entry.time, out);
    out.extend_from_slice(b"\",\"direction\":\"");
    out.extend_from_slice(origin.direction.label().as_bytes());
    out.extend_from_slice(b"\",\"protocol\":\"");
    out.extend_from_slice(entry.protocol.as_bytes());
    out.extend_from_slice(origin.written(|part| whence(origin, part)));
    address(entry.upstream, out);
    if let Some(asked) = &entry.asked {
        request(asked, out);
    }
    if let Some(name) = &entry.server_name {
        out.extend_from_slice(b",\"server_name\":\"");
        escape(name.as_bytes(), Inside::Json, out);
        out.push(b'"');
    }
    if let Some(trace) = entry.trace_id() {
        out.extend_from_slice(b",\"trace_id\":");
        word(str::from_utf8(&trace).ok(), out);
    }
    out.extend_from_slice(b",\"status\":");
    optional(outcome.status.map(|status| status.as_u16().into()), out);
    if let Some(status) = outcome.grpc_status {
        out.extend_from_slice(b",\"grpc_status\":");
        number::number(status.into(), out);
    }
    out.extend_from_slice(b",\"failure\":");
    word(outcome.failure.map(crate::failure::Reason::label), out);
    out.extend_from_slice(b",\"attempts\":");
    number::number(entry.attempts.into(), out);
    if entry.retry.is_some() {
        out.extend_from_slice(b",\"retry\":");
        word(entry.retry, out);
    }
    if entry.answered_by.is_some() {
        out.extend_from_slice(b",\"answered_by\":");
        word(entry.answered_by, out);
    }
    out.extend_from_slice(b",\"received_bytes\":");
    number::number(entry.received.get(), out);
    out.extend_from_slice(b",\"sent_bytes\":");
    number::number(entry.sent.get(), out);
    out.extend_from_slice(b",\"duration_ms\":");
    number::milliseconds(outcome.duration, out);
    out.extend_from_slice(b"}\n");
}

/// What the lines of a connection share.
fn whence(origin: &Origin, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\",\"service\":\"");
    escape(origin.service.as_bytes(), Inside::Json, out);
    out.extend_from_slice(b"\",\"client\":");
    address(origin.client, out);
    out.extend_from_slice(b",\"destination\":");
    address(Some(origin.destination), out);
    out.extend_from_slice(b",\"upstream\":");
}

fn request(asked: &Asked, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"method\":\"");
    escape(asked.method(), Inside::Json, out);
    out.extend_from_slice(b"\",\"path\":\"");
    escape(asked.path(), Inside::Json, out);
    match asked.authority() {
        Some(authority) => {
            out.extend_from_slice(b"\",\"authority\":\"");
            escape(authority, Inside::Json, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"\",\"authority\":null"),
    }
}

fn address(address: Option<SocketAddr>, out: &mut Vec<u8>) {
    match address {
        Some(address) => {
            out.push(b'"');
            number::address(address, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn optional(value: Option<u64>, out: &mut Vec<u8>) {
    match value {
        Some(value) => number::number(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// A word of ours, which needs no escapes.
fn word(word: Option<&str>, out: &mut Vec<u8>) {
    match word {
        Some(word) => {
            out.push(b'"');
            out.extend_from_slice(word.as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;
    use crate::telemetry::access_log::sample::entry;
    use http::StatusCode;
    use serde_json::Value;
    use serde_json::json;
    use std::time::Duration;

    fn read(entry: &Entry, outcome: &Outcome) -> Value {
        let mut out = Vec::new();
        line(entry, outcome, &Clock::default(), &mut out);
        assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1));
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_request_is_an_object() {
        let mut entry = entry();
        entry.ask("HTTP/1.1", b"GET", (b"/a", Some(b"b=1")), Some(b"web"));
        entry.reach(Some("10.0.0.2:8080".parse().unwrap()), 2);
        entry.received(3);
        entry.sent(4);
        entry.sent(5);
        let outcome = Outcome {
            status: Some(StatusCode::OK),
            grpc_status: Some(0),
            failure: None,
            duration: Duration::from_micros(1_500),
        };
        let expected = json!({
            "time": "1970-01-01T00:00:00.000Z", "direction": "outbound", "protocol": "http1", "service": "web:80",
            "client": "10.0.0.1:4321", "destination": "[fd00::1]:80", "upstream": "10.0.0.2:8080",
            "method": "GET", "path": "/a?b=1", "authority": "web", "status": 200, "grpc_status": 0, "failure": null,
            "attempts": 2, "received_bytes": 3, "sent_bytes": 9, "duration_ms": 1.5,
        });
        assert_eq!(read(&entry, &outcome), expected);
        entry.forbid_retry();
        assert_eq!(read(&entry, &outcome)["retry"], "forbidden");
        entry.answer_by_configuration();
        assert_eq!(read(&entry, &outcome)["answered_by"], "configuration");
    }

    #[test]
    fn an_opaque_connection_has_no_request() {
        let mut entry = entry();
        entry.name(Some("db.test".to_owned()));
        let outcome = Outcome {
            failure: Some(Reason::ConnectRefused),
            ..Outcome::default()
        };
        let line = read(&entry, &outcome);
        assert_eq!(
            (&line["protocol"], &line["server_name"]),
            (&json!("tls"), &json!("db.test"))
        );
        assert_eq!(
            (&line["failure"], &line["status"]),
            (&json!("connect_refused"), &Value::Null)
        );
        assert!(line.get("method").is_none() && line.get("path").is_none());
    }

    #[test]
    fn whatever_a_client_sends_stays_inside_its_string() {
        let mut entry = entry();
        entry.ask("HTTP/1.1", b"GET", (b"/\"}\n{\"status\":1,\xff\\", None), Some(b"a\0"));
        let line = read(&entry, &Outcome::default());
        assert_eq!(line["path"], "/\"}\\x0a{\"status\":1,\\xff\\\\");
        assert_eq!((&line["authority"], &line["status"]), (&json!("a\\x00"), &Value::Null));
    }
}
