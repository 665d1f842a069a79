//! The metrics by name: all books added up, as a page for Prometheus.

use std::sync::Arc;

use crate::telemetry::Book;
use crate::telemetry::Direction;
use crate::telemetry::Eviction;
use crate::telemetry::Family;
use crate::telemetry::Form;
use crate::telemetry::Points;
use crate::telemetry::PoolSeries;
use crate::telemetry::Speculation;
use crate::telemetry::Verdict;
use crate::telemetry::Version;
use crate::telemetry::catalogue;
use crate::telemetry::exposition::Labels;
use crate::telemetry::exposition::Page;
use crate::telemetry::service_metrics;
use crate::telemetry::sink::Sink;
use crate::telemetry::sums::CounterOf;
use crate::telemetry::sums::Row;
use crate::telemetry::sums::closed;
use crate::telemetry::sums::counters;
use crate::telemetry::sums::gauge;

/// The whole page: the sum of the books, then `extra` as it is. Names in `extra` are not those of the books, and each
/// occurs once. It takes its time: not for a thread that has something else to do.
pub fn render(books: &[Arc<Book>], extra: impl IntoIterator<Item = Family>, form: Form) -> String {
    let mut page = Page::new(form);
    write(&mut Sink::Page(&mut page), books, extra);
    page.finish()
}

/// The same to be pushed.
pub fn push(books: &[Arc<Book>], extra: impl IntoIterator<Item = Family>, mut points: Points) {
    write(&mut Sink::Points(&mut points), books, extra);
    points.finish();
}

fn write(sink: &mut Sink<'_>, books: &[Arc<Book>], extra: impl IntoIterator<Item = Family>) {
    sink.family(catalogue::BUILD_INFO);
    let version = Labels::default().with("version", env!("CARGO_PKG_VERSION"));
    sink.sample(&version, 1_u64);
    workers(sink, books);
    connections(sink, books);
    detection(sink, books);
    pools(sink, books);
    service_metrics::write(sink, books);
    for family in extra {
        sink.family(family.metric);
        for sample in family.samples {
            let labelled = |labels: Labels, (name, value): &(&str, String)| labels.with(name, value);
            let labels = sample
                .labels
                .iter()
                .fold(Labels::default().since(sample.since), labelled);
            sink.sample(&labels, sample.value);
        }
    }
}

const POOLS: [CounterOf<PoolSeries>; 2] = [
    (catalogue::POOL_OPENED, |part| &part.opened),
    (catalogue::POOL_REUSED, |part| &part.reused),
];

fn workers(sink: &mut Sink<'_>, books: &[Arc<Book>]) {
    let labels = |book: &Book| Labels::default().with("worker", &book.worker().to_string());
    sink.family(catalogue::WORKER_CONNECTIONS);
    for book in books {
        let open = Direction::ALL.map(|direction| book.connections(direction).open.value());
        sink.sample(&labels(book), open.iter().sum::<i64>());
    }
    sink.family(catalogue::WORKER_GENERATION);
    for book in books {
        sink.sample(&labels(book), book.generation.value());
    }
    sink.family(catalogue::WORKER_BUSY);
    for book in books {
        sink.sample(&labels(book), book.busy().as_secs_f64());
    }
    sink.family(catalogue::WORKER_BUFFERED);
    for book in books {
        sink.sample(&labels(book), book.buffered_bytes.value());
    }
    sink.family(catalogue::WORKER_LONGEST_APPLY);
    for book in books {
        sink.sample(&labels(book), book.longest_apply().as_secs_f64());
    }
    counters(
        sink,
        &[together(books)],
        &[(catalogue::ACCEPT_ERRORS, |book| &book.accept_errors)],
    );
}

fn connections(sink: &mut Sink<'_>, books: &[Arc<Book>]) {
    let rows = Direction::ALL.map(|direction| Row {
        labels: Labels::default().with("direction", direction.label()),
        parts: books.iter().map(|book| book.connections(direction)).collect(),
    });
    gauge(sink, &rows, catalogue::CONNECTIONS_OPEN, |part| &part.open);
    counters(sink, &rows, &[(catalogue::CONNECTIONS_OPENED, |part| &part.opened)]);
    sink.family(catalogue::CONNECTIONS_CLOSED);
    for row in &rows {
        closed(sink, &row.labels, |reason| row.total(|part| part.closed.of(reason)));
    }
}

fn detection(sink: &mut Sink<'_>, books: &[Arc<Book>]) {
    let books = together(books);
    sink.family(catalogue::DETECTIONS);
    for verdict in Verdict::ALL {
        let labels = Labels::default().with("result", verdict.label());
        sink.sample(&labels, books.total(|book| &book.verdicts[verdict as usize]));
    }
    sink.family(catalogue::SPECULATIVE_CONNECTIONS);
    for speculation in Speculation::ALL {
        let labels = Labels::default().with("result", speculation.label());
        sink.sample(&labels, books.total(|book| &book.speculations[speculation as usize]));
    }
}

fn pools(sink: &mut Sink<'_>, books: &[Arc<Book>]) {
    let rows = Version::ALL.map(|version| Row {
        labels: Labels::default().with("protocol", version.label()),
        parts: books.iter().map(|book| book.pool(version)).collect(),
    });
    gauge(sink, &rows, catalogue::POOL_IDLE, |part| &part.idle);
    gauge(sink, &rows, catalogue::POOL_WAITING, |part| &part.waiting);
    counters(sink, &rows, &POOLS);
    sink.family(catalogue::POOL_EVICTED);
    for row in &rows {
        for why in Eviction::ALL {
            let labels = row.labels.with("reason", why.label());
            sink.sample(&labels, row.total(|part| &part.evicted[why as usize]));
        }
    }
}

/// All books without a label between them.
fn together(books: &[Arc<Book>]) -> Row<'_, Book> {
    Row {
        labels: Labels::default(),
        parts: books.iter().map(Arc::as_ref).collect(),
    }
}
