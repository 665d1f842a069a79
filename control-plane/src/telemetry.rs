//! The pages that anybody may see: `/metrics`, `/ready`, `/live`.

mod metrics;

use crate::access::certificates::Certificates;
use crate::access::review::Reviews;
use crate::door;
use crate::kubernetes::Cluster;
use crate::source::file::Reads;
use crate::views::Views;
use crate::webhook::Counts;
use bytes::Bytes;
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
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Connections at once: when one more comes, the one that has been idle the longest goes.
const CONNECTIONS: usize = 64;
/// For a connection, which has one request: whoever reads slowly must not keep others out.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

const TEXT: &str = "text/plain; charset=utf-8";
/// The format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the pages show.
pub(crate) struct Pages {
    server: Server,
    views: Arc<Views>,
    origin: Origin,
    ends: AtomicBool,
}

/// Where it all comes from.
pub(crate) enum Origin {
    File(Reads),
    Cluster {
        cluster: Cluster,
        access: Option<Access>,
        webhook: Option<Arc<Counts>>,
    },
}

/// Who may come in.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) certificates: Certificates,
    pub(crate) reviews: Reviews,
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
            ends: AtomicBool::new(false),
        }
    }

    /// From now on the process is not ready: nobody new should come.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    fn ready(&self) -> Ready {
        match &self.origin {
            _ if self.ends.load(Ordering::Relaxed) => Ready::No("ending\n"),
            Origin::Cluster {
                access: Some(access), ..
            } if access.certificates.authority().borrow().is_none() => Ready::No("there is no certificate yet\n"),
            Origin::Cluster { cluster, .. } if !*cluster.complete().borrow() => {
                Ready::No("the cluster is not known yet\n")
            }
            Origin::Cluster { .. } | Origin::File(_) => Ready::Yes,
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
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
            _ => page(
                StatusCode::NOT_FOUND,
                TEXT,
                "no such page; there are /metrics /ready /live\n",
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
    let service = service_fn(|request| {
        place.stirs();
        let response = pages.answer(&request);
        async { Ok::<_, Infallible>(response) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).keep_alive(false);
    let served = http.serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_TIMEOUT, served).await {
        tracing::debug!(%error, "a telemetry connection ended early");
    }
}

fn page(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
