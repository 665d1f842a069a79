//! `/memory`: what the process has, what it may have, and what explains it.

use super::Door;
use super::table;
use super::table::or_dash;
use crate::snapshot::Discovery;
use crate::telemetry::Direction;
use crate::telemetry::Version;
use crate::telemetry::process;
use serde::Serialize;
use std::fs;

/// The page. What the kernel does not tell is absent.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    process: process::Memory,
    /// Of the control group that the process is in.
    group: Group,
    holds: Holds,
}

#[derive(Debug, Serialize)]
struct Group {
    used_bytes: Option<u64>,
    most_bytes: Option<u64>,
}

/// What there is many of.
#[derive(Debug, Serialize)]
struct Holds {
    connections: i64,
    idle_upstream_connections: i64,
    /// For readers that are behind.
    buffered_bytes: i64,
    clusters: usize,
    endpoints: usize,
    /// Those that somebody has used, or that applications chose.
    endpoints_in_use: usize,
    services: usize,
}

/// As of now.
pub(super) fn memory(door: &Door) -> Memory {
    let snapshot = door.status.borrow().snapshot.clone();
    let clusters = || snapshot.iter().flat_map(|snapshot| snapshot.clusters());
    let endpoints = clusters().map(|(_, cluster)| match &cluster.discovery {
        Discovery::Endpoints(assignment) => assignment.endpoints.len(),
        Discovery::OriginalDestination(_) => 0,
    });
    let open = |direction| door.books.iter().map(move |book| book.connections(direction).open());
    let pools = door
        .books
        .iter()
        .flat_map(|book| [Version::Http1, Version::Http2].map(|version| book.pool(version).idle.value()));
    Memory {
        process: process::memory(),
        group: Group {
            used_bytes: group("memory.current"),
            most_bytes: group("memory.max"),
        },
        holds: Holds {
            connections: open(Direction::Inbound).chain(open(Direction::Outbound)).sum(),
            idle_upstream_connections: pools.sum(),
            buffered_bytes: door.books.iter().map(|book| book.buffered_bytes.value()).sum(),
            clusters: clusters().count(),
            endpoints: endpoints.sum(),
            endpoints_in_use: door.registry.all().len(),
            services: door
                .books
                .iter()
                .map(|book| book.service_count())
                .max()
                .unwrap_or_default(),
        },
    }
}

/// A container sees its own group there. `max` is no number.
fn group(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/sys/fs/cgroup/{name}"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// For people.
pub(super) fn text(memory: &Memory) -> String {
    let Memory { process, group, holds } = memory;
    let mut page = String::new();
    let bytes = |name: &str, value: Option<u64>| [name.to_owned(), or_dash(value.map(mebibytes))];
    let rows = [
        bytes("resident", process.resident_bytes),
        bytes("resident at most so far", process.peak_resident_bytes),
        bytes("of that anonymous", process.anonymous_bytes),
        bytes("of that files", process.file_bytes),
        bytes("swapped", process.swapped_bytes),
        bytes("address space", process.virtual_bytes),
        bytes("control group", group.used_bytes),
        bytes("control group at most", group.most_bytes),
    ];
    table::write(&mut page, ["MEMORY", ""], &rows);
    page.push('\n');
    let count = |name: &str, value: &dyn ToString| [name.to_owned(), value.to_string()];
    let rows = [
        count("connections", &holds.connections),
        count("idle connections upstream", &holds.idle_upstream_connections),
        count("bytes for readers that are behind", &holds.buffered_bytes),
        count("clusters", &holds.clusters),
        count("endpoints", &holds.endpoints),
        count("endpoints in use", &holds.endpoints_in_use),
        count("services that are counted", &holds.services),
    ];
    table::write(&mut page, ["HELD", ""], &rows);
    page
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
