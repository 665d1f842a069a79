//! A meshed client in front of a replica, and the witness: another client, who must be served whatever is going on.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::http;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::usage;
use evenkeel_tests::usage::Usage;
use evenkeel_tests::usage::Waits;

/// What is waited for happens sooner, also on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// The witness's answers while something is going on.
const ANSWERS: u32 = 20;
/// The longest that one of them may take: a person would notice more.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the hostile or long-winded server of a test listens.
const SERVER: u16 = 7000;

pub(crate) struct World {
    pub(crate) family: Family,
    pub(crate) client: Pod,
    pub(crate) server: Pod,
    pub(crate) mesh: Mesh,
    pub(crate) replica: Replica,
    service: Service,
    before: Usage,
    _cluster: Cluster,
}

// === impl World ===

impl World {
    /// One worker, so that nobody can be served by another. The test's own server is behind port 81, as `shape` says.
    pub(crate) fn new(family: Family, shape: impl Fn(Port) -> Port) -> Result<Self> {
        // A client that reads nothing: fewer answers to its PINGs than the kernel would stop at.
        Self::limited(family, "limits: {idle_total: 64, flood: {control_frames: 2000}}", shape)
    }

    /// The same with these limits.
    pub(crate) fn limited(family: Family, limits: &'static str, shape: impl Fn(Port) -> Port) -> Result<Self> {
        let cluster = Cluster::new()?;
        let replica = cluster.replica("r1", 0)?;
        let (client, server) = (cluster.pod("client")?, cluster.pod("server")?);
        let service = Service::new("web", family.vip(10))
            .with(Port::http(80, std::slice::from_ref(&replica), family))
            .with(shape(Port::new(81, [server.at(family, SERVER)])));
        cluster.expose(&service)?;
        let mesh = client.mesh(&Document::of(&[&service]).with(limits))?;
        let before = Usage::of(mesh.proxy())?;
        let world = Self {
            family,
            client,
            server,
            mesh,
            replica,
            service,
            before,
            _cluster: cluster,
        };
        world.witness()?;
        usage::forget_peak(world.mesh.proxy())?;
        Ok(Self {
            before: Usage::of(world.mesh.proxy())?,
            ..world
        })
    }

    /// Where the replica is.
    pub(crate) fn web(&self) -> SocketAddr {
        self.service.at(80)
    }

    /// Where the test's own server is.
    pub(crate) fn own(&self) -> SocketAddr {
        self.service.at(81)
    }

    /// Where that server listens.
    pub(crate) fn own_endpoint(&self) -> SocketAddr {
        self.server.at(self.family, SERVER)
    }

    /// Another client on a connection of its own: answered, and soon, less what those on the way waited for a processor that others had.
    pub(crate) fn witness(&self) -> Result<()> {
        let on_the_way = || {
            let others = [self.mesh.proxy().pid(), self.replica.process().pid()];
            Waits::of(others.into_iter().chain([std::process::id()]))
        };
        let (begin, before) = (Instant::now(), on_the_way()?);
        let page = http::get(&self.client, self.web(), "/").context("the witness")?;
        ensure!(page.status == 200, "the witness got {page:?}");
        let (took, waited) = (begin.elapsed(), on_the_way()?.since(&before));
        ensure!(
            took.saturating_sub(waited) < PATIENCE,
            "the witness was answered after {took:?}, for {waited:?} of which there was no processor"
        );
        Ok(())
    }

    /// Lays siege again and again while the witness asks; both to the end, and the siege at least once as a whole.
    pub(crate) fn besieged(&self, siege: impl Fn() -> Result<()> + Sync) -> Result<()> {
        let (over, sieges) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            let besieger = scope.spawn(|| -> Result<()> {
                while !over.load(Ordering::SeqCst) {
                    siege()?;
                    sieges.fetch_add(1, Ordering::SeqCst);
                }
                Ok(())
            });
            let (mut asked, mut outcome) = (0, Ok(()));
            while outcome.is_ok() && !besieger.is_finished() && (asked < ANSWERS || sieges.load(Ordering::SeqCst) == 0)
            {
                outcome = self.witness();
                asked += 1;
            }
            over.store(true, Ordering::SeqCst);
            match besieger.join() {
                Ok(sieges) => sieges.and(outcome),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// The witness, while what the test has built up stands.
    pub(crate) fn is_served(&self) -> Result<()> {
        (0..ANSWERS).try_for_each(|_| self.witness())
    }

    /// At no time was more than `growth` bytes resident above what there was before; then the proxy is asked once more.
    pub(crate) fn held_at_most(&self, growth: u64) -> Result<()> {
        let most = Usage::of(self.mesh.proxy())?.peak.saturating_sub(self.before.resident);
        ensure!(most <= growth, "grew by {most} bytes, more than {growth}");
        self.witness()
    }

    /// How many connections of clients were closed for this reason.
    pub(crate) fn closed_for(&self, reason: &str) -> Result<f64> {
        Ok(self
            .mesh
            .metrics()?
            .value("evenkeel_connections_closed_total", &[("reason", reason)]))
    }
}
