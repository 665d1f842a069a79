//! Two pods that are alike but for the proxy in them, and the endpoints that both are given.

use std::fs::File;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use evenkeel_tests::binaries;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::mesh::PROXY_USER;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::wait;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::exchange::Outcome;
use crate::exchange::exchange;
use crate::exchange::get;
use crate::mirror;
use crate::mirror::Mirror;
use crate::streams;

/// Where our control plane listens, in our pod.
const CONTROL_PLANE: ([u8; 4], u16) = ([127, 0, 0, 1], 15010);
/// Envoy's operator's door.
const ENVOY_ADMIN: u16 = 15000;
const DEADLINE: Duration = Duration::from_secs(40);
/// The first port of the endpoints; each has one of its own.
const MIRRORS: u16 = 8081;
const BYTES: u16 = 9081;

/// The endpoints. Each is a cluster of its own name.
pub(crate) const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

pub(crate) struct World {
    pub(crate) family: Family,
    pub(crate) ours: Pod,
    pub(crate) envoy: Pod,
    server: XdsServer,
    _mesh: Mesh,
    mirrors: Pod,
    running: Vec<Mirror>,
    _cluster: Cluster,
}

/// The same on both sides.
pub(crate) struct Both {
    pub(crate) ours: Outcome,
    pub(crate) envoy: Outcome,
}

// === impl World ===

impl World {
    /// Both sides with these resources, beside those that every world has: the listener that takes over, and a cluster of
    /// each endpoint.
    pub(crate) fn new(family: Family, more: impl FnOnce(&Endpoints<'_>) -> Vec<Value>) -> Result<Self> {
        let cluster = Cluster::new()?;
        let mirrors = cluster.pod("mirrors")?;
        let endpoints = Endpoints { pod: &mirrors, family };
        let mut running = Vec::new();
        for (index, name) in NAMES.into_iter().enumerate() {
            running.push(Mirror::start(&mirrors, name, endpoints.http(index))?);
            mirror::bytes(&mirrors, name, endpoints.bytes(index))?;
        }
        let mut resources = endpoints.clusters();
        resources.extend(more(&endpoints));

        let envoy = cluster.pod("envoy")?;
        start_envoy(&envoy, &resources)?;
        let ours = cluster.pod("ours")?;
        let server = XdsServer::start(&ours, CONTROL_PLANE.into())?;
        server.set(&resources)?;
        let section = format!(
            "{{servers: [\"{}\"], subscribe: everything}}",
            SocketAddr::from(CONTROL_PLANE)
        );
        let mesh = ours.mesh(&Document::under(&section))?.quiet();
        // A second configuration has everything that was sent before it.
        server.apply(&[resource::fixed("last", [])])?;
        mesh.wait_for_metrics(DEADLINE, |metrics| {
            metrics.value("evenkeel_worker_snapshot_generation", &[]) >= 2.0
        })?;
        let world = Self {
            family,
            ours,
            envoy,
            server,
            _mesh: mesh,
            mirrors,
            running,
            _cluster: cluster,
        };
        world.everything_was_accepted()?;
        Ok(world)
    }

    /// An address that both take over.
    pub(crate) fn vip(&self, number: u8, port: u16) -> SocketAddr {
        SocketAddr::new(self.family.vip(number), port)
    }

    /// The endpoints.
    pub(crate) fn endpoints(&self) -> Endpoints<'_> {
        Endpoints {
            pod: &self.mirrors,
            family: self.family,
        }
    }

    /// Sends the same to both.
    pub(crate) fn ask(&self, to: SocketAddr, request: &[u8]) -> Result<Both> {
        let said = |side: &str| format!("{side}: {:?}", String::from_utf8_lossy(request));
        let ours = exchange(&self.ours, to, request).with_context(|| said("ours"))?;
        let envoy = exchange(&self.envoy, to, request).with_context(|| said("Envoy"))?;
        Ok(Both::of(ours, envoy))
    }

    /// Sends the same to both in other words; `None`: there are none for it.
    pub(crate) fn ask_in(&self, to: SocketAddr, request: &str, spoken: Spoken) -> Result<Option<Both>> {
        if spoken == Spoken::Http1 {
            return self.ask(to, request.as_bytes()).map(Some);
        }
        let Some(request) = streams::translated(request, spoken) else {
            return Ok(None);
        };
        let said = |side: &str| format!("{side}: {request:?}");
        let ours = streams::exchange(&self.ours, to, &request).with_context(|| said("ours"))?;
        let envoy = streams::exchange(&self.envoy, to, &request).with_context(|| said("Envoy"))?;
        Ok(Some(Both::of(ours, envoy)))
    }

    /// The endpoint of this index in [`NAMES`].
    pub(crate) fn mirror(&self, index: usize) -> &Mirror {
        &self.running[index]
    }

    /// Sends each of these to both, over HTTP/1, over HTTP/2 and as a call of gRPC. What differs is an error that shows all of it.
    pub(crate) fn agree(&self, to: SocketAddr, requests: &[String]) -> Result<()> {
        self.agree_in(&Spoken::ALL, to, requests)
    }

    /// As [`World::agree`], in these words.
    pub(crate) fn agree_in(&self, all: &[Spoken], to: SocketAddr, requests: &[String]) -> Result<()> {
        let mut differences = Vec::new();
        for request in requests {
            for &spoken in all {
                let Some(Both { ours, envoy }) = self.ask_in(to, request, spoken)? else {
                    continue;
                };
                if ours != envoy {
                    differences.push(format!("{spoken:?} {request:?}\n  ours:  {ours:?}\n  Envoy: {envoy:?}"));
                }
            }
        }
        if !differences.is_empty() {
            bail!("{} differ:\n{}", differences.len(), differences.join("\n"));
        }
        Ok(())
    }

    /// A proxy that refused a resource would differ everywhere.
    fn everything_was_accepted(&self) -> Result<()> {
        for request in self.server.requests()? {
            if let Some(error) = request.error {
                bail!("refused: {error}");
            }
        }
        Ok(())
    }
}

// === impl Both ===

impl Both {
    /// Without the words that each has of its own.
    fn of(mut ours: Outcome, mut envoy: Outcome) -> Self {
        Outcome::without_own_words(&mut ours, &mut envoy);
        Self { ours, envoy }
    }
}

/// Where the endpoints are.
pub(crate) struct Endpoints<'a> {
    pod: &'a Pod,
    family: Family,
}

impl Endpoints<'_> {
    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// Of HTTP.
    pub(crate) fn http(&self, index: usize) -> SocketAddr {
        self.pod.at(self.family, MIRRORS + index as u16)
    }

    /// Of bytes.
    pub(crate) fn bytes(&self, index: usize) -> SocketAddr {
        self.pod.at(self.family, BYTES + index as u16)
    }

    /// A listener in their pod.
    pub(crate) fn listen(&self, port: u16) -> Result<std::net::TcpListener> {
        self.pod.listen(self.pod.at(self.family, port))
    }

    fn clusters(&self) -> Vec<Value> {
        let mut resources = resource::outbound().to_vec();
        for (index, name) in NAMES.into_iter().enumerate() {
            resources.push(resource::as_it_came(resource::fixed(name, [self.http(index)])));
            resources.push(resource::fixed(&format!("bytes-{name}"), [self.bytes(index)]));
        }
        resources
    }
}

/// Envoy's configuration with these resources in it.
pub(crate) fn bootstrap(resources: &[Value]) -> Value {
    let of = |kind: &str| -> Vec<Value> {
        let of_kind = resources
            .iter()
            .filter(|one| one["@type"].as_str().is_some_and(|name| name.ends_with(kind)));
        of_kind.map(resource::without_type).collect()
    };
    json!({
        "node": {"id": "envoy", "cluster": "oracle"},
        "admin": {"address": resource::address(SocketAddr::from(([127, 0, 0, 1], ENVOY_ADMIN)))},
        "static_resources": {"listeners": of("v3.Listener"), "clusters": of("v3.Cluster")},
    })
}

/// Redirection as ours, and Envoy as the proxy's user.
fn start_envoy(pod: &Pod, resources: &[Value]) -> Result<()> {
    pod.exec(&[binaries::path("evenkeel-init")?.as_os_str(), "install".as_ref()])?;
    let file = pod.folder()?.join("envoy.json");
    std::fs::write(&file, bootstrap(resources).to_string())?;
    // That user may not be allowed to enter the folder of the build, so the program is handed over.
    let program = File::open(envoy()?)?;
    let mut command = pod.command_as(PROXY_USER, "/proc/self/fd/0");
    command.args([
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "warning",
        "-c",
    ]);
    command.arg(&file).stdin(program);
    let process = pod.spawn(command)?;
    let door = SocketAddr::from(([127, 0, 0, 1], ENVOY_ADMIN));
    let ready = wait::until(DEADLINE, || {
        if process.ended().ok()?.is_some() {
            return Some(false);
        }
        // Of HTTP/1.1: Envoy speaks nothing older.
        let answer = exchange(pod, door, get("admin", "/ready", &[]).as_bytes());
        let ready = matches!(answer, Ok(Outcome::Answer(answer)) if answer.status == 200);
        ready.then_some(true)
    })?;
    if !ready {
        bail!("Envoy has ended: {}", process.said());
    }
    Ok(())
}

/// Envoy's program, which lies in its package.
pub(crate) fn envoy() -> Result<std::path::PathBuf> {
    let library = binaries::python("bin/python")?
        .parent()
        .and_then(|bin| Some(bin.parent()?.join("lib")));
    let library = library.context("an environment has a folder of libraries")?;
    let versions = std::fs::read_dir(&library)?.flatten().map(|entry| entry.path());
    let mut programs = versions.map(|version| version.join("site-packages/envoy/_bin/envoy"));
    programs
        .find(|program| program.is_file())
        .with_context(|| format!("no Envoy in {}", library.display()))
}
