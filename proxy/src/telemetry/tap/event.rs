//! What is told of a request or a connection.

use super::counts::Counts;
use super::wish::Values;
use crate::failure::Reason;
use crate::telemetry::access_log::Asked;
use crate::telemetry::access_log::Entry;
use crate::telemetry::access_log::Field;
use crate::telemetry::access_log::Outcome;
use crate::telemetry::access_log::cut;
use crate::telemetry::access_log::escaped;
use crate::telemetry::access_log::flags_of;
use evenkeel_control_api::tap::Event;
use evenkeel_control_api::tap::Header;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

/// What stands for a value that is not told.
const REDACTED: &str = "[redacted]";

pub(super) fn event(entry: &Entry, outcome: &Outcome, values: &Values, counts: &Counts) -> Event {
    let asked = entry.asked.as_ref();
    let text = |bytes: Option<&[u8]>| bytes.map(escaped).unwrap_or_default();
    let address = |address: Option<SocketAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    let since = entry.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let details = entry.details.as_deref();
    let way = details.map(|details| &details.way);
    let all = |of: usize| details.map_or(&[][..], |details| details.told[of].all());
    Event {
        began: since.as_nanos() as u64,
        duration: outcome.duration.as_micros() as u64,
        direction: entry.origin.direction.label().to_owned(),
        service: entry.origin.service.to_string(),
        protocol: entry.protocol.to_owned(),
        client: address(entry.origin.client),
        destination: address(Some(entry.origin.destination)),
        upstream: address(entry.upstream),
        method: text(asked.map(Asked::method)),
        path: text(asked.map(Asked::path)),
        authority: text(asked.and_then(Asked::authority)),
        server_name: text(entry.server_name.as_deref().map(str::as_bytes)),
        status: outcome.status.map_or(0, |status| status.as_u16().into()),
        grpc_status: outcome.grpc_status.map_or(-1, |status| status as i32),
        reason: outcome.failure.map(Reason::label).unwrap_or_default().to_owned(),
        flags: flags_of(entry, outcome),
        attempts: entry.attempts,
        received_bytes: entry.received.get(),
        sent_bytes: entry.sent.get(),
        route: way.and_then(|way| way.route.as_deref()).unwrap_or_default().to_owned(),
        cluster: way
            .and_then(|way| way.cluster.as_ref())
            .map(|[_, name]| name.to_string())
            .unwrap_or_default(),
        request_headers: headers(all(0), values, counts),
        response_headers: headers(all(1), values, counts),
    }
}

/// How much of one head is told: a thousand events may wait for each who listens.
const MOST_FIELDS: usize = 100;
const MOST_BYTES: usize = 8_192;
/// Of one name and of one value.
const LONGEST_NAME: usize = 128;
const LONGEST_VALUE: usize = 256;

fn headers(fields: &[Field], values: &Values, counts: &Counts) -> Vec<Header> {
    let mut bytes = 0;
    let header = |(name, value): &Field| {
        let header = Header {
            name: escaped(&cut(name, LONGEST_NAME).to_ascii_lowercase()),
            value: if values.tell(name) {
                escaped(cut(value, LONGEST_VALUE))
            } else {
                counts.redacted.fetch_add(1, Ordering::Relaxed);
                REDACTED.to_owned()
            },
        };
        bytes += header.name.len() + header.value.len();
        (bytes <= MOST_BYTES).then_some(header)
    };
    fields.iter().take(MOST_FIELDS).map_while(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a head with this field, so many times.
    fn told(times: usize, name: &[u8], value: &[u8]) -> Vec<Header> {
        let fields = vec![(name.into(), value.into()); times];
        headers(&fields, &Values::All, &Counts::default())
    }

    #[test]
    fn long_names_and_values_are_told_by_their_beginnings() {
        let told = told(1, &[b'A'; 300], &[b'v'; 300]);
        assert_eq!(
            (told[0].name.as_str(), told[0].value.as_str()),
            ("a".repeat(128).as_str(), "v".repeat(256).as_str())
        );
    }

    #[test]
    fn of_a_large_head_the_first_fields_are_told() {
        assert_eq!(told(120, b"a", b"b").len(), 100);
        // 384 bytes each.
        assert_eq!(told(30, &[b'a'; 128], &[b'v'; 300]).len(), 21);
        // What is escaped takes four.
        assert_eq!(told(30, b"a", &[0xff; 256]).len(), 7);
    }
}
