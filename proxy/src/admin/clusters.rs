//! `/clusters`: every endpoint with its live state, as a table for people or as JSON.

use super::Door;
use super::control_plane;
use super::endpoints;
use super::endpoints::ClusterState;
use super::endpoints::EndpointState;
use super::readiness::WITHOUT_CONFIGURATION;
use super::table;
use super::table::or_dash;
use serde_json::json;
use std::fmt::Write;

const COLUMNS: [&str; 12] = [
    "ENDPOINT",
    "WEIGHT",
    "HEALTH",
    "FAILURES",
    "IN-FLIGHT",
    "LATENCY",
    "IDLE",
    "HTTP/2",
    "OPENED",
    "FAILED",
    "REQUESTS",
    "ERRORS",
];

/// For people.
pub(super) fn text(door: &Door) -> String {
    let status = door.status.borrow().clone();
    let mut page = String::new();
    // Writing to a String cannot fail.
    let phase = door.lifecycle.phase().label();
    let _ = writeln!(page, "{phase}, configuration {}", status.generation());
    let _ = writeln!(page, "{}", control_plane::sentence(door.control_plane.as_ref()));
    if status.passes_through() {
        let _ = writeln!(page, "{WITHOUT_CONFIGURATION}");
    }
    if let Some(refusal) = &status.refusal {
        let first = refusal.faults.first().map_or("", String::as_str);
        let count = refusal.faults.len();
        let _ = writeln!(
            page,
            "the newest update was refused, faults: {count}, all of them in /config_dump\n  {first}"
        );
    }
    let Some(snapshot) = &status.snapshot else { return page };
    for cluster in endpoints::clusters(door, snapshot) {
        section(&mut page, &cluster);
    }
    page
}

/// For programs.
pub(super) fn json(door: &Door) -> serde_json::Value {
    let status = door.status.borrow().clone();
    let clusters = status
        .snapshot
        .as_ref()
        .map(|snapshot| endpoints::clusters(door, snapshot));
    json!({
        "phase": door.lifecycle.phase().label(),
        "generation": status.generation(),
        "passes_through": status.passes_through(),
        "source": control_plane::sentence(door.control_plane.as_ref()),
        "refusal": status.refusal.as_ref().map(|refusal| &refusal.faults),
        "clusters": clusters.unwrap_or_default(),
    })
}

fn section(page: &mut String, state: &ClusterState) {
    let ClusterState {
        cluster,
        service,
        algorithm,
        named,
        endpoints,
        more,
    } = state;
    let rows: Vec<_> = endpoints.iter().map(cells).collect();
    let _ = write!(page, "\n{cluster}  (service {service}, {algorithm})\n");
    if rows.is_empty() {
        page.push_str(if *named { "  no endpoints\n" } else { "  none in use\n" });
        return;
    }
    table::write(page, COLUMNS, &rows);
    if *more > 0 {
        let _ = writeln!(page, "  and {more} more");
    }
}

fn cells(endpoint: &EndpointState) -> [String; COLUMNS.len()] {
    [
        endpoint.address.to_string(),
        or_dash(endpoint.weight),
        endpoint.health.label().to_owned(),
        endpoint.failures.to_string(),
        endpoint.in_flight.to_string(),
        or_dash(endpoint.latency_ms.map(|latency| format!("{latency:.2} ms"))),
        endpoint.idle.to_string(),
        endpoint.http2.to_string(),
        endpoint.opened.to_string(),
        endpoint.failed.to_string(),
        endpoint.requests.to_string(),
        endpoint.request_failures.to_string(),
    ]
}
