//! What goes on, as the page for browsers shows it: rates of the last seconds, and how the configuration stands.
//!
//! Nothing of this is counted for the page: it compares what workers have counted anyway with what they had a moment ago.

mod configuration;
mod rates;

use super::Door;
use super::endpoints;
use super::endpoints::ClusterState;
use super::endpoints::EndpointState;
use super::endpoints::Health;
use super::times::Clock;
use crate::telemetry;
use crate::telemetry::Direction;
use crate::telemetry::ServiceTraffic;
use crate::telemetry::Traffic;
use configuration::Configuration;
use rates::Figures;
use rates::Window;
use serde::Serialize;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::time::Instant;

/// Services and clusters that are shown, and endpoints of each cluster. Who has more looks into `/clusters` and `/stats`.
const SHOWN: usize = 100;
const ENDPOINTS_SHOWN: usize = 50;

/// Looks at a proxy again and again.
#[derive(Debug, Default)]
pub(super) struct Observer {
    window: Window<Counted>,
}

/// What was counted up to a moment; nothing is kept of what was never used.
#[derive(Debug, Default)]
struct Counted {
    services: HashMap<(Direction, Arc<str>), Traffic>,
    endpoints: HashMap<(String, SocketAddr), Traffic>,
    detections: HashMap<&'static str, u64>,
}

/// One look.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    version: &'static str,
    at_unix_ms: u64,
    uptime_seconds: f64,
    phase: &'static str,
    configuration: Configuration,
    totals: Vec<Total>,
    services: Vec<Service>,
    /// Services beyond those shown.
    more_services: usize,
    clusters: Vec<Cluster>,
    more_clusters: usize,
    detections: Vec<Detection>,
}

/// All services of one direction.
#[derive(Debug, Serialize)]
struct Total {
    direction: &'static str,
    figures: Figures,
    in_flight: i64,
    open_connections: i64,
}

#[derive(Debug, Serialize)]
struct Service {
    direction: &'static str,
    #[serde(rename = "service")]
    name: String,
    protocols: Vec<&'static str>,
    figures: Figures,
    in_flight: i64,
    /// Opaque connections that are open.
    open: i64,
    retries: u64,
}

#[derive(Debug, Serialize)]
struct Cluster {
    #[serde(rename = "cluster")]
    name: String,
    service: String,
    algorithm: &'static str,
    named: bool,
    endpoints: Vec<Endpoint>,
    more: usize,
}

#[derive(Debug, Serialize)]
struct Endpoint {
    address: SocketAddr,
    weight: Option<u32>,
    health: &'static str,
    /// Failures in a row.
    failures: u32,
    in_flight: u32,
    /// As balancing sees it.
    latency_ms: Option<f64>,
    figures: Figures,
}

#[derive(Debug, Serialize)]
struct Detection {
    result: &'static str,
    connections: u64,
    per_second: Option<f64>,
}

impl Observer {
    /// Looks once more.
    pub(super) fn look(&mut self, door: &Door) -> Overview {
        let clock = Clock::now();
        let snapshot = door.status.borrow().snapshot.clone();
        let services = telemetry::services(&door.books);
        let clusters = snapshot
            .map(|snapshot| endpoints::clusters(door, &snapshot))
            .unwrap_or_default();
        let detections = telemetry::detections(&door.books);
        let counted = Counted {
            services: services
                .iter()
                .filter(|(_, one)| one.traffic != Traffic::default())
                .map(|(key, one)| (key.clone(), one.traffic.clone()))
                .collect(),
            endpoints: clusters
                .iter()
                .flat_map(|cluster| cluster.endpoints.iter().map(move |one| (cluster, one)))
                .filter(|(_, one)| one.traffic != Traffic::default())
                .map(|(cluster, one)| ((cluster.cluster.clone(), one.address), one.traffic.clone()))
                .collect(),
            detections: detections.iter().copied().collect(),
        };
        self.window.push(Instant::now(), counted);
        let at = clock
            .wall(Instant::now())
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (services_shown, more_services) = self.services(services.clone());
        let (clusters, more_clusters) = self.clusters(clusters);
        Overview {
            version: env!("CARGO_PKG_VERSION"),
            at_unix_ms: at.as_millis() as u64,
            uptime_seconds: clock.ago(door.epoch),
            phase: door.lifecycle.phase().label(),
            configuration: configuration::configuration(door),
            totals: [Direction::Outbound, Direction::Inbound]
                .map(|direction| self.total(door, direction, &services))
                .into(),
            services: services_shown,
            more_services,
            clusters,
            more_clusters,
            detections: detections.into_iter().map(|one| self.detection(one)).collect(),
        }
    }

    fn total<'a>(
        &self,
        door: &Door,
        direction: Direction,
        services: impl IntoIterator<Item = (&'a (Direction, Arc<str>), &'a ServiceTraffic)>,
    ) -> Total {
        let (mut now, mut before, mut in_flight) = (Traffic::default(), Traffic::default(), 0);
        for (key, service) in services.into_iter().filter(|(key, _)| key.0 == direction) {
            now.add(&service.traffic);
            in_flight += service.in_flight;
            if let Some(traffic) = self.window.before().and_then(|before| before.services.get(key)) {
                before.add(traffic);
            }
        }
        let open = door.books.iter().map(|book| book.connections(direction).open());
        Total {
            direction: direction.label(),
            figures: self.window.figures(&now, |_| Some(&before)),
            in_flight,
            open_connections: open.sum(),
        }
    }

    /// Those with traffic first, in the order of their names: rows that change places cannot be read.
    fn services(
        &self,
        services: impl IntoIterator<Item = ((Direction, Arc<str>), ServiceTraffic)>,
    ) -> (Vec<Service>, usize) {
        let mut all: Vec<_> = services.into_iter().collect();
        all.sort_by_key(|(_, one)| one.protocols.is_empty());
        let more = all.len().saturating_sub(SHOWN);
        all.truncate(SHOWN);
        all.sort_by(|(one, _), (other, _)| (&one.1, one.0).cmp(&(&other.1, other.0)));
        let shown = all.into_iter().map(|(key, one)| Service {
            figures: self.window.figures(&one.traffic, |before| before.services.get(&key)),
            direction: key.0.label(),
            name: key.1.to_string(),
            protocols: one.protocols,
            in_flight: one.in_flight,
            open: one.open,
            retries: one.retries,
        });
        (shown.collect(), more)
    }

    /// Those with trouble or traffic first, and again in the order of their names.
    fn clusters(&self, mut clusters: Vec<ClusterState>) -> (Vec<Cluster>, usize) {
        clusters.sort_by_key(|cluster| cluster.endpoints.iter().map(urgency).min());
        let more = clusters.len().saturating_sub(SHOWN);
        clusters.truncate(SHOWN);
        clusters.sort_by(|one, other| one.cluster.cmp(&other.cluster));
        (clusters.into_iter().map(|one| self.cluster(one)).collect(), more)
    }

    fn cluster(&self, state: ClusterState) -> Cluster {
        let mut endpoints = state.endpoints;
        endpoints.sort_by_key(urgency);
        let beyond = endpoints.len().saturating_sub(ENDPOINTS_SHOWN);
        endpoints.truncate(ENDPOINTS_SHOWN);
        endpoints.sort_by_key(|endpoint| endpoint.address);
        let endpoint = |one: EndpointState| Endpoint {
            figures: self.window.figures(&one.traffic, |before| {
                before.endpoints.get(&(state.cluster.clone(), one.address))
            }),
            address: one.address,
            weight: one.weight,
            health: one.health.label(),
            failures: one.failures,
            in_flight: one.in_flight,
            latency_ms: one.latency_ms,
        };
        Cluster {
            endpoints: endpoints.into_iter().map(endpoint).collect(),
            more: state.more + beyond,
            name: state.cluster,
            service: state.service,
            algorithm: state.algorithm,
            named: state.named,
        }
    }

    fn detection(&self, (result, connections): (&'static str, u64)) -> Detection {
        let before = |before: &Counted| before.detections.get(result).copied();
        Detection {
            result,
            connections,
            per_second: self.window.per_second(connections, before),
        }
    }
}

/// What wants to be seen has the least.
fn urgency(endpoint: &EndpointState) -> u8 {
    match endpoint.health {
        Health::BackOff | Health::ProbeDue | Health::Unhealthy => 0,
        Health::Healthy | Health::Removed if endpoint.traffic != Traffic::default() || endpoint.in_flight > 0 => 1,
        Health::Healthy | Health::Removed => 2,
    }
}
