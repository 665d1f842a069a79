//! The operator's door: what the proxy does and has, in words, in JSON and as metrics; and a few things to tell it.
//!
//! Two faces: on the telemetry port what may be seen by anybody (`/metrics`, `/ready`, `/live`), on loopback everything.
//! To add a page: a variant in `page.rs`; the compiler names the matches that want a line.

mod answer;
mod app_health;
mod clusters;
mod config_dump;
mod control_plane;
mod endpoints;
mod format;
mod guard;
mod listeners;
mod live_page;
mod log_level;
mod memory;
mod metrics;
mod overview;
mod page;
mod patience;
mod readiness;
mod resources;
mod routes;
mod runtime;
mod settings;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod times;
mod watchers;

pub use listeners::Listening;
pub use metrics::push;
pub use watchers::Watchers;

use crate::control::status::Status;
use crate::lifecycle::Lifecycle;
use crate::lifecycle::Phase;
use crate::telemetry::Book;
use crate::telemetry::Pushes;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::log::LogHandle;
use crate::telemetry::otlp::Counts;
use crate::telemetry::tap::Tap;
use crate::upstream::shared::Registry;
use answer::Then;
use bytes::Bytes;
use evenkeel_control_api::ads;
use evenkeel_control_api::ads::csds;
use evenkeel_control_api::mesh::settings::ProxySettings;
use evenkeel_control_api::tap;
use http_body_util::Either;
use hyper::Request;
use hyper::Response;
use hyper::Version;
use hyper::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use patience::Patience;
use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::time::Instant;

/// Connections at once on one listener; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// For a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls of gRPC at once on one connection: each holds its answer, which has a few hundred bytes of every resource.
const CALLS: u32 = 4;
/// For one who listens to the tap and takes nothing: he may be asleep behind a pager. Events are lost for him meanwhile.
const TAP_PATIENCE: Duration = Duration::from_mins(10);
/// For a connection, which has one request of HTTP/1: whoever reads slowly must not keep others out.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failure to accept: without descriptors the next attempt would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the pages show and change.
#[derive(Debug)]
pub struct Door {
    /// Of all workers.
    pub books: Vec<Arc<Book>>,
    /// The live state of endpoints.
    pub registry: Arc<Registry>,
    /// The configuration in force, and how updates went.
    pub status: watch::Receiver<Status>,
    /// Where it comes from; `None`: from a mesh document.
    pub control_plane: Option<ads::Status>,
    /// The phase of the process.
    pub lifecycle: Arc<Lifecycle>,
    /// For what it could not write.
    pub access_log: Option<Arc<AccessLog>>,
    /// What became of spans, if there are any.
    pub spans: Option<Arc<Counts>>,
    /// What became of pushes of metrics, if there are any.
    pub pushes: Option<Arc<Pushes>>,
    /// For those who listen to requests.
    pub tap: Arc<Tap>,
    /// To see and change the log level.
    pub log: LogHandle,
    /// So many may ask about the application.
    pub probes: Probes,
    /// Who watches what goes on.
    pub watchers: Watchers,
    /// The sockets that are listened on.
    pub listening: Vec<Listening>,
    /// As the process began with them.
    pub settings: Arc<ProxySettings>,
    /// The zero of the time that load and back-off are measured in.
    pub epoch: Instant,
}

/// Places for those who ask about the application.
#[derive(Debug)]
pub struct Probes(Semaphore);

impl Default for Probes {
    fn default() -> Self {
        Self(Semaphore::new(app_health::AT_ONCE))
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
struct Ends {
    peer: IpAddr,
    local: IpAddr,
}

/// Who asks, and where.
struct Asker {
    face: Face,
    ends: Ends,
    patience: Arc<Patience>,
}

/// Which pages a listener has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// All of them, for loopback only.
    Admin,
    /// Those that change nothing and tell nothing in particular.
    Telemetry,
}

/// Answers on `listener` for ever; ends, saying so in the log, only when the listener cannot be used at all. Needs a
/// tokio runtime with IO and time.
pub async fn serve(listener: std::net::TcpListener, door: Arc<Door>, face: Face) {
    let ready = listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener));
    let listener = match ready {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, ?face, "the admin listener cannot be used"),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let door = Arc::clone(&door);
                tokio::spawn(async move {
                    connection(stream, peer.ip(), door, face).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: IpAddr, door: Arc<Door>, face: Face) {
    // Without it, every 64 KiB of a large answer over HTTP/2 wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr().map(|local| local.ip()) else {
        return;
    };
    let ends = Ends { peer, local };
    let patience = Arc::new(Patience::new(patience(&door)));
    let quit = Arc::new(AtomicBool::new(false));
    let service = {
        let (door, patience, quit) = (Arc::clone(&door), Arc::clone(&patience), Arc::clone(&quit));
        service_fn(move |request| {
            let asker = Asker {
                face,
                ends,
                patience: Arc::clone(&patience),
            };
            answer(Arc::clone(&door), asker, request, Arc::clone(&quit))
        })
    };
    let mut http = auto::Builder::new(TokioExecutor::new());
    if face == Face::Telemetry {
        http = http.http1_only();
    }
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false);
    http.http2().timer(TokioTimer::new()).max_concurrent_streams(CALLS);
    tokio::select! {
        served = http.serve_connection(TokioIo::new(stream), service) => if let Err(error) = served {
            tracing::debug!(%peer, %error, "an admin connection ended early");
        },
        () = patience.ended() => {}
    }
    // Only now: the process may end before another line of this runs, and whoever asked wants the answer.
    if quit.load(Ordering::Relaxed) {
        door.lifecycle.enter(Phase::Quitting);
    }
}

/// The longest probe of the application has its time, and that of the request and the answer around it.
fn patience(door: &Door) -> Duration {
    let probes = door.settings.app_health.iter().map(|probe| probe.timeout);
    // It may wait for its place as long as for its answer.
    CONNECTION_TIMEOUT + 2 * probes.max().unwrap_or_default()
}

/// Pages over HTTP/1; over HTTP/2, which gRPC speaks, what is known of each resource.
async fn answer(
    door: Arc<Door>,
    Asker { face, ends, patience }: Asker,
    request: Request<Incoming>,
    quit: Arc<AtomicBool>,
) -> Result<Response<impl Body<Data = Bytes, Error = Box<dyn Error + Send + Sync>> + Send>, Infallible> {
    if let Some(refused) = page::refusal(face, ends.peer, &request) {
        return Ok(refused.map(Either::Left));
    }
    if request.version() == Version::HTTP_2 && request.uri().path() == tap::PATH {
        let open = move |request| {
            let (mut events, patience) = (door.tap.listen(request)?, Arc::clone(&patience));
            Ok(move |cx: &mut Context<'_>| {
                // It is asked every second, be there events or not, while whoever listens takes what there is.
                patience.last(TAP_PATIENCE);
                events.poll(cx)
            })
        };
        let response = tap::answer(request, open).await;
        return Ok(response.map(|body| Either::Right(Either::Right(body))));
    }
    if request.version() == Version::HTTP_2 {
        let response = csds::answer(door.control_plane.clone(), request).await;
        return Ok(response.map(|body| Either::Right(Either::Left(body))));
    }
    let answer = page::answer(&door, face, ends.local, request, patience).await;
    quit.store(answer.then == Then::Quit, Ordering::Relaxed);
    Ok(answer.response.map(Either::Left))
}
