//! The metrics of services by name. Only what occurred is shown: a status that nobody answered is no line.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::telemetry::Book;
use crate::telemetry::Direction;
use crate::telemetry::HttpSeries;
use crate::telemetry::Protocol;
use crate::telemetry::Roster;
use crate::telemetry::ServiceSeries;
use crate::telemetry::TcpSeries;
use crate::telemetry::catalogue;
use crate::telemetry::exposition::Labels;
use crate::telemetry::exposition::Page;
use crate::telemetry::histogram::Durations;
use crate::telemetry::status::GrpcStatuses;
use crate::telemetry::status::Statuses;
use crate::telemetry::sums::CounterOf;
use crate::telemetry::sums::Row;
use crate::telemetry::sums::closed;
use crate::telemetry::sums::counters;
use crate::telemetry::sums::gauge;
use crate::telemetry::sums::occurred;
use crate::telemetry::sums::reasons;

type Services = BTreeMap<(Direction, Arc<str>), Vec<Arc<ServiceSeries>>>;

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
pub(super) fn write(page: &mut Page, books: &[Arc<Book>]) {
    let mut services = Services::new();
    for (key, series) in books.iter().flat_map(|book| book.all_services()) {
        services.entry(key).or_default().push(series);
    }
    let Some(roster) = books.first().map(|book| book.roster()) else {
        return;
    };
    requests(page, &http_rows(roster, &services));
    tcp_connections(page, &tcp_rows(roster, &services));
    page.family(catalogue::METRICS_SERVICES);
    page.sample(&Labels::default(), roster.len());
    page.family(catalogue::METRICS_OTHERS);
    page.sample(&Labels::default(), roster.turned_away());
}

fn requests(page: &mut Page, rows: &[Row<'_, HttpSeries>]) {
    gauge(page, rows, catalogue::REQUESTS_IN_FLIGHT, |part| &part.in_flight);

    page.family(catalogue::REQUESTS);
    for row in rows {
        let count = |slot| row.parts.iter().map(|part| part.statuses.value(slot)).sum();
        occurred(page, &row.labels, "status", Statuses::labels(), count);
    }
    page.family(catalogue::GRPC_RESPONSES);
    for row in rows {
        let count = |slot| row.parts.iter().map(|part| part.grpc_statuses.value(slot)).sum();
        occurred(page, &row.labels, "grpc_status", GrpcStatuses::labels(), count);
    }
    page.family(catalogue::REQUEST_FAILURES);
    for row in rows {
        let count = |slot: usize| row.total(|part| &part.failures[slot]);
        occurred(page, &row.labels, "reason", reasons(), count);
    }
    counters(page, rows, &REQUESTS);

    page.family(catalogue::REQUEST_DURATION);
    for row in rows {
        let mut durations = Durations::default();
        for part in &row.parts {
            durations.add(&part.duration);
            durations.add_exemplars(&part.exemplars);
        }
        page.durations(&row.labels, &durations);
    }
}

fn tcp_connections(page: &mut Page, rows: &[Row<'_, TcpSeries>]) {
    gauge(page, rows, catalogue::TCP_OPEN, |part| &part.open);
    counters(page, rows, &TCP);
    page.family(catalogue::TCP_DURATION);
    for row in rows {
        let mut durations = Durations::default();
        for part in &row.parts {
            durations.add(&part.duration);
        }
        page.durations(&row.labels, &durations);
    }
    page.family(catalogue::TCP_CLOSED);
    for row in rows {
        closed(page, &row.labels, |reason| row.total(|part| part.closed.of(reason)));
    }
}

fn http_rows<'a>(roster: &Roster, services: &'a Services) -> Vec<Row<'a, HttpSeries>> {
    let rows = services.iter().flat_map(|(key, series)| {
        Protocol::ALL.map(|protocol| Row {
            labels: roster.labels(key).with("protocol", protocol.label()),
            parts: series
                .iter()
                .filter_map(|series| series.http_if_used(protocol))
                .collect(),
        })
    });
    rows.filter(|row| !row.parts.is_empty()).collect()
}

fn tcp_rows<'a>(roster: &Roster, services: &'a Services) -> Vec<Row<'a, TcpSeries>> {
    let rows = services.iter().map(|(key, series)| Row {
        labels: roster.labels(key),
        parts: series.iter().filter_map(|series| series.tcp_if_used()).collect(),
    });
    rows.filter(|row| !row.parts.is_empty()).collect()
}
