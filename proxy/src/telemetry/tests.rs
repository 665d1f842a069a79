//! The page as a strict reader of the format sees it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::failure::Reason;
use crate::telemetry::Book;
use crate::telemetry::ConnectionRecord;
use crate::telemetry::Direction;
use crate::telemetry::Family;
use crate::telemetry::Form;
use crate::telemetry::Protocol;
use crate::telemetry::RequestRecord;
use crate::telemetry::Sample;
use crate::telemetry::Speculation;
use crate::telemetry::TcpRecord;
use crate::telemetry::Verdict;
use crate::telemetry::Version;
use crate::telemetry::catalogue;
use crate::telemetry::histogram::Taken;
use crate::telemetry::process;
use crate::telemetry::render;
use crate::telemetry::trace::SpanId;
use crate::telemetry::trace::TraceId;

/// A page that was read: values by name and sorted labels, types by family.
pub(crate) struct Read {
    values: BTreeMap<(String, BTreeMap<String, String>), f64>,
    types: BTreeMap<String, String>,
}

impl Read {
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.values.get(&(name.to_owned(), labels)).copied()
    }
}

/// Reads the format and refuses what Prometheus would refuse or take for something else.
pub(crate) fn read(page: &str) -> Read {
    assert!(page.ends_with('\n'), "the last line has an end");
    let mut read = Read {
        values: BTreeMap::new(),
        types: BTreeMap::new(),
    };
    let (mut helped, mut family) = (BTreeSet::new(), String::new());
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect(line);
            assert!(
                name == family && !text.is_empty() && helped.insert(name.to_owned()),
                "help once: {line}"
            );
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect(line);
            name.clone_into(&mut family);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(
                kind == "counter",
                name.ends_with("_total"),
                "counters and nothing else are totals: {line}"
            );
            assert_eq!(
                read.types.insert(name.to_owned(), kind.to_owned()),
                None,
                "type once: {line}"
            );
        } else {
            let (name, labels, value) = sample(line);
            let kind = read.types.get(&family).expect(line);
            let suffixes: &[&str] = if kind == "histogram" {
                &["_bucket", "_sum", "_count"]
            } else {
                &[""]
            };
            let suffix = name.strip_prefix(&family).expect(line);
            assert!(suffixes.contains(&suffix), "a sample of the family: {line}");
            assert!(kind == "gauge" || value >= 0.0, "{line}");
            assert_eq!(
                read.values.insert((name, labels), value),
                None,
                "a series twice: {line}"
            );
        }
    }
    check_histograms(&read);
    read
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let end = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, quoted) = rest.split_once("=\"").expect(line);
            assert!(is_name(label) && !label.contains(':'), "{line}");
            let (value, after) = unquote(quoted).expect(line);
            assert_eq!(labels.insert(label.to_owned(), value), None, "a label twice: {line}");
            rest = after.strip_prefix(',').unwrap_or(after);
            assert!(after.starts_with(['}', ',']), "{line}");
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').and_then(|value| value.parse().ok()).expect(line);
    (name.to_owned(), labels, value)
}

fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                same @ ('\\' | '"') => same,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "_:".contains(character))
}

fn check_histograms(read: &Read) {
    for (family, _) in read.types.iter().filter(|(_, kind)| *kind == "histogram") {
        for ((_, labels), count) in read
            .values
            .iter()
            .filter(|((name, _), _)| *name == format!("{family}_count"))
        {
            assert!(
                read.values.contains_key(&(format!("{family}_sum"), labels.clone())),
                "{family} has a sum"
            );
            let mut buckets: Vec<(f64, f64)> = Vec::new();
            for ((name, all), value) in &read.values {
                let mut others = all.clone();
                if let Some(bound) = others
                    .remove("le")
                    .filter(|_| *name == format!("{family}_bucket") && others == *labels)
                {
                    buckets.push((bound.parse().unwrap(), *value));
                }
            }
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(
                buckets.len() > 1 && buckets.is_sorted_by(|one, other| one.1 <= other.1),
                "{buckets:?}"
            );
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{family}");
        }
    }
}

fn request(book: &Book, service: &str, protocol: Protocol) -> RequestRecord {
    let series = book.service(Direction::Outbound, service);
    RequestRecord::new(&series, protocol, Instant::now())
}

fn answered(book: &Book, service: &str, status: StatusCode) {
    let mut record = request(book, service, Protocol::Http1);
    record.set_status(status);
}

const SHOP: [(&str, &str); 3] = [("direction", "outbound"), ("service", "shop"), ("protocol", "http1")];

fn shop(label: &'static str, value: &'static str) -> [(&'static str, &'static str); 4] {
    [SHOP[0], SHOP[1], SHOP[2], (label, value)]
}

#[test]
fn an_empty_proxy_has_a_page() {
    let page = read(&render(&[Book::new(0)], process::families(), Form::Prometheus));
    assert_eq!(
        page.value("evenkeel_build_info", &[("version", env!("CARGO_PKG_VERSION"))]),
        Some(1.0)
    );
    assert_eq!(
        page.value("evenkeel_detections_total", &[("result", "server_first")]),
        Some(0.0)
    );
    assert!(page.value("process_resident_memory_bytes", &[]).is_some());
    assert!(!page.values.keys().any(|(name, _)| name.starts_with("evenkeel_request")));
}

#[test]
fn a_page_with_everything_on_it_reads() {
    let book = Book::new(0);
    answered(&book, "shop", StatusCode::OK);
    let mut call = request(&book, "shop", Protocol::Grpc);
    call.set_status(StatusCode::OK);
    call.set_grpc_status(14_u8);
    call.set_failure(Reason::ConnectRefused);
    call.retried();
    call.retry_forbidden();
    call.retry_forbidden();
    call.answered_by_configuration();
    call.request_bytes(5);
    call.response_bytes(7);
    drop(call);
    let mut connection = TcpRecord::new(&book.service(Direction::Inbound, "db"));
    connection.received(10);
    connection.sent(20);
    connection.set_failure(Reason::UpstreamClosed);
    drop(connection);
    book.detected(Verdict::Tls);
    book.speculated(Speculation::Adopted);
    book.pool(Version::Http2).idle.increment();
    book.pool(Version::Http1).reused.increment();
    book.accept_errors.increment();
    book.generation.set(3);
    book.applied(Duration::from_millis(2));
    book.applied(Duration::from_millis(1));

    let page = read(&render(&[book], [], Form::Prometheus));
    let grpc = [SHOP[0], SHOP[1], ("protocol", "grpc")];
    let grpc_and = |label| [grpc[0], grpc[1], grpc[2], label];
    assert_eq!(
        page.value("evenkeel_grpc_responses_total", &grpc_and(("grpc_status", "14"))),
        Some(1.0)
    );
    assert_eq!(
        page.value(
            "evenkeel_request_failures_total",
            &grpc_and(("reason", "connect_refused"))
        ),
        Some(1.0)
    );
    assert_eq!(page.value("evenkeel_request_retries_total", &grpc), Some(1.0));
    assert_eq!(page.value("evenkeel_request_retries_forbidden_total", &grpc), Some(2.0));
    assert_eq!(page.value("evenkeel_configured_answers_total", &grpc), Some(1.0));
    assert_eq!(page.value("evenkeel_request_bytes_total", &grpc), Some(5.0));
    assert_eq!(page.value("evenkeel_response_bytes_total", &grpc), Some(7.0));
    let db = [("direction", "inbound"), ("service", "db")];
    let db_closed = [db[0], db[1], ("reason", "upstream_closed")];
    assert_eq!(page.value("evenkeel_tcp_connections_opened_total", &db), Some(1.0));
    assert_eq!(page.value("evenkeel_tcp_connections_open", &db), Some(0.0));
    assert_eq!(
        page.value("evenkeel_tcp_connections_closed_total", &db_closed),
        Some(1.0)
    );
    assert_eq!(page.value("evenkeel_tcp_received_bytes_total", &db), Some(10.0));
    assert_eq!(page.value("evenkeel_tcp_sent_bytes_total", &db), Some(20.0));
    assert_eq!(page.value("evenkeel_detections_total", &[("result", "tls")]), Some(1.0));
    assert_eq!(
        page.value("evenkeel_speculative_connections_total", &[("result", "adopted")]),
        Some(1.0)
    );
    assert_eq!(
        page.value("evenkeel_pool_idle_connections", &[("protocol", "http2")]),
        Some(1.0)
    );
    assert_eq!(
        page.value("evenkeel_pool_connections_reused_total", &[("protocol", "http1")]),
        Some(1.0)
    );
    assert_eq!(page.value("evenkeel_accept_errors_total", &[]), Some(1.0));
    assert_eq!(
        page.value("evenkeel_worker_longest_apply_seconds", &[("worker", "0")]),
        Some(0.002)
    );
    assert_eq!(
        page.value("evenkeel_worker_snapshot_generation", &[("worker", "0")]),
        Some(3.0)
    );
}

#[test]
fn two_books_add_up_to_one_series() {
    let books = [Book::new(0), Book::new(1)];
    answered(&books[0], "shop", StatusCode::OK);
    answered(&books[1], "shop", StatusCode::OK);
    answered(&books[1], "shop", StatusCode::NOT_FOUND);
    let _open = ConnectionRecord::new(Arc::clone(&books[1]), Direction::Outbound);

    let page = read(&render(&books, [], Form::Prometheus));
    assert_eq!(page.value("evenkeel_requests_total", &shop("status", "200")), Some(2.0));
    assert_eq!(page.value("evenkeel_requests_total", &shop("status", "404")), Some(1.0));
    assert_eq!(page.value("evenkeel_request_duration_seconds_count", &SHOP), Some(3.0));
    assert_eq!(
        page.value("evenkeel_connections_open", &[("direction", "outbound")]),
        Some(1.0)
    );
    assert_eq!(page.value("evenkeel_worker_connections", &[("worker", "0")]), Some(0.0));
    assert_eq!(page.value("evenkeel_worker_connections", &[("worker", "1")]), Some(1.0));
}

#[test]
fn a_status_that_nobody_answered_is_no_line() {
    let book = Book::new(0);
    answered(&book, "shop", StatusCode::OK);
    let page = read(&render(&[book], [], Form::Prometheus));
    assert_eq!(
        page.values
            .keys()
            .filter(|(name, _)| name == "evenkeel_requests_total")
            .count(),
        1
    );
    assert_eq!(
        page.values
            .keys()
            .filter(|(name, _)| name == "evenkeel_request_failures_total")
            .count(),
        0
    );
}

#[test]
fn any_name_of_a_service_can_be_read_back() {
    let book = Book::new(0);
    let name = "a \"quoted\" \\ back\\nslash,\nnew line} 1 é";
    answered(&book, name, StatusCode::OK);
    let page = read(&render(&[book], [], Form::Prometheus));
    let labels = [SHOP[0], ("service", name), SHOP[2], ("status", "200")];
    assert_eq!(page.value("evenkeel_requests_total", &labels), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_is_booked_like_any_other() {
    let book = Book::new(0);
    let record = request(&book, "shop", Protocol::Http1);
    let request = async move {
        record.request_bytes(11);
        tokio::time::sleep(Duration::from_hours(1)).await;
        drop(record);
    };
    let cancelled = tokio::time::timeout(Duration::from_millis(40), request);
    let in_flight = read(&render(&[Arc::clone(&book)], [], Form::Prometheus));
    assert_eq!(in_flight.value("evenkeel_requests_in_flight", &SHOP), Some(1.0));
    assert!(cancelled.await.is_err());

    let page = read(&render(&[book], [], Form::Prometheus));
    assert_eq!(page.value("evenkeel_requests_in_flight", &SHOP), Some(0.0));
    assert_eq!(
        page.value("evenkeel_requests_total", &shop("status", "none")),
        Some(1.0)
    );
    assert_eq!(page.value("evenkeel_request_bytes_total", &SHOP), Some(11.0));
    assert_eq!(
        page.value("evenkeel_request_duration_seconds_bucket", &shop("le", "0.025")),
        Some(0.0)
    );
    assert_eq!(
        page.value("evenkeel_request_duration_seconds_bucket", &shop("le", "0.05")),
        Some(1.0)
    );
}

#[test]
fn the_first_reason_stands() {
    let book = Book::new(0);
    let mut connection = ConnectionRecord::new(Arc::clone(&book), Direction::Inbound);
    connection.set_failure(Reason::HeadTimeout);
    connection.set_failure(Reason::DownstreamGone);
    drop(connection);
    drop(ConnectionRecord::new(Arc::clone(&book), Direction::Inbound));
    let page = read(&render(&[book], [], Form::Prometheus));
    let closed = |reason| {
        page.value(
            "evenkeel_connections_closed_total",
            &[("direction", "inbound"), ("reason", reason)],
        )
    };
    assert_eq!(
        [closed("head_timeout"), closed("downstream_gone"), closed("none")],
        [Some(1.0), None, Some(1.0)]
    );
}

#[test]
fn samples_from_elsewhere_stand_beside_those_of_the_books() {
    let labels = |server: &str| vec![("server", server.to_owned())];
    let samples = vec![
        Sample {
            labels: labels("a"),
            value: 0.5,
            since: None,
        },
        Sample {
            labels: labels("b"),
            value: 2.0,
            since: None,
        },
    ];
    let family = Family {
        metric: catalogue::CONTROL_PLANE_CONNECTED,
        samples,
    };
    let page = read(&render(&[Book::new(0)], [family], Form::Prometheus));
    assert_eq!(
        page.value("evenkeel_control_plane_connected", &[("server", "a")]),
        Some(0.5)
    );
    assert_eq!(
        page.value("evenkeel_control_plane_connected", &[("server", "b")]),
        Some(2.0)
    );
}

#[test]
fn a_service_that_nobody_uses_costs_little() {
    assert!(size_of::<crate::telemetry::ServiceSeries>() <= 64);
    let book = Book::new(0);
    for service in 0..1_000 {
        book.service(Direction::Outbound, &format!("service {service}"));
    }
    assert!(render(&[book], [], Form::Prometheus).len() < 20_000);
}

#[test]
fn open_metrics_names_counters_without_their_suffix_and_says_units_and_its_end() {
    let book = Book::new(0);
    answered(&book, "shop", StatusCode::OK);
    let page = render(&[book], process::families(), Form::OpenMetrics);
    for expected in [
        "# TYPE evenkeel_requests counter\n# HELP evenkeel_requests ",
        "\nevenkeel_requests_total{direction=\"outbound\",service=\"shop\",protocol=\"http1\",status=\"200\"} 1\n",
        "# TYPE evenkeel_request_bytes counter\n# UNIT evenkeel_request_bytes bytes\n",
        "# TYPE evenkeel_request_duration_seconds histogram\n# UNIT evenkeel_request_duration_seconds seconds\n",
        ",le=\"1.0\"} 1\n",
        ",le=\"+Inf\"} 1\n",
        "# TYPE process_start_time_seconds gauge\n# UNIT process_start_time_seconds seconds\n",
    ] {
        assert!(page.contains(expected), "{expected} is not in\n{page}");
    }
    assert!(page.ends_with("\n# EOF\n") && page.matches("# EOF").count() == 1);
    assert!(
        !page
            .lines()
            .any(|line| line.starts_with("# TYPE") && line.ends_with("_total counter"))
    );
}

#[test]
fn only_open_metrics_has_exemplars_and_the_newest_of_all_workers() {
    let books = [Book::new(0), Book::new(1)];
    for (book, trace) in books.iter().zip([1, 2]) {
        let series = Arc::clone(book.service(Direction::Outbound, "shop").http(Protocol::Http1));
        let taken = Taken::of(Duration::from_micros(700));
        series.duration.count(taken);
        series.exemplars.keep(taken, TraceId::from(trace), SpanId::from(0xab));
    }
    let page = render(&books, [], Form::OpenMetrics);
    let with: Vec<_> = page.lines().filter_map(|line| line.split_once(" # ")).collect();
    let [(bucket, exemplar)] = with.as_slice() else {
        panic!("{with:?}");
    };
    assert!(bucket.ends_with(",le=\"0.001\"} 2"), "{bucket}");
    let expected = format!("{{trace_id=\"{:032x}\",span_id=\"{:016x}\"}} 0.0007 1", 2, 0xab);
    assert!(exemplar.starts_with(&expected), "{exemplar}");
    assert!(!render(&books, [], Form::Prometheus).contains(" # "));
}
