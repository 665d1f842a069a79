//! The wiring: configuration -> listeners -> workers -> the operator's door -> ready -> drain -> the end.

mod signals;

pub use signals::Held;

use crate::admin::{self, Door, Face, Listening, Probes, Watchers};
use crate::control::plane::Plane;
use crate::control::source::{Place, Source};
use crate::control::status::Status;
use crate::lifecycle::{Lifecycle, Phase};
use crate::net::descriptors::raise_descriptor_limit;
use crate::net::listen;
use crate::net::options::{Keepalive, TcpOptions};
use crate::net::original_dst::own_addresses;
use crate::telemetry::access_log::{self, AccessLog};
use crate::telemetry::log::LogHandle;
use crate::telemetry::tap::Tap;
use crate::telemetry::trace::{Exporter, Tracer};
use crate::telemetry::{self, Book, Idle, Pusher, Retired, Roster, services};
use crate::upstream::own::Own;
use crate::upstream::shared::Registry;
use crate::worker::{Common, Workers, cpu_limit};
use evenkeel_control_api::ads;
use evenkeel_control_api::defaults;
use evenkeel_control_api::mesh::settings::{self, Drain, OnDemand, ProxySettings, Scope};
use evenkeel_control_api::resource::listener::Direction;
use signals::Signals;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

/// How often a draining process looks whether it is idle.
const LOOK: Duration = Duration::from_millis(100);
/// How often endpoints that are gone are forgotten.
const PRUNE: Duration = Duration::from_secs(10);
/// How often in their patience services are looked at.
const LOOKS: u32 = 4;
const WORKER_ENDED: &str = "a worker has ended, or could not start; the log says why";
/// How long the end waits for the last lines of the access log to be taken.
const LAST_LINES: Duration = Duration::from_secs(1);
/// And for each collector to take the last spans, records or metrics.
const LAST_EXPORTS: Duration = Duration::from_secs(1);

/// Runs a proxy until it is told to end.
///
/// # Errors
/// Why it could not start, as sentences for people; once it runs, it does not fail.
pub fn run(document: &Place, log: LogHandle, held: Held) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| format!("cannot start the control thread: {error}"))?;
    let signals = runtime
        .block_on(async { Signals::listen(held) })
        .map_err(|error| format!("cannot listen to signals: {error}"))?;
    let source = Source::open(document).map_err(|refused| refused.lines().join("\n"))?;
    let settings = Arc::clone(source.settings());
    match raise_descriptor_limit() {
        Ok(limit) => tracing::debug!(limit, "the limit of file descriptors is raised"),
        Err(error) => tracing::warn!(%error, "the limit of file descriptors cannot be raised"),
    }
    let listeners = Listeners::bind(&settings)?;
    let listening = listeners.listening();
    let access_log = access_log(&settings)?;
    let records = access_log.as_deref().map(|log| records(&settings, log)).transpose()?;
    let (tracer, exporter) = runtime.block_on(async { tracing(&settings) })?.unzip();
    let tap = Arc::new(Tap::default());
    let (usage, told) = mpsc::unbounded_channel();
    let common = Arc::new(Common {
        registry: Arc::new(Registry::default()),
        own: Arc::new(own(&settings)?),
        lifecycle: Arc::new(Lifecycle::default()),
        access_log: access_log.clone(),
        tracer,
        roster: Arc::new(Roster::new(settings.metrics.clone())),
        tap: Arc::clone(&tap),
        epoch: Instant::now(),
        limits: settings.limits.clone(),
        on_demand: on_demand(&settings).map(|settings| (settings, usage)),
    });
    let workers = Workers::start(worker_count(settings.workers), &common, listeners.traffic)
        .map_err(|error| format!("cannot start the workers: {error}"))?;
    let ended = runtime.block_on(async {
        let origin = match &settings.control_plane {
            None => Origin::Document(source),
            Some(plane) => Origin::Plane(Plane::open(plane, &source, told)?),
        };
        let pusher = pusher(&settings)?;
        let door = Arc::new(Door {
            books: workers.books().to_vec(),
            registry: Arc::clone(&common.registry),
            status: origin.subscribe(),
            control_plane: origin.view(),
            lifecycle: Arc::clone(&common.lifecycle),
            log,
            access_log: access_log.clone(),
            spans: common.tracer.as_ref().map(|tracer| tracer.counts()),
            pushes: pusher.as_ref().map(Pusher::pushes),
            tap,
            probes: Probes::default(),
            watchers: Watchers::default(),
            listening,
            settings: Arc::clone(&settings),
            epoch: common.epoch,
        });
        let spans = exporter.map(|exporter| Exporting::start(|end| exporter.run(end)));
        let records = records.flatten();
        let records = records.map(|exporter| Exporting::start(|end| exporter.run(end)));
        let pushing = pusher.map(|pusher| pushing(pusher, &door));
        let ended = control(origin, workers, &common, door, listeners.doors, signals).await;
        let exporting = [spans, records, pushing].into_iter().flatten().map(Exporting::end);
        for ending in exporting.collect::<Vec<_>>() {
            ending.await;
        }
        ended
    });
    if let Some(log) = access_log {
        log.flush(LAST_LINES);
    }
    tracing::info!("the proxy ends");
    ended
}

/// An exporter of telemetry at its work.
struct Exporting {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exporting {
    fn start<F: Future<Output = ()> + 'static>(run: impl FnOnce(oneshot::Receiver<()>) -> F) -> Self {
        let (end, told) = oneshot::channel();
        let task = tokio::task::spawn_local(run(told));
        Self { end, task }
    }

    /// Lets the last of it go out, if the collector takes it soon. It is told at once, and waited for then.
    fn end(self) -> impl Future<Output = ()> {
        // It has ended already where there is nobody to be told.
        let _ = self.end.send(());
        let ending = timeout(LAST_EXPORTS, self.task);
        async {
            let _ = ending.await;
        }
    }
}

/// Where the configuration comes from.
enum Origin {
    Document(Source),
    Plane(Plane),
}

impl Origin {
    fn subscribe(&self) -> watch::Receiver<Status> {
        match self {
            Self::Document(source) => source.subscribe(),
            Self::Plane(plane) => plane.subscribe(),
        }
    }

    fn view(&self) -> Option<ads::Status> {
        match self {
            Self::Document(_) => None,
            Self::Plane(plane) => Some(plane.view()),
        }
    }

    async fn follow(self, applied: watch::Receiver<u64>) {
        match self {
            Self::Document(source) => source.follow().await,
            Self::Plane(plane) => plane.follow(applied).await,
        }
    }
}

/// The control thread: everything that is not traffic.
async fn control(
    origin: Origin,
    workers: Workers,
    common: &Common,
    door: Arc<Door>,
    doors: Vec<(TcpListener, Face)>,
    signals: Signals,
) -> Result<(), String> {
    for (listener, face) in doors {
        tokio::task::spawn_local(admin::serve(listener, Arc::clone(&door), face));
    }
    let (lifecycle, applied) = (&common.lifecycle, watch::Sender::new(0));
    let (status, idle) = (origin.subscribe(), door.settings.metrics.idle);
    tokio::task::spawn_local(origin.follow(applied.subscribe()));
    tokio::task::spawn_local(signals.obey(Arc::clone(lifecycle)));
    let outcome = tokio::select! {
        () = keep_publishing(&workers, lifecycle, status, applied) => Err(WORKER_ENDED.to_owned()),
        () = prune(&common.registry) => Ok(()),
        () = forget(workers.books(), idle) => Ok(()),
        () = end(&workers, lifecycle, common.limits.drain) => Ok(()),
    };
    lifecycle.enter(Phase::Quitting);
    workers.join();
    outcome
}

/// Gives workers every configuration that comes into force; ready with the first. Ends when a worker has.
async fn keep_publishing(
    workers: &Workers,
    lifecycle: &Lifecycle,
    mut status: watch::Receiver<Status>,
    applied: watch::Sender<u64>,
) {
    let mut retired = Retired::default();
    loop {
        let snapshot = status.borrow_and_update().snapshot.clone();
        // A refusal is a change of the status, too, and leaves in force what is.
        if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.generation != *applied.borrow()) {
            if workers.apply(&snapshot).await.is_err() {
                return;
            }
            retired.update(workers.books(), |label, service| {
                let direction = match label {
                    telemetry::Direction::Inbound => Direction::Inbound,
                    telemetry::Direction::Outbound => Direction::Outbound,
                };
                snapshot.knows(direction, service)
            });
            if lifecycle.phase() == Phase::Starting {
                lifecycle.enter(Phase::Ready);
                tracing::info!(generation = snapshot.generation, "ready");
            }
            applied.send_replace(snapshot.generation);
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Forgets endpoints that no worker has any more. Never ends.
async fn prune(registry: &Registry) {
    let mut moments = interval(PRUNE);
    loop {
        moments.tick().await;
        registry.prune();
    }
}

/// Forgets the series of services that nobody has used for so long. Never ends.
async fn forget(books: &[Arc<Book>], patience: Option<Duration>) {
    let Some(patience) = patience else {
        return std::future::pending().await;
    };
    let (mut idle, mut moments) = (Idle::default(), interval(patience / LOOKS));
    loop {
        let now = moments.tick().await;
        let forgotten = idle.evict(books, patience, now);
        if forgotten > 0 {
            tracing::debug!(forgotten, "series of services that nobody uses are forgotten");
        }
    }
}

/// Waits for the end: told to quit, or drained.
async fn end(workers: &Workers, lifecycle: &Lifecycle, drain: Drain) {
    tokio::select! {
        () = lifecycle.reached(Phase::Quitting) => {}
        () = async {
            lifecycle.reached(Phase::Parting).await;
            let began = Instant::now();
            tracing::info!(phase = lifecycle.phase().label(), "serving on, saying goodbye on every connection");
            lifecycle.reached(Phase::Draining).await;
            drained(workers, drain, began).await;
        } => {}
    }
}

/// Waits until nothing was in flight for a while, or the deadline. Goodbyes are said since `began`.
async fn drained(workers: &Workers, drain: Drain, began: Instant) {
    tracing::info!(?drain, "draining: it ends when nothing is in flight");
    let told = Instant::now();
    let mut busy = told;
    let mut looks = interval(LOOK);
    loop {
        let now = looks.tick().await;
        if workers.in_flight() > 0 {
            busy = now;
        }
        if now - told >= drain.deadline {
            tracing::warn!(in_flight = workers.in_flight(), "the drain's deadline has passed");
            tell_what_is_cut(workers);
            return;
        }
        if now - began >= drain.least && now - busy >= drain.idle {
            return;
        }
    }
}

/// Whose requests and opaque connections end with the process.
fn tell_what_is_cut(workers: &Workers) {
    for ((direction, service), traffic) in services(workers.books()) {
        let (requests, connections) = (traffic.in_flight, traffic.open);
        if requests + connections > 0 {
            let direction = direction.label();
            tracing::warn!(direction, %service, requests, connections, "cut off");
        }
    }
}

struct Listeners {
    traffic: Vec<(TcpListener, Direction)>,
    doors: Vec<(TcpListener, Face)>,
}

impl Listeners {
    fn bind(settings: &ProxySettings) -> Result<Self, String> {
        let mut listeners = Self {
            traffic: Vec::new(),
            doors: Vec::new(),
        };
        for (addresses, direction) in [
            (&settings.outbound, Direction::Outbound),
            (&settings.inbound, Direction::Inbound),
        ] {
            let bound = bind(addresses)?;
            listeners
                .traffic
                .extend(bound.into_iter().map(|listener| (listener, direction)));
        }
        for (addresses, face) in [(&settings.admin, Face::Admin), (&settings.telemetry, Face::Telemetry)] {
            let bound = bind(addresses)?;
            listeners
                .doors
                .extend(bound.into_iter().map(|listener| (listener, face)));
        }
        Ok(listeners)
    }

    /// For the operator's pages: what came of the settings.
    fn listening(&self) -> Vec<Listening> {
        let traffic = self.traffic.iter().map(|(listener, direction)| match direction {
            Direction::Outbound => (listener, "outbound"),
            Direction::Inbound => (listener, "inbound"),
        });
        let doors = self.doors.iter().map(|(listener, face)| match face {
            Face::Admin => (listener, "admin"),
            Face::Telemetry => (listener, "telemetry"),
        });
        let all = traffic.chain(doors);
        all.filter_map(|(listener, purpose)| {
            let address = listener.local_addr().ok()?;
            Some(Listening { address, purpose })
        })
        .collect()
    }
}

/// Binds all addresses; one of IPv6 may be missing in a pod without IPv6, as long as another is there.
fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, String> {
    let options = TcpOptions {
        keepalive: Some(KEEPALIVE),
        user_timeout: Some(defaults::TCP.user_timeout),
    };
    let mut bound = Vec::new();
    for address in addresses {
        match listen::bind(*address, &options) {
            Ok(listener) => bound.push(listener),
            Err(error) if address.is_ipv6() && !has_ipv6() && addresses.iter().any(SocketAddr::is_ipv4) => {
                tracing::info!(%address, %error, "this pod has no IPv6: not listening there");
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(bound)
}

/// Of accepted connections; inherited from the listener for nothing.
const KEEPALIVE: Keepalive = Keepalive {
    idle: Duration::from_secs(10),
    interval: Duration::from_secs(3),
    count: 3,
};

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

fn own(settings: &ProxySettings) -> Result<Own, String> {
    let addresses = own_addresses().map_err(|error| format!("cannot read this pod's addresses: {error}"))?;
    let listening = [
        &settings.outbound,
        &settings.inbound,
        &settings.admin,
        &settings.telemetry,
    ];
    let ports = listening.into_iter().flatten().map(SocketAddr::port);
    Ok(Own::new(addresses, ports))
}

fn access_log(settings: &ProxySettings) -> Result<Option<Arc<AccessLog>>, String> {
    let log = settings.access_log.clone();
    let log = log.map(|log| AccessLog::start(log, io::stdout()));
    log.transpose()
        .map_err(|error| format!("cannot start the access log: {error}"))
}

/// What takes the records of the access log to a collector.
fn records(settings: &ProxySettings, log: &AccessLog) -> Result<Option<access_log::Exporter>, String> {
    let configured = settings.access_log.as_ref().and_then(|log| log.otlp.clone());
    let Some(mut records) = configured else {
        return Ok(None);
    };
    // One process has one name, unless it is told two.
    let of_spans = settings.tracing.as_ref().and_then(|tracing| tracing.service.clone());
    records.service = records.service.or(of_spans);
    log.exporter(&records, settings.control_plane.as_ref())
        .map_err(|error| format!("cannot export the access log: {error}"))
}

/// Must be called inside a runtime.
fn tracing(settings: &ProxySettings) -> Result<Option<(Arc<Tracer>, Exporter)>, String> {
    let Some(tracing) = &settings.tracing else {
        return Ok(None);
    };
    let made = Tracer::new(tracing, settings.control_plane.as_ref());
    made.map(Some).map_err(|error| format!("cannot export spans: {error}"))
}

/// Must be called inside a runtime.
fn pusher(settings: &ProxySettings) -> Result<Option<Pusher>, String> {
    let service = settings.tracing.as_ref().and_then(|tracing| tracing.service.as_ref());
    let push = settings.metrics.push.as_ref();
    let made = push.map(|push| Pusher::new(push, service, settings.control_plane.as_ref()));
    made.transpose()
        .map_err(|error| format!("cannot push metrics: {error}"))
}

/// What is pushed is what a scrape would get.
fn pushing(pusher: Pusher, door: &Arc<Door>) -> Exporting {
    let door = Arc::clone(door);
    Exporting::start(|end| pusher.run(Arc::new(move |points| admin::push(&door, points)), end))
}

fn worker_count(configured: settings::Workers) -> usize {
    match configured {
        settings::Workers::Count(count) => count.get(),
        settings::Workers::CpuLimit => cpu_limit().get(),
    }
}

fn on_demand(settings: &ProxySettings) -> Option<OnDemand> {
    match &settings.control_plane.as_ref()?.scope {
        Scope::OnDemand(on_demand) => Some(on_demand.clone()),
        Scope::Everything => None,
    }
}
