//! The world in which a proxy is counted: a client's pod with the redirection, and endpoints in another pod.

use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::binaries;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::collector::Collector;
use evenkeel_tests::document::Document;
use evenkeel_tests::http;
use evenkeel_tests::mesh::PROXY_USER;
use evenkeel_tests::namespace::User;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::process::Process;
use evenkeel_tests::service;
use evenkeel_tests::service::Service;
use evenkeel_tests::usage::Usage;

use crate::dialogue;
use crate::dialogue::Dialogue;
use crate::streams;
use crate::workload::BATCH;
use crate::workload::Port;
use crate::workload::RECORDED;
use crate::workload::Workload;

/// The operator's door.
const ADMIN: u16 = 15000;
const COLLECTOR: u16 = 4317;

/// From start to ready, and from the word to the end: valgrind is slow, and writes what it saw at last.
const PATIENCE: Duration = Duration::from_mins(1);

/// Requests of the short run: everything that is done once has been done by then. Whole batches for each connection.
const FEW: usize = 6 * BATCH;
/// Requests that the long run has more.
const MORE: usize = 50 * BATCH;

/// No `memcpy` for which copying is one instruction however long, or which only some processors have.
const TUNABLES: &str = "glibc.cpu.hwcaps=-ERMS,-AVX512VL";

/// As many as the benchmark has.
const ENDPOINTS: usize = 3;

/// The pods, the program, and what it is given.
#[derive(Debug)]
pub(crate) struct World {
    client: Pod,
    service: Service,
    program: PathBuf,
    /// Where the proxy's user may write.
    folder: PathBuf,
    /// Where spans go.
    collecting: SocketAddr,
    collector: Collector,
    _servers: Vec<Pod>,
    _cluster: Cluster,
}

// === impl World ===

impl World {
    /// Fails where valgrind or the release build is missing.
    pub(crate) fn new() -> Result<Self> {
        let cluster = Cluster::new()?;
        let client = cluster.pod("client")?;
        let servers = (0..ENDPOINTS)
            .map(|_| cluster.pod("server"))
            .collect::<Result<Vec<_>>>()?;
        client
            .exec(&["valgrind", "--version"])
            .context("valgrind is missing: tests/scripts/requirements installs it (or apt-get install valgrind)")?;
        client.exec(&[binaries::path("evenkeel-init")?.as_os_str(), "install".as_ref()])?;
        let folder = client.folder()?.join("counted");
        std::fs::create_dir(&folder)?;
        if let User::Plain(id) = PROXY_USER {
            chown(&folder, Some(id), Some(id))?;
        }
        // That user may not enter the folder of the build, and valgrind wants a file that it can read.
        let program = client.folder()?.join("evenkeel-proxy");
        std::fs::copy(release()?, &program)?;
        let collecting = servers[0].at(Family::V4, COLLECTOR);
        Ok(Self {
            collector: Collector::start(&servers[0], collecting)?,
            collecting,
            service: endpoints(&servers)?,
            client,
            program,
            folder,
            _servers: servers,
            _cluster: cluster,
        })
    }

    /// What one request of this workload costs.
    pub(crate) fn per_request(&self, workload: Workload) -> Result<u64> {
        let counted = |requests| {
            self.count(workload, requests)
                .with_context(|| format!("{}, {requests} requests", workload.name()))
        };
        Ok(counted(FEW + MORE)?.saturating_sub(counted(FEW)?) / MORE as u64)
    }

    /// Bytes that are resident of a proxy that is ready and serves nobody.
    pub(crate) fn resident(&self) -> Result<u64> {
        let document = self.client.folder()?.join("mesh.yaml");
        let settings = Document::of(&[&self.service]).with(Workload::H1.settings());
        std::fs::write(&document, settings.text())?;
        let mut command = self.client.command_as(PROXY_USER, &self.program);
        command.args(["run", "--config"]).arg(&document);
        let proxy = self.client.spawn(command)?;
        proxy.wait_for_line(" ready ", PATIENCE)?;
        let resident = Usage::of(&proxy)?.resident;
        self.end(&proxy)?;
        Ok(resident)
    }

    /// All instructions of a proxy, from its start to its end, that serves so many requests.
    fn count(&self, workload: Workload, requests: usize) -> Result<u64> {
        let (document, out) = (self.client.folder()?.join("mesh.yaml"), self.folder.join("out"));
        let mut settings = Document::of(&[&self.service]).with(workload.settings());
        if workload.is_traced() {
            // All others are not recorded, and told so; chance would not be the same in every run.
            settings = settings.with(format!(
                "tracing: {{collector: \"http://{}\", sample: 0%}}",
                self.collecting
            ));
        }
        std::fs::write(&document, settings.text())?;
        let before = self.collector.spans().len();
        let mut command = self.client.command_as(PROXY_USER, "valgrind");
        // Without the gate for debuggers, which would make files of its own; threads take turns as they come.
        command.args(["--tool=callgrind", "--vgdb=no", "--fair-sched=yes"]);
        command.arg(format!("--callgrind-out-file={}", out.display()));
        command.arg(&self.program).args(["run", "--config"]).arg(&document);
        command.env("GLIBC_TUNABLES", TUNABLES);
        let proxy = self.client.spawn(command)?;
        // Not by asking for `/ready`, for each question would count.
        proxy.wait_for_line(" ready ", PATIENCE)?;
        let outcome = workload
            .run(&self.client, &self.service, requests)
            .and_then(|()| self.end(&proxy));
        proxy.kill();
        outcome.with_context(|| proxy.said())?;
        let (spans, recorded) = (self.collector.spans().len() - before, requests / RECORDED);
        ensure!(
            spans == if workload.is_traced() { recorded } else { 0 },
            "{spans} spans of {recorded}"
        );
        let profile = std::fs::read_to_string(&out).with_context(|| format!("callgrind's {}", out.display()))?;
        total(&profile).context("callgrind tells no total")
    }

    fn end(&self, proxy: &Process) -> Result<()> {
        let door = SocketAddr::new(Family::V4.loopback(), ADMIN);
        http::request(&self.client, door, "POST", "/quit", "")?;
        let status = proxy.wait(PATIENCE)?;
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

/// The endpoints, and a service in front of them.
fn endpoints(servers: &[Pod]) -> Result<Service> {
    let mut service = Service::new("counted", Family::V4.vip(10));
    for port in Port::ALL {
        let listen = |server: &Pod| server.listen(server.at(Family::V4, port.number()));
        let listeners = servers.iter().map(listen).collect::<Result<Vec<_>>>()?;
        let addresses = servers.iter().map(|server| server.at(Family::V4, port.number()));
        service = service.with(service::Port::new(port.number(), addresses));
        match port {
            Port::Http1 => dialogue::serve(listeners, Dialogue::HTTP1, 1),
            Port::Http1Batches => dialogue::serve(listeners, Dialogue::HTTP1, BATCH),
            Port::Opaque => dialogue::serve(listeners, Dialogue::OPAQUE, 1),
            Port::Http2 => streams::serve(listeners)?,
        }
    }
    Ok(service)
}

/// The release build lies beside the profile that the test is of.
fn release() -> Result<PathBuf> {
    let init = binaries::path("evenkeel-init")?;
    let profiles = init
        .ancestors()
        .nth(2)
        .context("a program lies in a profile's folder")?;
    let path = profiles.join("release/evenkeel-proxy");
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --release --package evenkeel-proxy` first (or `make test`)",
        path.display()
    );
    Ok(path)
}

/// The number of the line `totals:`, which stands at the end of a profile that was written whole.
fn total(profile: &str) -> Option<u64> {
    profile
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("totals: "))?
        .parse()
        .ok()
}

#[test]
fn a_profile_that_was_cut_short_has_no_total() {
    assert_eq!(total("events: Ir\nsummary: 12\nfn=(1)\n1 12\ntotals: 12\n"), Some(12));
    assert_eq!(total("events: Ir\nsummary: 12\nfn=(1)\n"), None);
}
