//! The pages that anybody may see: `/metrics`, `/ready`, `/live`; and `/config_dump`, which names objects of all namespaces, for
//! whoever is in the pod.

mod dump;
mod metrics;

use crate::access::certificates::Certificates;
use crate::access::review::Reviews;
use crate::door;
use crate::kubernetes::Cluster;
use crate::source::file::Reads;
use crate::views::Views;
use crate::webhook::Counts;
use bytes::Bytes;
use evenkeel_control_api::host::is_local;
use evenkeel_control_api::serve::{Place, Server};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Connections at once: when one more comes, the one that has been idle the longest goes.
const CONNECTIONS: usize = 64;
/// For a connection, which has one request: whoever reads slowly must not keep others out.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// The format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the pages show.
pub(crate) struct Pages {
    server: Server,
    views: Arc<Views>,
    origin: Origin,
    opened: AtomicBool,
    ends: AtomicBool,
}

/// Where it all comes from.
pub(crate) enum Origin {
    File(Reads),
    Cluster {
        cluster: Cluster,
        access: Option<Access>,
        webhook: Option<Door>,
    },
}

/// Who may come in.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) certificates: Certificates,
    pub(crate) reviews: Reviews,
}

/// The webhook.
pub(crate) struct Door {
    pub(crate) counts: Arc<Counts>,
    /// Whether it knows what its answers depend on.
    pub(crate) answers: watch::Receiver<bool>,
}

/// Who asks for a page.
#[derive(Clone, Copy)]
enum Peer {
    /// From loopback, where `kubectl port-forward` comes from, too.
    InPod,
    Beyond,
}

/// Whether somebody new should come.
enum Ready {
    Yes,
    No(&'static str),
}

impl Pages {
    pub(crate) fn new(server: Server, views: Arc<Views>, origin: Origin) -> Self {
        Self {
            server,
            views,
            origin,
            opened: AtomicBool::new(false),
            ends: AtomicBool::new(false),
        }
    }

    /// From now on clients of xDS are served.
    pub(crate) fn open(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    /// From now on the process is not ready: nobody new should come.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Whether this replica answers questions about pods, and clients of xDS.
    fn ready(&self) -> Ready {
        if self.ends.load(Ordering::Relaxed) {
            return Ready::No("ending\n");
        }
        if let Origin::Cluster {
            cluster,
            access,
            webhook,
        } = &self.origin
        {
            let expires = access.as_ref().map(|access| access.certificates.status().expires);
            match expires {
                Some(None) => return Ready::No("there is no certificate yet\n"),
                Some(Some(expires)) if expires <= SystemTime::now() => {
                    return Ready::No("the certificate has expired\n");
                }
                _ => {}
            }
            if !*cluster.complete().borrow() {
                return Ready::No("the cluster is not known yet\n");
            }
            if webhook.as_ref().is_some_and(|webhook| !*webhook.answers.borrow()) {
                return Ready::No("the API server has not said its version yet\n");
            }
        }
        if self.opened.load(Ordering::Relaxed) {
            Ready::Yes
        } else {
            Ready::No("xDS is not served yet\n")
        }
    }

    fn answer(&self, request: &Request<Incoming>, peer: Peer) -> Response<Full<Bytes>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "pages take GET and HEAD\n");
            refused
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match request.uri().path() {
            "/metrics" => {
                let text = metrics::page(&self.server.status(), &self.views.counts(), &self.origin);
                page(StatusCode::OK, METRICS, text)
            }
            "/ready" => match self.ready() {
                Ready::Yes => page(StatusCode::OK, TEXT, "ready\n"),
                Ready::No(reason) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, reason),
            },
            "/live" => page(StatusCode::OK, TEXT, "live\n"),
            "/config_dump" => match peer {
                Peer::InPod if !is_for_here(request) => page(
                    StatusCode::FORBIDDEN,
                    TEXT,
                    "the Host of a request for this page must be an IP address or localhost\n",
                ),
                Peer::InPod => page(StatusCode::OK, JSON, dump::page(&self.origin)),
                Peer::Beyond => page(
                    StatusCode::FORBIDDEN,
                    TEXT,
                    "this page is for whoever is in the pod: kubectl port-forward leads there\n",
                ),
            },
            _ => page(
                StatusCode::NOT_FOUND,
                TEXT,
                "no such page; there are /metrics /ready /live /config_dump\n",
            ),
        }
    }
}

/// Answers on `listener` for ever.
pub(crate) async fn serve(listener: TcpListener, pages: Arc<Pages>) {
    let serve = |stream, place| {
        let pages = Arc::clone(&pages);
        async move { connection(stream, place, &pages).await }
    };
    door::open(listener, "telemetry", CONNECTIONS, serve).await;
}

async fn connection(stream: TcpStream, place: Place, pages: &Pages) {
    let peer = match stream.peer_addr() {
        Ok(peer) if peer.ip().to_canonical().is_loopback() => Peer::InPod,
        _ => Peer::Beyond,
    };
    let service = service_fn(|request| {
        place.stirs();
        let response = pages.answer(&request, peer);
        async { Ok::<_, Infallible>(response) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).keep_alive(false);
    let served = http.serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_TIMEOUT, served).await {
        tracing::debug!(%error, "a telemetry connection ended early");
    }
}

fn is_for_here(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(header::HOST);
    host.and_then(|host| host.to_str().ok()).is_some_and(is_local)
}

fn page(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
