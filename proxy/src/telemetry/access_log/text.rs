//! A line as `key=value`, always with the same keys in the same order; `-` is nothing. What a peer sent is quoted.

use super::entry::Asked;
use super::entry::Entry;
use super::entry::Outcome;
use super::escape::Inside;
use super::escape::escape;
use super::number;
use super::time::Clock;
use crate::failure::Reason;

pub(super) fn line(entry: &Entry, outcome: &Outcome, clock: &Clock, out: &mut Vec<u8>) {
    let origin = &entry.origin;
    let asked = entry.asked.as_ref();
    clock.rfc3339(entry.time, out);
    let word = |word: &'static str| move |out: &mut Vec<u8>| out.extend_from_slice(word.as_bytes());
    let address = |address| move |out: &mut Vec<u8>| number::address(address, out);
    let count = |count: u64| move |out: &mut Vec<u8>| number::number(count, out);
    field(" direction=", Some(word(origin.direction.label())), out);
    field(" protocol=", Some(word(entry.protocol)), out);
    out.extend_from_slice(origin.written(|part| {
        part.extend_from_slice(b" service=");
        escape(origin.service.as_bytes(), Inside::Text, part);
        field(" client=", origin.client.map(address), part);
        field(" destination=", Some(address(origin.destination)), part);
    }));
    field(" upstream=", entry.upstream.map(address), out);
    quoted(" method=", asked.map(Asked::method), out);
    quoted(" path=", asked.map(Asked::path), out);
    quoted(" authority=", asked.and_then(Asked::authority), out);
    quoted(" server_name=", entry.server_name.as_deref().map(str::as_bytes), out);
    field(
        " status=",
        outcome.status.map(|status| count(status.as_u16().into())),
        out,
    );
    field(
        " grpc_status=",
        outcome.grpc_status.map(|status| count(status.into())),
        out,
    );
    field(" failure=", outcome.failure.map(Reason::label).map(word), out);
    field(" attempts=", Some(count(entry.attempts.into())), out);
    field(" retry=", entry.retry.map(word), out);
    field(" answered_by=", entry.answered_by.map(word), out);
    field(" received_bytes=", Some(count(entry.received.get())), out);
    field(" sent_bytes=", Some(count(entry.sent.get())), out);
    out.extend_from_slice(b" duration_ms=");
    number::milliseconds(outcome.duration, out);
    out.push(b'\n');
}

fn field(key: &str, value: Option<impl FnOnce(&mut Vec<u8>)>, out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    match value {
        Some(write) => write(out),
        None => out.push(b'-'),
    }
}

fn quoted(key: &str, value: Option<&[u8]>, out: &mut Vec<u8>) {
    let write = |value| {
        move |out: &mut Vec<u8>| {
            out.push(b'"');
            escape(value, Inside::Text, out);
            out.push(b'"');
        }
    };
    field(key, value.map(write), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::access_log::sample::entry;
    use http::StatusCode;
    use std::time::Duration;

    fn text(entry: &Entry, outcome: &Outcome) -> String {
        let mut out = Vec::new();
        line(entry, outcome, &Clock::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_has_every_key() {
        let mut entry = entry();
        let outcome = Outcome::default();
        assert_eq!(
            text(&entry, &outcome),
            "1970-01-01T00:00:00.000Z direction=outbound protocol=http1 service=web:80 client=10.0.0.1:4321 \
             destination=[fd00::1]:80 upstream=- method=- path=- authority=- server_name=- status=- grpc_status=- \
             failure=- attempts=0 retry=- answered_by=- received_bytes=0 sent_bytes=0 duration_ms=0\n"
        );
        entry.ask("HTTP/1.1", b"GET", (b"/a", None), Some(b"web"));
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
        entry.ask("HTTP/1.1", b"GET", (b"/\" status=200\n\xff\\", None), None);
        let line = text(&entry, &Outcome::default());
        assert!(
            line.contains(" path=\"/\\\" status=200\\x0a\\xff\\\\\" authority=- "),
            "{line}"
        );
        assert_eq!(line.matches('\n').count(), 1);
    }
}
