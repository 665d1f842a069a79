//! The metrics that do not come out of workers' books: configuration, phase, endpoints, process.

use super::Door;
use super::control_plane;
use super::endpoints;
use super::endpoints::ClusterState;
use super::endpoints::EndpointState;
use super::endpoints::Health;
use crate::control::status::Status;
use crate::lifecycle::Phase;
use crate::telemetry;
use crate::telemetry::Family;
use crate::telemetry::Kind;
use crate::telemetry::Sample;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// The whole page.
pub(super) fn page(door: &Door) -> String {
    let status = door.status.borrow().clone();
    let mut families = vec![phase(door.lifecycle.phase())];
    families.extend(configuration(&status));
    families.extend(door.control_plane.iter().flat_map(control_plane::families));
    families.extend(endpoints(door, &status));
    families.push(access_log(door));
    families.extend(telemetry::process::families());
    telemetry::render(&door.books, &families)
}

fn phase(now: Phase) -> Family {
    let phases = [
        Phase::Starting,
        Phase::Ready,
        Phase::Parting,
        Phase::Draining,
        Phase::Quitting,
    ];
    let sample = |phase: Phase| Sample {
        labels: vec![("phase", phase.label().to_owned())],
        value: f64::from(phase == now),
    };
    Family {
        name: "evenkeel_phase",
        kind: Kind::Gauge,
        help: "1 for the phase that the process is in.",
        samples: phases.map(sample).into(),
    }
}

fn access_log(door: &Door) -> Family {
    let dropped = door.access_log.as_ref().map_or(0, |log| log.dropped());
    Family::counter(
        "evenkeel_access_log_dropped_total",
        "Lines of the access log that stdout did not take in time.",
        dropped as f64,
    )
}

fn configuration(status: &Status) -> [Family; 5] {
    let sample = |result: &str, value: f64| Sample {
        labels: vec![("result", result.to_owned())],
        value,
    };
    let at = |result: &str, at: Option<SystemTime>| {
        let since = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        since.map(|since| sample(result, since.as_secs_f64()))
    };
    let updates = [
        sample("accepted", status.accepted as f64),
        sample("refused", status.refused as f64),
    ];
    let times = [at("accepted", status.accepted_at), at("refused", status.refused_at)];
    [
        Family::gauge(
            "evenkeel_config_generation",
            "Configuration in force, counted from 1; 0 before the first.",
            status.generation() as f64,
        ),
        Family::gauge(
            "evenkeel_config_refused",
            "Whether the newest update was refused (1), so that an older configuration is in force.",
            f64::from(status.refusal.is_some()),
        ),
        Family::gauge(
            "evenkeel_config_missing",
            "Whether everything is passed through (1), because the control plane has delivered no configuration yet.",
            f64::from(status.passes_through()),
        ),
        Family {
            name: "evenkeel_config_updates_total",
            kind: Kind::Counter,
            help: "Updates of the configuration, by result.",
            samples: updates.into(),
        },
        Family {
            name: "evenkeel_config_last_update_timestamp_seconds",
            kind: Kind::Gauge,
            help: "When the last update with this result came, since 1970.",
            samples: times.into_iter().flatten().collect(),
        },
    ]
}

/// A family, and what it reads off an endpoint; `None`: no sample.
type Reading = (&'static str, Kind, &'static str, fn(&EndpointState) -> Option<f64>);

const READINGS: [Reading; 9] = [
    (
        "evenkeel_endpoint_healthy",
        Kind::Gauge,
        "0 while an endpoint backs off after failures to connect.",
        |endpoint| Some(f64::from(endpoint.health == Health::Healthy)),
    ),
    (
        "evenkeel_endpoint_weight",
        Kind::Gauge,
        "Its share against the other endpoints.",
        |endpoint| endpoint.weight.map(f64::from),
    ),
    (
        "evenkeel_endpoint_in_flight",
        Kind::Gauge,
        "Requests and connections in flight.",
        |endpoint| Some(f64::from(endpoint.in_flight)),
    ),
    (
        "evenkeel_endpoint_latency_seconds",
        Kind::Gauge,
        "Peak EWMA of the latency, as balancing sees it.",
        |endpoint| endpoint.latency_ms.map(|latency| latency / 1_000.0),
    ),
    (
        "evenkeel_endpoint_consecutive_failures",
        Kind::Gauge,
        "Failures to connect since the last success.",
        |endpoint| Some(f64::from(endpoint.failures)),
    ),
    (
        "evenkeel_endpoint_idle_connections",
        Kind::Gauge,
        "HTTP/1 connections that wait in pools.",
        |endpoint| Some(endpoint.idle as f64),
    ),
    (
        "evenkeel_endpoint_http2_connections",
        Kind::Gauge,
        "HTTP/2 connections.",
        |endpoint| Some(endpoint.http2 as f64),
    ),
    (
        "evenkeel_endpoint_connections_opened_total",
        Kind::Counter,
        "Connections opened.",
        |endpoint| Some(endpoint.opened as f64),
    ),
    (
        "evenkeel_endpoint_connect_failures_total",
        Kind::Counter,
        "Attempts to connect that failed.",
        |endpoint| Some(endpoint.failed as f64),
    ),
];

/// Only endpoints that the configuration names: what applications dial would make series without bound.
fn endpoints(door: &Door, status: &Status) -> Vec<Family> {
    let clusters = status
        .snapshot
        .as_ref()
        .map(|snapshot| endpoints::clusters(door, snapshot))
        .unwrap_or_default();
    let named: Vec<_> = clusters
        .iter()
        .flat_map(|cluster| cluster.endpoints.iter().map(move |endpoint| (cluster, endpoint)))
        .filter(|(_, endpoint)| endpoint.weight.is_some())
        .collect();
    let family = |(name, kind, help, read): Reading| Family {
        name,
        kind,
        help,
        samples: named
            .iter()
            .filter_map(|(cluster, endpoint)| Some(sample(cluster, endpoint, read(endpoint)?)))
            .collect(),
    };
    READINGS.map(family).into()
}

fn sample(cluster: &ClusterState, endpoint: &EndpointState, value: f64) -> Sample {
    let labels = vec![
        ("cluster", cluster.cluster.clone()),
        ("endpoint", endpoint.address.to_string()),
    ];
    Sample { labels, value }
}
