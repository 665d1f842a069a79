//! A line as one JSON object. Keys of requests are missing in the lines of opaque connections, and what is unknown is `null`.

use super::entry::Entry;
use super::entry::Outcome;
use super::escape::escape;
use super::time::rfc3339;
use serde::Serialize;
use std::borrow::Cow;
use std::net::SocketAddr;

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    direction: &'static str,
    protocol: &'static str,
    service: &'a str,
    client: Option<SocketAddr>,
    destination: SocketAddr,
    upstream: Option<SocketAddr>,
    #[serde(flatten)]
    asked: Option<Asked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<&'a str>,
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc_status: Option<u32>,
    failure: Option<&'static str>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<&'static str>,
    received_bytes: u64,
    sent_bytes: u64,
    duration_ms: f64,
}

#[derive(Serialize)]
struct Asked<'a> {
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    authority: Option<Cow<'a, str>>,
}

pub(super) fn line(entry: &Entry, outcome: &Outcome) -> Vec<u8> {
    let origin = &entry.origin;
    let line = Line {
        time: rfc3339(entry.time),
        direction: origin.direction.label(),
        protocol: entry.protocol,
        service: &origin.service,
        client: origin.client,
        destination: origin.destination,
        upstream: entry.upstream,
        asked: entry.asked.as_ref().map(|asked| Asked {
            method: escape(&asked.method),
            path: escape(&asked.path),
            authority: asked.authority.as_deref().map(escape),
        }),
        server_name: entry.server_name.as_deref(),
        status: outcome.status.map(|status| status.as_u16()),
        grpc_status: outcome.grpc_status,
        failure: outcome.failure.map(crate::failure::Reason::label),
        attempts: entry.attempts,
        retry: entry.retry,
        answered_by: entry.answered_by,
        received_bytes: entry.received.get(),
        sent_bytes: entry.sent.get(),
        duration_ms: outcome.duration.as_micros() as f64 / 1_000.0,
    };
    // Text and numbers always have a form in JSON.
    let mut out = serde_json::to_vec(&line).unwrap_or_default();
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;
    use crate::telemetry::access_log::entry::tests::entry;
    use http::StatusCode;
    use serde_json::Value;
    use serde_json::json;
    use std::time::Duration;

    fn read(entry: &Entry, outcome: &Outcome) -> Value {
        let line = line(entry, outcome);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn a_request_is_an_object() {
        let mut entry = entry();
        entry.ask(b"GET", b"/a", Some(b"b=1"), Some(b"web"));
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
        entry.ask(b"GET", b"/\"}\n{\"status\":1,\xff\\", None, Some(b"a\0"));
        let line = read(&entry, &Outcome::default());
        assert_eq!(line["path"], "/\"}\\x0a{\"status\":1,\\xff\\\\");
        assert_eq!((&line["authority"], &line["status"]), (&json!("a\\x00"), &Value::Null));
    }
}
