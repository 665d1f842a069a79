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
use crate::telemetry::Metric;
use crate::telemetry::Sample;
use crate::telemetry::catalogue;
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
    let sample = |phase: Phase| Sample {
        labels: vec![("phase", phase.label().to_owned())],
        value: f64::from(phase == now),
    };
    Family {
        metric: catalogue::PHASE,
        samples: catalogue::PHASES.map(sample).into(),
    }
}

fn access_log(door: &Door) -> Family {
    let dropped = door.access_log.as_ref().map_or(0, |log| log.dropped());
    Family::of(catalogue::ACCESS_LOG_DROPPED, dropped as f64)
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
        Family::of(catalogue::CONFIG_GENERATION, status.generation() as f64),
        Family::of(catalogue::CONFIG_REFUSED, f64::from(status.refusal.is_some())),
        Family::of(catalogue::CONFIG_MISSING, f64::from(status.passes_through())),
        Family {
            metric: catalogue::CONFIG_UPDATES,
            samples: updates.into(),
        },
        Family {
            metric: catalogue::CONFIG_LAST_UPDATE,
            samples: times.into_iter().flatten().collect(),
        },
    ]
}

/// A family, and what it reads off an endpoint; `None`: no sample.
type Reading = (&'static Metric, fn(&EndpointState) -> Option<f64>);

const READINGS: [Reading; 9] = [
    (catalogue::ENDPOINT_HEALTHY, |endpoint| {
        Some(f64::from(endpoint.health == Health::Healthy))
    }),
    (catalogue::ENDPOINT_WEIGHT, |endpoint| endpoint.weight.map(f64::from)),
    (catalogue::ENDPOINT_IN_FLIGHT, |endpoint| {
        Some(f64::from(endpoint.in_flight))
    }),
    (catalogue::ENDPOINT_LATENCY, |endpoint| {
        endpoint.latency_ms.map(|latency| latency / 1_000.0)
    }),
    (catalogue::ENDPOINT_CONSECUTIVE_FAILURES, |endpoint| {
        Some(f64::from(endpoint.failures))
    }),
    (catalogue::ENDPOINT_IDLE_CONNECTIONS, |endpoint| {
        Some(endpoint.idle as f64)
    }),
    (catalogue::ENDPOINT_HTTP2_CONNECTIONS, |endpoint| {
        Some(endpoint.http2 as f64)
    }),
    (catalogue::ENDPOINT_CONNECTIONS_OPENED, |endpoint| {
        Some(endpoint.opened as f64)
    }),
    (catalogue::ENDPOINT_CONNECT_FAILURES, |endpoint| {
        Some(endpoint.failed as f64)
    }),
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
    let family = |(metric, read): Reading| Family {
        metric,
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
