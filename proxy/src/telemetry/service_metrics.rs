//! The metrics of services by name. Only what occurred is shown: a status that nobody answered is no line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::telemetry::Book;
use crate::telemetry::HttpSeries;
use crate::telemetry::Protocol;
use crate::telemetry::Roster;
use crate::telemetry::ServiceSeries;
use crate::telemetry::TcpSeries;
use crate::telemetry::catalogue;
use crate::telemetry::exposition::Labels;
use crate::telemetry::histogram::Durations;
use crate::telemetry::key::Key;
use crate::telemetry::series::Born;
use crate::telemetry::sink::Sink;
use crate::telemetry::status::GrpcStatuses;
use crate::telemetry::status::Statuses;
use crate::telemetry::sums::CounterOf;
use crate::telemetry::sums::Row;
use crate::telemetry::sums::closed;
use crate::telemetry::sums::counters;
use crate::telemetry::sums::gauge;
use crate::telemetry::sums::occurred;
use crate::telemetry::sums::reasons;

type Services = BTreeMap<Key, Vec<Arc<ServiceSeries>>>;

const REQUESTS: [CounterOf<HttpSeries>; 5] = [
    (catalogue::REQUEST_RETRIES, |part| &part.retries),
    (catalogue::RETRIES_FORBIDDEN, |part| &part.retries_forbidden),
    (catalogue::CONFIGURED_ANSWERS, |part| &part.configured),
    (catalogue::REQUEST_BYTES, |part| &part.request_bytes),
    (catalogue::RESPONSE_BYTES, |part| &part.response_bytes),
];

const TCP: [CounterOf<TcpSeries>; 3] = [
    (catalogue::TCP_OPENED, |part| &part.opened),
    (catalogue::TCP_RECEIVED, |part| &part.received_bytes),
    (catalogue::TCP_SENT, |part| &part.sent_bytes),
];

/// Writes what the books have about services.
pub(super) fn write(sink: &mut Sink<'_>, books: &[Arc<Book>]) {
    let mut services = Services::new();
    for (key, series) in books.iter().flat_map(|book| book.all_services()) {
        services.entry(key).or_default().push(series);
    }
    let Some(roster) = books.first().map(|book| book.roster()) else {
        return;
    };
    requests(sink, &http_rows(roster, &services));
    tcp_connections(sink, &tcp_rows(roster, &services));
    sink.family(catalogue::METRICS_SERVICES);
    sink.sample(&Labels::default(), roster.len());
    sink.family(catalogue::METRICS_OTHERS);
    sink.sample(&Labels::default(), roster.turned_away());
}

fn requests(sink: &mut Sink<'_>, rows: &[Row<'_, HttpSeries>]) {
    gauge(sink, rows, catalogue::REQUESTS_IN_FLIGHT, |part| &part.in_flight);

    sink.family(catalogue::REQUESTS);
    for row in rows {
        let count = |slot| row.parts.iter().map(|part| part.statuses.value(slot)).sum();
        occurred(sink, &row.labels, "status", Statuses::labels(), count);
    }
    sink.family(catalogue::GRPC_RESPONSES);
    for row in rows {
        let count = |slot| row.parts.iter().map(|part| part.grpc_statuses.value(slot)).sum();
        occurred(sink, &row.labels, "grpc_status", GrpcStatuses::labels(), count);
    }
    sink.family(catalogue::REQUEST_FAILURES);
    for row in rows {
        let count = |slot: usize| row.total(|part| &part.failures[slot]);
        occurred(sink, &row.labels, "reason", reasons(), count);
    }
    counters(sink, rows, &REQUESTS);

    sink.family(catalogue::REQUEST_DURATION);
    for row in rows {
        let mut durations = Durations::default();
        for part in &row.parts {
            durations.add(&part.duration);
            durations.add_exemplars(&part.exemplars);
        }
        sink.durations(&row.labels, &durations);
    }
}

fn tcp_connections(sink: &mut Sink<'_>, rows: &[Row<'_, TcpSeries>]) {
    gauge(sink, rows, catalogue::TCP_OPEN, |part| &part.open);
    counters(sink, rows, &TCP);
    sink.family(catalogue::TCP_DURATION);
    for row in rows {
        let mut durations = Durations::default();
        for part in &row.parts {
            durations.add(&part.duration);
        }
        sink.durations(&row.labels, &durations);
    }
    sink.family(catalogue::TCP_CLOSED);
    for row in rows {
        closed(sink, &row.labels, |reason| row.total(|part| part.closed.of(reason)));
    }
}

fn http_rows<'a>(roster: &Roster, services: &'a Services) -> Vec<Row<'a, HttpSeries>> {
    let rows = services.iter().flat_map(|(key, series)| {
        Protocol::ALL.map(|protocol| {
            let parts: Vec<_> = series
                .iter()
                .filter_map(|series| series.http_if_used(protocol))
                .collect();
            let labels = roster.labels(key).with("protocol", protocol.label());
            Row {
                labels: labels.since(first(parts.iter().map(|part| part.born))),
                parts,
            }
        })
    });
    rows.filter(|row| row.parts.iter().any(|part| !part.is_untouched()))
        .collect()
}

fn tcp_rows<'a>(roster: &Roster, services: &'a Services) -> Vec<Row<'a, TcpSeries>> {
    let rows = services.iter().map(|(key, series)| {
        let parts: Vec<_> = series.iter().filter_map(|series| series.tcp_if_used()).collect();
        Row {
            labels: roster.labels(key).since(first(parts.iter().map(|part| part.born))),
            parts,
        }
    });
    rows.filter(|row| row.parts.iter().any(|part| !part.is_untouched()))
        .collect()
}

/// All workers forget a service at once: the first that counts it again is the beginning of the sum.
fn first(born: impl Iterator<Item = Born>) -> Option<SystemTime> {
    born.min().map(|Born(at)| at)
}
