//! `/runtime`: the process, and what each of its workers has.

use super::Door;
use super::table;
use super::table::or_dash;
use super::times::Clock;
use crate::telemetry::Book;
use crate::telemetry::Direction;
use crate::telemetry::access_log::rfc3339;
use crate::telemetry::process;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The page.
#[derive(Debug, Serialize)]
pub(super) struct Runtime {
    version: &'static str,
    pid: u32,
    phase: &'static str,
    started_at: String,
    uptime_seconds: f64,
    generation: u64,
    threads: Option<f64>,
    open_descriptors: Option<f64>,
    most_descriptors: Option<f64>,
    most_connections: usize,
    control_thread_cpu_seconds: Option<f64>,
    workers: Vec<Worker>,
}

/// One worker.
#[derive(Debug, Serialize)]
struct Worker {
    #[serde(rename = "worker")]
    number: usize,
    inbound_connections: i64,
    outbound_connections: i64,
    in_flight: i64,
    /// The configuration that it uses.
    generation: i64,
    accept_errors: u64,
    /// What it holds for readers that are behind.
    buffered_bytes: i64,
    cpu_seconds: Option<f64>,
}

/// As of now.
pub(super) fn runtime(door: &Door) -> Runtime {
    let clock = Clock::now();
    let cpu = process::cpu_seconds_by_thread();
    let figures: BTreeMap<_, _> = process::families()
        .iter()
        .filter_map(|family| Some((family.metric.name, family.samples.first()?.value)))
        .collect();
    let figure = |name: &str| figures.get(name).copied();
    Runtime {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        phase: door.lifecycle.phase().label(),
        started_at: rfc3339(clock.wall(door.epoch)),
        uptime_seconds: clock.ago(door.epoch),
        generation: door.status.borrow().generation(),
        threads: figure("process_threads"),
        open_descriptors: figure("process_open_fds"),
        most_descriptors: figure("process_max_fds"),
        most_connections: door.settings.limits.connections,
        control_thread_cpu_seconds: cpu.get(CONTROL_THREAD).copied(),
        workers: door.books.iter().map(|book| worker(book, &cpu)).collect(),
    }
}

/// The first thread has the name of the program.
const CONTROL_THREAD: &str = "evenkeel-proxy";

fn worker(book: &Book, cpu: &BTreeMap<String, f64>) -> Worker {
    Worker {
        number: book.worker(),
        inbound_connections: book.connections(Direction::Inbound).open(),
        outbound_connections: book.connections(Direction::Outbound).open(),
        in_flight: book.in_flight(),
        generation: book.generation.value(),
        accept_errors: book.accept_errors.value(),
        buffered_bytes: book.buffered_bytes.value(),
        cpu_seconds: cpu.get(&format!("worker-{}", book.worker())).copied(),
    }
}

/// For people.
pub(super) fn text(runtime: &Runtime) -> String {
    let mut page = String::new();
    let lines = [
        ("version", runtime.version.to_owned()),
        ("process", runtime.pid.to_string()),
        ("phase", runtime.phase.to_owned()),
        ("configuration", runtime.generation.to_string()),
        (
            "started",
            format!("{}, {:.0} s ago", runtime.started_at, runtime.uptime_seconds),
        ),
        ("threads", or_dash(runtime.threads)),
        (
            "descriptors",
            format!(
                "{} of {}",
                or_dash(runtime.open_descriptors),
                or_dash(runtime.most_descriptors)
            ),
        ),
        ("connections at most", runtime.most_connections.to_string()),
        ("CPU of control thread", seconds(runtime.control_thread_cpu_seconds)),
    ];
    for (name, value) in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{name:<22} {value}");
    }
    page.push_str("\nworkers\n");
    let rows: Vec<_> = runtime.workers.iter().map(cells).collect();
    let headings = [
        "WORKER",
        "INBOUND",
        "OUTBOUND",
        "IN-FLIGHT",
        "CONFIGURATION",
        "ACCEPT ERRORS",
        "BUFFERED",
        "CPU",
    ];
    table::write(&mut page, headings, &rows);
    page
}

fn cells(worker: &Worker) -> [String; 8] {
    [
        worker.number.to_string(),
        worker.inbound_connections.to_string(),
        worker.outbound_connections.to_string(),
        worker.in_flight.to_string(),
        worker.generation.to_string(),
        worker.accept_errors.to_string(),
        worker.buffered_bytes.to_string(),
        seconds(worker.cpu_seconds),
    ]
}

fn seconds(value: Option<f64>) -> String {
    or_dash(value.map(|value| format!("{value:.2} s")))
}
