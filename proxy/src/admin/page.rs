//! The pages: which there are, where, by which methods, and what they answer.

use super::Door;
use super::Face;
use super::app_health;
use super::clusters;
use super::config_dump;
use super::guard;
use super::metrics;
use super::readiness;
use crate::lifecycle::Phase;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Version;
use hyper::body::Incoming;
use hyper::header;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bytes of a log directive.
const BODY_LIMIT: usize = 4_096;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
/// The format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is answered, and what happens once it was.
pub(super) struct Answer {
    pub(super) response: Response<Full<Bytes>>,
    pub(super) then: Then,
}

/// What happens after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing.
    GoOn,
    /// The process ends.
    Quit,
}

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Index,
    Metrics,
    Ready,
    Live,
    ConfigDump,
    Clusters,
    LogLevel,
    Drain,
    Quit,
}

impl Page {
    const ALL: [Self; 9] = [
        Self::Index,
        Self::Metrics,
        Self::Ready,
        Self::Live,
        Self::ConfigDump,
        Self::Clusters,
        Self::LogLevel,
        Self::Drain,
        Self::Quit,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Index => "/",
            Self::Metrics => "/metrics",
            Self::Ready => "/ready",
            Self::Live => "/live",
            Self::ConfigDump => "/config_dump",
            Self::Clusters => "/clusters",
            Self::LogLevel => "/log-level",
            Self::Drain => "/drain",
            Self::Quit => "/quit",
        }
    }

    fn is_on(self, face: Face) -> bool {
        face == Face::Admin || matches!(self, Self::Metrics | Self::Ready | Self::Live)
    }

    fn methods(self) -> &'static str {
        match self {
            Self::LogLevel => "GET, HEAD, PUT",
            Self::Drain | Self::Quit => "POST",
            Self::Index | Self::Metrics | Self::Ready | Self::Live | Self::ConfigDump | Self::Clusters => "GET, HEAD",
        }
    }

    fn allows(self, method: &Method) -> bool {
        self.methods().split(", ").any(|allowed| method == allowed)
    }
}

/// What a request gets that is not to have an answer; `None`: it is.
pub(super) fn refusal<B>(face: Face, peer: IpAddr, request: &Request<B>) -> Option<Response<Full<Bytes>>> {
    let (status, reason) = if let Err(reason) = guard::check(face, peer, request) {
        (StatusCode::FORBIDDEN, reason)
    } else if request.version() == Version::HTTP_2 && !is_grpc(request.headers()) {
        let reason = "pages are for HTTP/1; over HTTP/2 there is gRPC: envoy.service.status.v3";
        (StatusCode::HTTP_VERSION_NOT_SUPPORTED, reason)
    } else {
        return None;
    };
    Some(text(status, &format!("{reason}\n")).response)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Answers one request.
///
/// `local` is the address that whoever asks has connected to.
pub(super) async fn answer(door: &Arc<Door>, face: Face, local: IpAddr, request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    if face == Face::Telemetry && path.starts_with(app_health::PREFIX) {
        return app_health_page(door, local, &request).await;
    }
    let found = Page::ALL
        .into_iter()
        .find(|page| page.is_on(face) && page.path() == path);
    let Some(page) = found else {
        let pages: Vec<_> = Page::ALL
            .into_iter()
            .filter(|page| page.is_on(face))
            .map(Page::path)
            .collect();
        return text(
            StatusCode::NOT_FOUND,
            &format!("no such page; there are {}\n", pages.join(" ")),
        );
    };
    if !page.allows(request.method()) {
        let sentence = format!("{} takes {}\n", page.path(), page.methods());
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, &sentence);
        let allow = header::HeaderValue::from_static(page.methods());
        refused.response.headers_mut().insert(header::ALLOW, allow);
        return refused;
    }
    match page {
        Page::Index => whole(StatusCode::OK, HTML, include_str!("index.html")),
        Page::Metrics => whole(StatusCode::OK, METRICS, metrics::page(door)),
        Page::Ready => match readiness::check(door) {
            Ok(how) => text(StatusCode::OK, &format!("{how}\n")),
            Err(missing) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{missing}\n")),
        },
        Page::Live => text(StatusCode::OK, "live\n"),
        Page::ConfigDump => apart(door, |door| json(&config_dump::json(door))).await,
        Page::Clusters => {
            let query = request.uri().query().map(str::to_owned);
            apart(door, move |door| clusters_page(door, query.as_deref())).await
        }
        Page::LogLevel if request.method() == Method::PUT => set_log_level(door, request.into_body()).await,
        Page::LogLevel => text(StatusCode::OK, &format!("{}\n", door.log.directive())),
        Page::Drain => drain(door, request.uri().query()),
        Page::Quit => {
            tracing::info!("asked to quit");
            Answer {
                then: Then::Quit,
                ..text(StatusCode::OK, "quitting\n")
            }
        }
    }
}

/// What the kubelet asks about the application; nothing that is not configured is dialled.
async fn app_health_page(door: &Door, local: IpAddr, request: &Request<Incoming>) -> Answer {
    let probes = &door.settings.app_health;
    let Some(probe) = probes.iter().find(|probe| probe.path == request.uri().path()) else {
        return text(StatusCode::NOT_FOUND, "no such probe is configured\n");
    };
    if !Page::Ready.allows(request.method()) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "a probe takes GET, HEAD\n");
    }
    let agent = request.headers().get(header::USER_AGENT).cloned();
    match app_health::ask(probe, &door.probes.0, local, agent).await {
        Ok(()) => text(StatusCode::OK, "the application is up\n"),
        Err(reason) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("the application is not up: {reason}\n"),
        ),
    }
}

/// On a thread of its own, for of a large mesh it takes longer than a probe may wait; and one at a time, for meanwhile it
/// takes much memory.
async fn apart(door: &Arc<Door>, write: impl FnOnce(&Door) -> Answer + Send + 'static) -> Answer {
    static PLACE: Semaphore = Semaphore::const_new(1);
    let (door, place) = (Arc::clone(door), PLACE.acquire().await);
    let written = tokio::task::spawn_blocking(move || {
        let answer = write(&door);
        drop(place);
        answer
    });
    written
        .await
        .unwrap_or_else(|error| text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")))
}

fn clusters_page(door: &Door, query: Option<&str>) -> Answer {
    match query {
        None | Some("" | "format=text") => text(StatusCode::OK, &clusters::text(door)),
        Some("format=json") => json(&clusters::json(door)),
        Some(_) => text(
            StatusCode::BAD_REQUEST,
            "/clusters takes ?format=text or ?format=json\n",
        ),
    }
}

fn drain(door: &Door, query: Option<&str>) -> Answer {
    let (phase, sentence) = match query {
        None | Some("") => (Phase::Draining, "draining\n"),
        Some("until=terminated") => (Phase::Parting, "draining until terminated\n"),
        Some(_) => return text(StatusCode::BAD_REQUEST, "/drain takes ?until=terminated\n"),
    };
    tracing::info!(phase = phase.label(), "asked to drain");
    door.lifecycle.enter(phase);
    text(StatusCode::OK, sentence)
}

async fn set_log_level(door: &Door, body: Incoming) -> Answer {
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        let sentence = format!("the body must be a log level of at most {BODY_LIMIT} bytes\n");
        return text(StatusCode::BAD_REQUEST, &sentence);
    };
    let body = body.to_bytes();
    let directive = String::from_utf8_lossy(&body);
    let directive = directive.trim();
    let before = door.log.directive();
    match door.log.set(directive) {
        Ok(()) => {
            tracing::info!(before, now = directive, "the log level was changed");
            text(StatusCode::OK, &format!("{}\n", door.log.directive()))
        }
        Err(error) => text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
    }
}

fn text(status: StatusCode, body: &str) -> Answer {
    whole(status, TEXT, body.to_owned())
}

fn json(value: &serde_json::Value) -> Answer {
    whole(StatusCode::OK, JSON, format!("{value:#}\n"))
}

fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'";
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, header::HeaderValue::from_static(value));
    }
    Answer {
        response,
        then: Then::GoOn,
    }
}
