//! Where the soak takes place: a meshed client, three replicas of which the first is meshed, too.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

use crate::cluster::Cluster;
use crate::cluster::Family;
use crate::document::Document;
use crate::mesh::Mesh;
use crate::pod::Pod;
use crate::replica::Replica;
use crate::service::Port;
use crate::service::Service;
use crate::usage::Usage;
use crate::wait;

/// Each proxy's workers.
const WORKERS: &str = "proxy: {workers: 2}";

/// Every algorithm has its turn.
const ALGORITHMS: [&str; 4] = ["peak_ewma", "least_request", "round_robin", "random"];

/// Within this time every connection of the soak is gone: an idle one upstream is kept for 4 s.
const REST: Duration = Duration::from_secs(40);

/// So often in a row the sockets are counted alike when a proxy is steady: a quarter of a second.
const LOOKS: u32 = 50;

/// Pods and proxies; they end with it.
pub(super) struct World {
    pub(super) client: Pod,
    replicas: Vec<Replica>,
    /// The client's, then the first replica's.
    meshes: [Mesh; 2],
    _cluster: Cluster,
}

// === impl World ===

impl World {
    pub(super) fn new() -> Result<Self> {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(3)?;
        let client = cluster.pod("client")?;
        let all = service(&replicas.iter().collect::<Vec<_>>(), ALGORITHMS[0]);
        cluster.expose(&all)?;
        let meshes = [
            client.mesh(&Document::of(&[&all]).with(WORKERS))?.quiet(),
            replicas[0].pod().mesh(&Document::of(&[]).with(WORKERS))?.quiet(),
        ];
        Ok(Self {
            client,
            replicas,
            meshes,
            _cluster: cluster,
        })
    }

    /// The service that everybody talks to: port 80 is HTTP of all kinds, port 9000 is server-first.
    pub(super) fn service() -> Service {
        service(&[], ALGORITHMS[0])
    }

    /// Publishes the document with this number: another set of endpoints than the one before, another algorithm.
    pub(super) fn change(&self, number: u32) -> Result<()> {
        // The numbers 1 to 7 are the sets of three that are not empty.
        let set = number % 7 + 1;
        let some: Vec<&Replica> = (0..)
            .zip(&self.replicas)
            .filter(|(bit, _)| set >> bit & 1 == 1)
            .map(|(_, one)| one)
            .collect();
        self.publish(&service(&some, ALGORITHMS[number as usize % ALGORITHMS.len()]))
    }

    /// Takes all endpoints away, waits until no connection is open, and looks at both proxies.
    pub(super) fn at_rest(&self) -> Result<Vec<Usage>> {
        self.publish(&service(&[], ALGORITHMS[0]))?;
        let quiet = |mesh: &Mesh| {
            let names = ["evenkeel_connections_open", "evenkeel_pool_idle_connections"];
            // HTTP/2 to the application itself is kept as long as it is configured: the only one that may be idle.
            mesh.wait_for_metrics(REST, |page| {
                page.value(names[0], &[]).abs() < 0.5 && page.value(names[1], &[("protocol", "http1")]).abs() < 0.5
            })
        };
        self.meshes
            .iter()
            .map(|mesh| {
                quiet(mesh).context("connections stay open after the traffic")?;
                steady(mesh)
            })
            .collect()
    }

    /// What the proxies say went wrong with requests, with opaque connections, with connections as such and with attempts to
    /// connect: how often, by reason.
    pub(super) fn reasons(&self) -> Result<BTreeMap<String, u64>> {
        let mut reasons = BTreeMap::new();
        for mesh in &self.meshes {
            for sample in mesh.metrics()?.samples() {
                let reason = match sample.name.as_str() {
                    "evenkeel_request_failures_total"
                    | "evenkeel_tcp_connections_closed_total"
                    | "evenkeel_connections_closed_total" => sample.labels.get("reason").map(String::as_str),
                    "evenkeel_endpoint_connect_failures_total" => Some("failures to connect"),
                    "evenkeel_accept_errors_total" => Some("failures to accept"),
                    _ => None,
                };
                if let Some(reason) = reason.filter(|reason| *reason != "none" && sample.value > 0.5) {
                    *reasons.entry(reason.to_owned()).or_default() += sample.value as u64;
                }
            }
        }
        Ok(reasons)
    }

    /// Connections by how both proxies found out what is spoken.
    pub(super) fn verdicts(&self) -> Result<BTreeMap<String, u64>> {
        let mut verdicts = BTreeMap::new();
        for mesh in &self.meshes {
            for sample in mesh.metrics()?.series("evenkeel_detections_total", &[]) {
                let verdict = sample.labels.get("result").context("a detection without its result")?;
                *verdicts.entry(verdict.clone()).or_default() += sample.value as u64;
            }
        }
        Ok(verdicts)
    }

    /// Publishes, and waits until every worker of the client's proxy has it.
    fn publish(&self, service: &Service) -> Result<()> {
        let mesh = &self.meshes[0];
        let generation = |mesh: &Mesh| -> Result<f64> {
            let generations = mesh.metrics()?;
            let lowest = generations
                .series("evenkeel_worker_snapshot_generation", &[])
                .map(|sample| sample.value);
            Ok(lowest.fold(f64::INFINITY, f64::min))
        };
        let before = generation(mesh)?;
        ensure!(before.is_finite(), "no worker says its generation");
        mesh.configure(&Document::of(&[service]).with(WORKERS))?;
        wait::until(REST, || generation(mesh).ok().filter(|&now| now > before)).with_context(|| {
            let now = generation(mesh).map_or_else(|error| format!("{error:#}"), |now| now.to_string());
            let said = mesh.proxy().said();
            let last = said.lines().last().unwrap_or_default();
            format!(
                "the document is not applied: before it generation {before}, now {now}; the proxy's last word: {last}"
            )
        })?;
        Ok(())
    }
}

/// A look at the proxy once it closes no more sockets: the books are done with a connection before the kernel is.
fn steady(mesh: &Mesh) -> Result<Usage> {
    let (mut last, mut looks) = (Usage::of(mesh.proxy())?, 0);
    wait::until(REST, || {
        let now = Usage::of(mesh.proxy()).ok()?;
        looks = if now.sockets == last.sockets { looks + 1 } else { 0 };
        last = now;
        (looks > LOOKS).then_some(now)
    })
}

fn service(endpoints: &[&Replica], algorithm: &'static str) -> Service {
    let [http, banner] = [
        (80, Replica::http as fn(&Replica, Family) -> _),
        (9000, Replica::banner),
    ]
    .map(|(number, at)| Port::new(number, endpoints.iter().map(|replica| at(replica, Family::V4))).balance(algorithm));
    Service::new("soak", Family::V4.vip(10)).with(http).with(banner)
}
