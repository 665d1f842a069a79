//! The metrics of services by name. Only what occurred is shown: a status that nobody answered is no line.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::telemetry::Book;
use crate::telemetry::Direction;
use crate::telemetry::HttpSeries;
use crate::telemetry::Kind;
use crate::telemetry::Protocol;
use crate::telemetry::ServiceSeries;
use crate::telemetry::TcpSeries;
use crate::telemetry::exposition::Labels;
use crate::telemetry::exposition::Page;
use crate::telemetry::histogram::BOUNDS;
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
    ("evenkeel_request_retries_total", "Attempts beyond the first.", |part| {
        &part.retries
    }),
    (
        "evenkeel_request_retries_forbidden_total",
        "Attempts that the retry budget did not allow.",
        |part| &part.retries_forbidden,
    ),
    (
        "evenkeel_configured_answers_total",
        "Redirects and direct responses of the configuration.",
        |part| &part.configured,
    ),
    ("evenkeel_request_bytes_total", "Bytes of request bodies.", |part| {
        &part.request_bytes
    }),
    ("evenkeel_response_bytes_total", "Bytes of response bodies.", |part| {
        &part.response_bytes
    }),
];

const TCP: [CounterOf<TcpSeries>; 3] = [
    ("evenkeel_tcp_connections_opened_total", "Opaque connections.", |part| {
        &part.opened
    }),
    (
        "evenkeel_tcp_received_bytes_total",
        "Bytes from clients of opaque connections.",
        |part| &part.received_bytes,
    ),
    (
        "evenkeel_tcp_sent_bytes_total",
        "Bytes to clients of opaque connections.",
        |part| &part.sent_bytes,
    ),
];

/// Writes what the books have about services.
pub(super) fn write(page: &mut Page, books: &[Arc<Book>]) {
    let mut services = Services::new();
    for (key, series) in books.iter().flat_map(|book| book.all_services()) {
        services.entry(key).or_default().push(series);
    }
    requests(page, &http_rows(&services));
    tcp_connections(page, &tcp_rows(&services));
}

fn requests(page: &mut Page, rows: &[Row<'_, HttpSeries>]) {
    let help = "Requests whose response is not complete.";
    gauge(page, rows, "evenkeel_requests_in_flight", help, |part| &part.in_flight);

    let help = "Requests by the status of their response; none: no response.";
    page.family("evenkeel_requests_total", Kind::Counter, help);
    for row in rows {
        let count = |slot| row.parts.iter().map(|part| part.statuses.value(slot)).sum();
        occurred(page, &row.labels, "status", Statuses::labels(), count);
    }
    page.family(
        "evenkeel_grpc_responses_total",
        Kind::Counter,
        "Responses by their gRPC status.",
    );
    for row in rows {
        let count = |slot| row.parts.iter().map(|part| part.grpc_statuses.value(slot)).sum();
        occurred(page, &row.labels, "grpc_status", GrpcStatuses::labels(), count);
    }
    page.family(
        "evenkeel_request_failures_total",
        Kind::Counter,
        "Requests that failed in the mesh, by reason.",
    );
    for row in rows {
        let count = |slot: usize| row.total(|part| &part.failures[slot]);
        occurred(page, &row.labels, "reason", reasons(), count);
    }
    counters(page, rows, &REQUESTS);

    let help = "From the request's head to the response's end.";
    page.family("evenkeel_request_duration_seconds", Kind::Histogram, help);
    for row in rows {
        duration(page, row);
    }
}

fn duration(page: &mut Page, row: &Row<'_, HttpSeries>) {
    let mut below = 0;
    let bounds = BOUNDS.iter().map(|(_, label)| *label).chain(["+Inf"]);
    for (index, bound) in bounds.enumerate() {
        below += row.parts.iter().map(|part| part.duration.bucket(index)).sum::<u64>();
        page.sample("_bucket", &row.labels.with("le", bound), below);
    }
    let nanos = row.parts.iter().map(|part| part.duration.nanos()).sum::<u64>();
    page.sample("_sum", &row.labels, nanos as f64 / 1e9);
    // The last bucket rather than a counter of its own: a page is consistent while a worker counts on.
    page.sample("_count", &row.labels, below);
}

fn tcp_connections(page: &mut Page, rows: &[Row<'_, TcpSeries>]) {
    gauge(
        page,
        rows,
        "evenkeel_tcp_connections_open",
        "Opaque connections that are open.",
        |part| &part.open,
    );
    counters(page, rows, &TCP);
    page.family(
        "evenkeel_tcp_connections_closed_total",
        Kind::Counter,
        "Opaque connections closed, by reason.",
    );
    for row in rows {
        closed(page, &row.labels, |reason| row.total(|part| part.closed.of(reason)));
    }
}

fn http_rows(services: &Services) -> Vec<Row<'_, HttpSeries>> {
    let rows = services.iter().flat_map(|(key, series)| {
        Protocol::ALL.map(|protocol| Row {
            labels: service_labels(key).with("protocol", protocol.label()),
            parts: series
                .iter()
                .filter_map(|series| series.http_if_used(protocol))
                .collect(),
        })
    });
    rows.filter(|row| !row.parts.is_empty()).collect()
}

fn tcp_rows(services: &Services) -> Vec<Row<'_, TcpSeries>> {
    let rows = services.iter().map(|(key, series)| Row {
        labels: service_labels(key),
        parts: series.iter().filter_map(|series| series.tcp_if_used()).collect(),
    });
    rows.filter(|row| !row.parts.is_empty()).collect()
}

fn service_labels((direction, service): &(Direction, Arc<str>)) -> Labels {
    Labels::default()
        .with("direction", direction.label())
        .with("service", service)
}
