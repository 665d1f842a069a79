//! Rolling restarts under load: every pod is taken out of the endpoints, then drained, then started anew, and nobody notices.
//!
//! ```text
//!   client pod, meshed      two fronts, meshed: they pass every connection on      two backends, meshed
//!   500 requests a second -------->  one after the other is restarted  ----------->  and so are these
//! ```

use std::io::Read;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::counts::Counts;
use evenkeel_tests::document::Document;
use evenkeel_tests::forward::Forwarder;
use evenkeel_tests::load::Load;
use evenkeel_tests::load::Outcome;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::wait;
use nix::sys::signal::Signal;

/// Requests a second.
const RATE: u32 = 500;
/// What is waited for happens sooner, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(40);
/// Where a front listens.
const FRONT: u16 = 7000;
/// What a draining proxy waits by default: from when it is told, and from when nothing is in flight.
const LEAST: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(2);
/// That a client of any protocol keeps open, at least.
const CONNECTIONS: u64 = 2;
/// Long enough for goodbyes under load, short enough for a test that restarts many.
const DRAIN: &str = "limits: {drain: {least: 1s, idle: 500ms, deadline: 30s}}";
/// Longer than anything here waits.
const LONG_DRAIN: &str = "limits: {drain: {least: 80s, deadline: 90s}}";

/// A front pod and what runs in it.
struct Front {
    pod: Pod,
    application: Option<Forwarder>,
    mesh: Mesh,
}

struct World {
    family: Family,
    client: Pod,
    client_mesh: Mesh,
    fronts: Vec<Front>,
    backends: Vec<(Replica, Mesh)>,
    _cluster: Cluster,
}

// === impl World ===

impl World {
    fn new(family: Family) -> Result<Self> {
        let cluster = Cluster::new()?;
        let mut backends = Vec::new();
        for replica in cluster.replicas(2)? {
            let mesh = replica.pod().mesh(&Document::of(&[]).with(DRAIN))?.quiet();
            backends.push((replica, mesh));
        }
        let backend = backend(family, backends.iter().map(|(replica, _)| replica));
        cluster.expose(&backend)?;
        let mut fronts = Vec::new();
        for name in ["front1", "front2"] {
            let pod = cluster.pod(name)?;
            let mesh = pod.mesh(&Document::of(&[&backend]).with(DRAIN))?.quiet();
            let application = Some(Forwarder::start(&pod, FRONT, backend.at(80))?);
            fronts.push(Front { pod, application, mesh });
        }
        let client = cluster.pod("client")?;
        let front = front(family, fronts.iter());
        cluster.expose(&front)?;
        Ok(Self {
            family,
            client_mesh: client.mesh(&Document::of(&[&front]).with(DRAIN))?.quiet(),
            client,
            fronts,
            backends,
            _cluster: cluster,
        })
    }

    /// A client that has been served a while.
    fn load(&self, spoken: Spoken) -> Result<Load> {
        let load = Load::start(
            &self.client,
            front(self.family, self.fronts.iter()).at(80),
            spoken,
            RATE,
        )?;
        goes_on(&load, 100)?;
        Ok(load)
    }

    /// Makes all fronts know these backends alone.
    fn know_backends(&self, is_there: impl Fn(usize) -> bool) -> Result<()> {
        let there = self.backends.iter().enumerate().filter(|(index, _)| is_there(*index));
        let service = backend(self.family, there.map(|(_, (replica, _))| replica));
        self.fronts
            .iter()
            .try_for_each(|front| front.mesh.apply(&Document::of(&[&service]).with(DRAIN)))
    }

    fn know_fronts(&self, is_there: impl Fn(usize) -> bool) -> Result<()> {
        let there = self.fronts.iter().enumerate().filter(|(index, _)| is_there(*index));
        let service = front(self.family, there.map(|(_, front)| front));
        self.client_mesh.apply(&Document::of(&[&service]).with(DRAIN))
    }

    /// Out of the endpoints, drained, stopped, started, back again; until requests come.
    fn restart_backend(&mut self, index: usize) -> Result<()> {
        self.know_backends(|other| other != index)?;
        let (replica, mesh) = &mut self.backends[index];
        drained(mesh)?;
        replica.process().kill();
        *replica = Replica::start(replica.pod().clone(), &format!("r{}", index + 1), 0)?;
        mesh.restart()?;
        self.know_backends(|_| true)?;
        let replica = &self.backends[index].0;
        wait::until(DEADLINE, || replica.counts().ok().filter(|&counts| served(counts) > 0))?;
        Ok(())
    }

    fn restart_front(&mut self, index: usize) -> Result<()> {
        let to = backend(self.family, self.backends.iter().map(|(replica, _)| replica)).at(80);
        self.know_fronts(|other| other != index)?;
        let front = &mut self.fronts[index];
        drained(&front.mesh)?;
        front.application.take().context("an application that runs")?.stop()?;
        front.application = Some(Forwarder::start(&front.pod, FRONT, to)?);
        front.mesh.restart()?;
        self.know_fronts(|_| true)?;
        let application = self.fronts[index].application.as_ref().context("just started")?;
        wait::until(DEADLINE, || Some(()).filter(|()| application.accepted() > 0))
    }
}

fn backend<'a>(family: Family, replicas: impl Iterator<Item = &'a Replica>) -> Service {
    let port = Port::new(80, replicas.map(|replica| replica.http(family)));
    Service::new("backend", family.vip(10)).with(port)
}

fn front<'a>(family: Family, fronts: impl Iterator<Item = &'a Front>) -> Service {
    let port = Port::new(80, fronts.map(|front| front.pod.at(family, FRONT)));
    Service::new("front", family.vip(11)).with(port)
}

fn served(counts: Counts) -> u64 {
    counts.http1 + counts.http2 + counts.grpc
}

/// Tells the proxy to end, and waits until it has done so by itself: nothing was in flight, well before the deadline.
fn drained(mesh: &Mesh) -> Result<()> {
    mesh.proxy().signal(Signal::SIGTERM)?;
    let status = mesh.proxy().wait(DEADLINE)?;
    let said = mesh.proxy().said();
    ensure!(status.success(), "{status}: {said}");
    ensure!(!said.contains("deadline has passed"), "{said}");
    Ok(())
}

/// Waits until so many more requests have been answered.
fn goes_on(load: &Load, requests: u64) -> Result<()> {
    let enough = load.served() + requests;
    wait::until(DEADLINE, || Some(()).filter(|()| load.served() >= enough))
}

/// Stops it; none of its requests failed.
fn nothing_failed(load: Load) -> Result<Outcome> {
    let outcome = load.stop()?;
    ensure!(outcome.answers.failures == 0, "{outcome:#?}");
    Ok(outcome)
}

#[test]
fn a_rolling_restart_of_pods_and_of_their_clients_fails_no_request() -> Result<()> {
    for family in Family::BOTH {
        let mut world = World::new(family)?;
        for spoken in Spoken::ALL {
            let load = world.load(spoken)?;
            for index in 0..world.backends.len() {
                world
                    .restart_backend(index)
                    .with_context(|| format!("backend {index}, {spoken:?}, {family:?}"))?;
            }
            for index in 0..world.fronts.len() {
                world
                    .restart_front(index)
                    .with_context(|| format!("front {index}, {spoken:?}, {family:?}"))?;
            }
            goes_on(&load, 100)?;
            let outcome = nothing_failed(load).with_context(|| format!("{spoken:?}, {family:?}"))?;
            let replicas = outcome.answers.by_replica.len();
            ensure!(replicas == 2, "{spoken:?}, {family:?}: {outcome:#?}");
        }
    }
    Ok(())
}

#[test]
fn a_proxy_that_drains_under_its_own_clients_fails_no_request() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let loads = Spoken::ALL
            .into_iter()
            .map(|spoken| Ok((spoken, world.load(spoken)?)))
            .collect::<Result<Vec<_>>>()?;
        world.client_mesh.proxy().signal(Signal::SIGTERM)?;
        wait::until(DEADLINE, || {
            world
                .client_mesh
                .telemetry("/ready")
                .ok()
                .filter(|page| page.status == 503)
        })?;
        for (_, load) in &loads {
            goes_on(load, 200)?;
        }
        for (spoken, load) in loads {
            let outcome = nothing_failed(load).with_context(|| format!("{spoken:?}, {family:?}"))?;
            // Every connection was told to go, and its client came back on a new one.
            ensure!(
                outcome.connections >= 2 * CONNECTIONS,
                "{spoken:?}, {family:?}: {outcome:#?}"
            );
        }
        let status = world.client_mesh.proxy().wait(DEADLINE)?;
        ensure!(status.success(), "{status}");
    }
    Ok(())
}

#[test]
fn a_draining_proxy_serves_whoever_comes_and_ends_when_nothing_is_in_flight() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let (replicas, client) = (cluster.replicas(1)?, cluster.pod("client")?);
        let mesh = replicas[0].pod().mesh(&Document::of(&[]))?.quiet();
        let early = held(&client, replicas[0].banner(family))?;
        let told = Instant::now();
        mesh.proxy().signal(Signal::SIGTERM)?;
        wait::until(DEADLINE, || {
            mesh.telemetry("/ready").ok().filter(|page| page.status == 503)
        })?;
        let late = held(&client, replicas[0].banner(family))?;
        // Longer than an idle one would stay.
        wait::until(DEADLINE, || Some(()).filter(|()| told.elapsed() > LEAST + IDLE))?;
        ensure!(mesh.proxy().ended()?.is_none(), "it has ended under its connections");
        let free = Instant::now();
        drop((early, late));
        let status = mesh.proxy().wait(DEADLINE)?;
        ensure!(status.success(), "{status}: {}", mesh.proxy().said());
        ensure!(
            free.elapsed() > IDLE / 2,
            "whoever comes next is not waited for: {:?}",
            free.elapsed()
        );
    }
    Ok(())
}

#[test]
fn a_draining_proxy_that_is_told_again_ends_at_once() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let (replicas, client) = (cluster.replicas(1)?, cluster.pod("client")?);
        let mesh = replicas[0].pod().mesh(&Document::of(&[]).with(LONG_DRAIN))?.quiet();
        let _open = held(&client, replicas[0].banner(family))?;
        mesh.proxy().signal(Signal::SIGTERM)?;
        wait::until(DEADLINE, || {
            mesh.telemetry("/ready").ok().filter(|page| page.status == 503)
        })?;
        mesh.proxy().signal(Signal::SIGTERM)?;
        let status = mesh.proxy().wait(DEADLINE)?;
        ensure!(status.success(), "{status}: {}", mesh.proxy().said());
    }
    Ok(())
}

/// A connection to a server that has spoken, and that stays open.
fn held(from: &Pod, to: SocketAddr) -> Result<TcpStream> {
    let mut stream = from.connect(to)?;
    stream.read_exact(&mut [0])?;
    Ok(stream)
}
