//! Every endpoint with its live state, for all pages that show endpoints.

use super::Door;
use crate::balance::Millis;
use crate::snapshot::Cluster;
use crate::snapshot::Discovery;
use crate::snapshot::Snapshot;
use crate::telemetry::Traffic;
use crate::upstream::backoff::Admission;
use crate::upstream::shared::Shared;
use evenkeel_control_api::resource::cluster::Algorithm;
use evenkeel_control_api::resource::endpoint::HealthStatus;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use tokio::time::Instant;

/// Endpoints of one cluster that the configuration does not name and a page shows: applications choose them.
const UNNAMED_SHOWN: usize = 100;

/// A cluster with its endpoints.
#[derive(Debug, Serialize)]
pub(super) struct ClusterState {
    pub(super) cluster: String,
    pub(super) service: String,
    pub(super) algorithm: &'static str,
    /// Whether the configuration names the endpoints; else applications choose them.
    pub(super) named: bool,
    pub(super) endpoints: Vec<EndpointState>,
    /// Endpoints beyond those shown.
    pub(super) more: usize,
}

/// An endpoint as of now.
#[derive(Debug, Serialize)]
pub(super) struct EndpointState {
    pub(super) address: SocketAddr,
    /// `None`: the configuration does not name it.
    pub(super) weight: Option<u32>,
    pub(super) health: Health,
    /// Failures to connect in a row.
    pub(super) failures: u32,
    pub(super) in_flight: u32,
    /// `None`: nothing was observed.
    pub(super) latency_ms: Option<f64>,
    pub(super) idle: i64,
    pub(super) http2: i64,
    pub(super) opened: u64,
    pub(super) failed: u64,
    /// Requests that went there and have ended, and those of them that failed.
    pub(super) requests: u64,
    pub(super) request_failures: u64,
    /// Opaque connections that went there.
    pub(super) connections: u64,
    /// All of these, to be compared with what was before.
    #[serde(skip)]
    pub(super) traffic: Traffic,
    /// When they were all 0: now, where no worker knows the endpoint.
    #[serde(skip)]
    pub(super) born: SystemTime,
}

/// Whether requests go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Health {
    /// Nothing is known against it.
    Healthy,
    /// It failed, and nobody tries for a while.
    BackOff,
    /// It failed, and the next request tries.
    ProbeDue,
    /// The control plane says that it is not well.
    Unhealthy,
    /// It left the configuration, and what is in flight is finished.
    Removed,
}

impl Health {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::BackOff => "back-off",
            Self::ProbeDue => "probe-due",
            Self::Unhealthy => "unhealthy",
            Self::Removed => "removed",
        }
    }
}

/// Every cluster of the configuration in force, by name.
pub(super) fn clusters(door: &Door, snapshot: &Snapshot) -> Vec<ClusterState> {
    let now = Millis(Instant::now().saturating_duration_since(door.epoch).as_millis() as u32);
    let mut known: BTreeMap<Arc<str>, BTreeMap<SocketAddr, Arc<Shared>>> = BTreeMap::new();
    for (cluster, address, shared) in door.registry.all() {
        known.entry(cluster).or_default().insert(address, shared);
    }
    let mut clusters: Vec<_> = snapshot
        .clusters()
        .map(|(_, cluster)| state(cluster, known.remove(&cluster.name).unwrap_or_default(), now))
        .collect();
    clusters.sort_by(|one, other| one.cluster.cmp(&other.cluster));
    clusters
}

fn state(cluster: &Cluster, mut known: BTreeMap<SocketAddr, Arc<Shared>>, now: Millis) -> ClusterState {
    let (endpoints, named): (&[_], _) = match &cluster.discovery {
        Discovery::Endpoints(assignment) => (&assignment.endpoints, true),
        Discovery::OriginalDestination(_) => (&[], false),
    };
    let mut endpoints: Vec<_> = endpoints
        .iter()
        .map(|endpoint| {
            let state = live(endpoint.address, known.remove(&endpoint.address).as_deref(), now);
            EndpointState {
                weight: Some(endpoint.weight.get()),
                health: match endpoint.health {
                    HealthStatus::Healthy | HealthStatus::Degraded => state.health,
                    HealthStatus::Unhealthy => Health::Unhealthy,
                },
                ..state
            }
        })
        .collect();
    let more = known.len().saturating_sub(UNNAMED_SHOWN);
    endpoints.extend(known.iter().take(UNNAMED_SHOWN).map(|(address, shared)| {
        let state = live(*address, Some(shared), now);
        EndpointState {
            health: if named { Health::Removed } else { state.health },
            ..state
        }
    }));
    ClusterState {
        cluster: cluster.name.to_string(),
        service: cluster.service.to_string(),
        algorithm: algorithm(cluster),
        named,
        endpoints,
        more,
    }
}

/// How an endpoint of the cluster is chosen, as mesh documents say it.
pub(super) fn algorithm(cluster: &Cluster) -> &'static str {
    match (&cluster.discovery, cluster.algorithm) {
        (Discovery::OriginalDestination(_), _) => "original destination",
        (Discovery::Endpoints(_), Algorithm::PeakEwma) => "peak_ewma",
        (Discovery::Endpoints(_), Algorithm::LeastRequest { .. }) => "least_request",
        (Discovery::Endpoints(_), Algorithm::RoundRobin) => "round_robin",
        (Discovery::Endpoints(_), Algorithm::Random) => "random",
        (Discovery::Endpoints(_), Algorithm::Hashed) => "hashed",
    }
}

fn live(address: SocketAddr, shared: Option<&Shared>, now: Millis) -> EndpointState {
    // Without any, no worker has it yet, and what is counted begins now.
    let untouched = Shared::default();
    let shared = shared.unwrap_or(&untouched);
    let traffic = shared.traffic();
    EndpointState {
        address,
        weight: None,
        health: match shared.backoff.admission(now) {
            Admission::Open => Health::Healthy,
            Admission::Probe => Health::ProbeDue,
            Admission::Paused => Health::BackOff,
        },
        failures: shared.backoff.failures(),
        in_flight: shared.load.in_flight(),
        latency_ms: shared.load.latency(now).map(|latency| latency.as_secs_f64() * 1_000.0),
        idle: shared.idle.load(Ordering::Relaxed),
        http2: shared.multiplexed.load(Ordering::Relaxed),
        opened: shared.opened.load(Ordering::Relaxed),
        failed: shared.failed.load(Ordering::Relaxed),
        requests: traffic.requests,
        request_failures: traffic.failed,
        connections: traffic.connections,
        traffic,
        born: shared.born,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_of_an_endpoint_that_no_worker_has_begins_now() {
        let before = SystemTime::now();
        let state = live(SocketAddr::from(([10, 0, 0, 1], 80)), None, Millis(0));
        assert!(state.born >= before && state.requests == 0);
    }
}
