//! Kubelet probes: the proxy asks the application itself, past the redirection, and says how it is.

use std::time::Duration;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::http;
use evenkeel_tests::http::Page;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::wait;
use nix::sys::signal::Signal;

/// What is waited for happens sooner, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(40);
/// As the injector writes them.
const PROBES: &str = "proxy: {app_health: [\
    {path: /app-health/web/readiness, http: {port: 8080}}, \
    {path: /app-health/web/liveness, tcp: {port: 8080}}, \
    {path: /app-health/web/startup, grpc: {port: 8080}}]}";

/// A meshed application, and the kubelet somewhere else.
struct World {
    kubelet: Pod,
    application: Replica,
    mesh: Mesh,
    family: Family,
    _cluster: Cluster,
}

// === impl World ===

impl World {
    fn new(family: Family) -> Result<Self> {
        let cluster = Cluster::new()?;
        let (application, kubelet) = (cluster.replica("r1", 0)?, cluster.pod("kubelet")?);
        let mesh = application.pod().mesh(&Document::of(&[]).with(PROBES))?.quiet();
        Ok(Self {
            kubelet,
            application,
            mesh,
            family,
            _cluster: cluster,
        })
    }

    fn probe(&self, kind: &str) -> Result<Page> {
        let telemetry = self.application.pod().at(self.family, 15020);
        http::get(&self.kubelet, telemetry, &format!("/app-health/web/{kind}"))
    }

    /// Whether a probe says so within the deadline: the system closes a socket a moment after its process has gone.
    fn says(&self, kind: &str, status: u16, sentence: &str) -> Result<()> {
        wait::until(DEADLINE, || {
            let page = self.probe(kind).ok()?;
            Some(()).filter(|()| page.status == status && page.body.contains(sentence))
        })
    }
}

#[test]
fn a_probe_is_green_while_the_application_is_up_and_red_when_it_is_down_or_hangs() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        for kind in ["readiness", "liveness"] {
            world.says(kind, 200, "is up")?;
        }
        // A server that does not know the question.
        world.says("startup", 503, "ended with status 12")?;

        world.application.process().signal(Signal::SIGSTOP)?;
        world.says("readiness", 503, "no answer within 1000 ms")?;
        // The kernel accepts for it.
        world.says("liveness", 200, "is up")?;
        world.application.process().signal(Signal::SIGCONT)?;
        world.says("readiness", 200, "is up")?;

        world.application.process().kill();
        for kind in ["readiness", "liveness", "startup"] {
            world.says(kind, 503, "Connection refused")?;
        }
        // What the kubelet would have seen of a redirected port: the proxy, which is well.
        ensure!(world.kubelet.connect(world.application.http(family)).is_ok());
        ensure!(world.mesh.telemetry("/ready")?.status == 200);
    }
    Ok(())
}

#[test]
fn a_probe_goes_round_the_redirection_and_opens_no_other_door() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        for _ in 0..10 {
            world.says("readiness", 200, "is up")?;
        }
        let inbound = [("direction", "inbound")];
        let metrics = world.mesh.metrics()?;
        ensure!(metrics.value("evenkeel_requests_total", &inbound) < 0.5);
        ensure!(metrics.value("evenkeel_connections_opened_total", &inbound) < 0.5);
        let page = http::get(
            &world.kubelet,
            world.application.pod().at(family, 15020),
            "/app-health/web/../../metrics",
        )?;
        ensure!(page.status == 404, "{page:?}");
    }
    Ok(())
}
