//! A line as `key=value`, always with the same keys in the same order; `-` is nothing. What a peer sent is quoted.

use super::entry::Entry;
use super::entry::Outcome;
use super::escape::escape;
use super::time::rfc3339;
use crate::failure::Reason;
use std::fmt::Display;
use std::fmt::Write;

pub(super) fn line(entry: &Entry, outcome: &Outcome) -> Vec<u8> {
    let origin = &entry.origin;
    let asked = entry.asked.as_ref();
    let mut out = rfc3339(entry.time);
    field("direction", Some(origin.direction.label()), &mut out);
    field("protocol", Some(entry.protocol), &mut out);
    field("service", Some(&origin.service), &mut out);
    field("client", origin.client, &mut out);
    field("destination", Some(origin.destination), &mut out);
    field("upstream", entry.upstream, &mut out);
    quoted("method", asked.map(|asked| asked.method.as_slice()), &mut out);
    quoted("path", asked.map(|asked| asked.path.as_slice()), &mut out);
    quoted(
        "authority",
        asked.and_then(|asked| asked.authority.as_deref()),
        &mut out,
    );
    quoted(
        "server_name",
        entry.server_name.as_ref().map(String::as_bytes),
        &mut out,
    );
    field("status", outcome.status.map(|status| status.as_u16()), &mut out);
    field("grpc_status", outcome.grpc_status, &mut out);
    field("failure", outcome.failure.map(Reason::label), &mut out);
    field("attempts", Some(entry.attempts), &mut out);
    field("retry", entry.retry, &mut out);
    field("answered_by", entry.answered_by, &mut out);
    field("received_bytes", Some(entry.received.get()), &mut out);
    field("sent_bytes", Some(entry.sent.get()), &mut out);
    field(
        "duration_ms",
        Some(outcome.duration.as_micros() as f64 / 1_000.0),
        &mut out,
    );
    out.push('\n');
    out.into_bytes()
}

fn field(name: &str, value: Option<impl Display>, out: &mut String) {
    // A string takes whatever is written to it.
    let _ = match value {
        Some(value) => write!(out, " {name}={value}"),
        None => write!(out, " {name}=-"),
    };
}

fn quoted(name: &str, value: Option<&[u8]>, out: &mut String) {
    let value = value.map(|value| format!("\"{}\"", escape(value).replace('"', "\\\"")));
    field(name, value, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::access_log::entry::tests::entry;
    use http::StatusCode;
    use std::time::Duration;

    #[test]
    fn every_line_has_every_key() {
        let mut entry = entry();
        let outcome = Outcome::default();
        let text = |entry: &Entry, outcome: &Outcome| String::from_utf8(line(entry, outcome)).unwrap();
        assert_eq!(
            text(&entry, &outcome),
            "1970-01-01T00:00:00.000Z direction=outbound protocol=http1 service=web:80 client=10.0.0.1:4321 \
             destination=[fd00::1]:80 upstream=- method=- path=- authority=- server_name=- status=- grpc_status=- \
             failure=- attempts=0 retry=- answered_by=- received_bytes=0 sent_bytes=0 duration_ms=0\n"
        );
        entry.ask(b"GET", b"/a", None, Some(b"web"));
        entry.reach(Some("10.0.0.2:8080".parse().unwrap()), 1);
        entry.forbid_retry();
        let outcome = Outcome {
            status: Some(StatusCode::BAD_GATEWAY),
            grpc_status: Some(14),
            failure: Some(Reason::MalformedResponse),
            duration: Duration::from_micros(12_345),
        };
        assert!(text(&entry, &outcome).ends_with(
            " upstream=10.0.0.2:8080 method=\"GET\" path=\"/a\" authority=\"web\" server_name=- status=502 \
             grpc_status=14 failure=malformed_response attempts=1 retry=forbidden answered_by=- received_bytes=0 sent_bytes=0 duration_ms=12.345\n"
        ));
    }

    #[test]
    fn whatever_a_client_sends_stays_inside_its_quotes() {
        let mut entry = entry();
        entry.ask(b"GET", b"/\" status=200\n\xff\\", None, None);
        let line = String::from_utf8(line(&entry, &Outcome::default())).unwrap();
        assert!(
            line.contains(" path=\"/\\\" status=200\\x0a\\xff\\\\\" authority=- "),
            "{line}"
        );
        assert_eq!(line.matches('\n').count(), 1);
    }
}
