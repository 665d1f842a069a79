//! The metrics by name: all books added up, as a page for Prometheus.

use std::sync::Arc;

use crate::telemetry::Book;
use crate::telemetry::Direction;
use crate::telemetry::Eviction;
use crate::telemetry::Family;
use crate::telemetry::Form;
use crate::telemetry::PoolSeries;
use crate::telemetry::Speculation;
use crate::telemetry::Verdict;
use crate::telemetry::Version;
use crate::telemetry::catalogue;
use crate::telemetry::exposition::Labels;
use crate::telemetry::exposition::Page;
use crate::telemetry::service_metrics;
use crate::telemetry::sums::CounterOf;
use crate::telemetry::sums::Row;
use crate::telemetry::sums::closed;
use crate::telemetry::sums::counters;
use crate::telemetry::sums::gauge;
use crate::telemetry::sums::occurred;

/// The whole page: the sum of the books, then `extra` as it is. Names in `extra` are not those of the books, and each
/// occurs once. It takes its time: not for a thread that has something else to do.
pub fn render(books: &[Arc<Book>], extra: impl IntoIterator<Item = Family>, form: Form) -> String {
    let mut page = Page::new(form);
    page.family(catalogue::BUILD_INFO);
    let version = Labels::default().with("version", env!("CARGO_PKG_VERSION"));
    page.sample(&version, 1_u64);
    workers(&mut page, books);
    connections(&mut page, books);
    detection(&mut page, books);
    pools(&mut page, books);
    service_metrics::write(&mut page, books);
    for family in extra {
        page.family(family.metric);
        for sample in family.samples {
            let labelled = |labels: Labels, (name, value): &(&str, String)| labels.with(name, value);
            let labels = sample.labels.iter().fold(Labels::default(), labelled);
            page.sample(&labels, sample.value);
        }
    }
    page.finish()
}

const POOLS: [CounterOf<PoolSeries>; 2] = [
    (catalogue::POOL_OPENED, |part| &part.opened),
    (catalogue::POOL_REUSED, |part| &part.reused),
];

fn workers(page: &mut Page, books: &[Arc<Book>]) {
    let labels = |book: &Book| Labels::default().with("worker", &book.worker().to_string());
    page.family(catalogue::WORKER_CONNECTIONS);
    for book in books {
        let open = Direction::ALL.map(|direction| book.connections(direction).open.value());
        page.sample(&labels(book), open.iter().sum::<i64>());
    }
    page.family(catalogue::WORKER_GENERATION);
    for book in books {
        page.sample(&labels(book), book.generation.value());
    }
    page.family(catalogue::WORKER_BUSY);
    for book in books {
        page.sample(&labels(book), book.busy().as_secs_f64());
    }
    page.family(catalogue::WORKER_BUFFERED);
    for book in books {
        page.sample(&labels(book), book.buffered_bytes.value());
    }
    page.family(catalogue::WORKER_LONGEST_APPLY);
    for book in books {
        page.sample(&labels(book), book.longest_apply().as_secs_f64());
    }
    counters(
        page,
        &[together(books)],
        &[(catalogue::ACCEPT_ERRORS, |book| &book.accept_errors)],
    );
}

fn connections(page: &mut Page, books: &[Arc<Book>]) {
    let rows = Direction::ALL.map(|direction| Row {
        labels: Labels::default().with("direction", direction.label()),
        parts: books.iter().map(|book| book.connections(direction)).collect(),
    });
    gauge(page, &rows, catalogue::CONNECTIONS_OPEN, |part| &part.open);
    counters(page, &rows, &[(catalogue::CONNECTIONS_OPENED, |part| &part.opened)]);
    page.family(catalogue::CONNECTIONS_CLOSED);
    for row in &rows {
        closed(page, &row.labels, |reason| row.total(|part| part.closed.of(reason)));
    }
}

fn detection(page: &mut Page, books: &[Arc<Book>]) {
    let books = together(books);
    page.family(catalogue::DETECTIONS);
    for verdict in Verdict::ALL {
        let labels = Labels::default().with("result", verdict.label());
        page.sample(&labels, books.total(|book| &book.verdicts[verdict as usize]));
    }
    page.family(catalogue::SPECULATIVE_CONNECTIONS);
    for speculation in Speculation::ALL {
        let labels = Labels::default().with("result", speculation.label());
        page.sample(&labels, books.total(|book| &book.speculations[speculation as usize]));
    }
}

fn pools(page: &mut Page, books: &[Arc<Book>]) {
    let rows = Version::ALL.map(|version| Row {
        labels: Labels::default().with("protocol", version.label()),
        parts: books.iter().map(|book| book.pool(version)).collect(),
    });
    gauge(page, &rows, catalogue::POOL_IDLE, |part| &part.idle);
    gauge(page, &rows, catalogue::POOL_WAITING, |part| &part.waiting);
    counters(page, &rows, &POOLS);
    page.family(catalogue::POOL_EVICTED);
    for row in &rows {
        let reasons = Eviction::ALL.map(|why| (why as usize, why.label().to_owned()));
        occurred(page, &row.labels, "reason", reasons.into_iter(), |slot| {
            row.total(|part| &part.evicted[slot])
        });
    }
}

/// All books without a label between them.
fn together(books: &[Arc<Book>]) -> Row<'_, Book> {
    Row {
        labels: Labels::default(),
        parts: books.iter().map(Arc::as_ref).collect(),
    }
}
