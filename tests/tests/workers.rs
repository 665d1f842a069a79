//! What two workers share: the dealing of connections, limits, what they know of endpoints, and what they forget.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::script::End;
use evenkeel_tests::script::ask;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::wait;

const DEADLINE: Duration = Duration::from_secs(40);

struct World {
    client: Pod,
    replicas: Vec<Replica>,
    service: Service,
    mesh: Mesh,
    _cluster: Cluster,
}

impl World {
    fn new(family: Family, limits: &'static str) -> Result<Self> {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(2)?;
        let client = cluster.pod("client")?;
        let service = Service::new("shared", family.vip(10))
            .with(Port::http(80, &replicas, family))
            .with(Port::banner(9000, &replicas, family));
        cluster.expose(&service)?;
        let document = Document::of(&[&service]).with("proxy: {workers: 2}").with(limits);
        let mesh = client.mesh(&document)?;
        Ok(Self {
            client,
            replicas,
            service,
            mesh,
            _cluster: cluster,
        })
    }

    /// Connections of the server-first service that have heard their banner and stay open.
    fn open(&self, count: usize) -> Result<Vec<TcpStream>> {
        let mut streams = Vec::new();
        for _ in 0..count {
            let mut stream = self.client.connect(self.service.at(9000))?;
            stream.read_exact(&mut [0; 1])?;
            streams.push(stream);
        }
        Ok(streams)
    }
}

#[test]
fn connections_are_dealt_to_the_worker_that_has_the_fewest() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, "unknown: passthrough")?;
        let _streams = world.open(24)?;
        let metrics = world.mesh.metrics()?;
        for worker in ["0", "1"] {
            let open = metrics.value("evenkeel_worker_connections", &[("worker", worker)]);
            assert!((11.5..12.5).contains(&open), "worker {worker} has {open} of 24");
        }
    }
    Ok(())
}

#[test]
fn the_limit_of_connections_is_one_limit_for_all_workers() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, "limits: {connections: 20}")?;
        let mut streams = world.open(20)?;
        let refused = ask(&world.client, world.service.at(9000), b"")?;
        assert_eq!((refused.received.as_slice(), refused.end), (b"".as_slice(), End::Reset));
        let labels = [("direction", "outbound"), ("reason", "overloaded")];
        assert!(
            world
                .mesh
                .metrics()?
                .value("evenkeel_connections_closed_total", &labels)
                > 0.5
        );
        streams.truncate(10);
        world.mesh.wait_for_metrics(DEADLINE, |page| {
            page.value("evenkeel_connections_open", &[("direction", "outbound")]) < 10.5
        })?;
        assert_eq!(world.open(10)?.len(), 10);
    }
    Ok(())
}

#[test]
fn what_one_worker_learns_of_a_dead_endpoint_the_other_knows() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, "unknown: passthrough")?;
        world.replicas[0].process().kill();
        // Every connection is a new one, dealt in turn: both workers dial. None fails, and the dead one is left alone.
        for _ in 0..40 {
            assert!(!clients::curl(&world.client, &[&format!("http://{}/", world.service.at(80))])?.is_empty());
        }
        let failures = world
            .mesh
            .metrics()?
            .value("evenkeel_endpoint_connect_failures_total", &[]);
        assert!(
            (0.5..15.5).contains(&failures),
            "{failures} attempts at the dead endpoint for 40 connections"
        );
    }
    Ok(())
}

#[test]
fn services_that_have_left_are_forgotten_whichever_worker_met_them() -> Result<()> {
    const KEPT: usize = 256;
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(1)?;
        let ports = (1_000..).map(|number| Port::http(number, &replicas, family));
        let passing = ports
            .take(KEPT + 1)
            .fold(Service::new("passing", family.vip(10)), Service::with);
        cluster.expose(&passing)?;
        let client = cluster.pod("client")?;
        let document =
            |services: &[&Service], unknown| Document::of(services).with("proxy: {workers: 2}").with(unknown);
        let mesh = client.mesh(&document(&[&passing], "unknown: passthrough"))?;
        let request = b"GET / HTTP/1.1\r\nhost: passing\r\nconnection: close\r\n\r\n";
        for port in passing.ports() {
            ask(&client, passing.at(port.number()), request)?;
        }
        let shown = |page: &Metrics| {
            let series = page.series("evenkeel_requests_total", &[("direction", "outbound")]);
            series.count()
        };
        mesh.wait_for_metrics(DEADLINE, |page| shown(page) == KEPT + 1)?;
        // What is still written to is not forgotten before the next update.
        let mut updates = ["unknown: refuse", "unknown: passthrough"].into_iter().cycle();
        wait::until(DEADLINE, || {
            mesh.apply(&document(&[], updates.next()?)).ok()?;
            (shown(&mesh.metrics().ok()?) == KEPT).then_some(())
        })?;
    }
    Ok(())
}
