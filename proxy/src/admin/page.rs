//! The pages: which there are, where, by which methods, and what they answer.

use super::Door;
use super::Face;
use super::answer::Answer;
use super::answer::Then;
use super::answer::Written;
use super::answer::either;
use super::answer::headed;
use super::answer::json;
use super::answer::text;
use super::answer::whole;
use super::app_health;
use super::clusters;
use super::config_dump;
use super::format::Asked;
use super::format::Format;
use super::guard;
use super::listeners;
use super::live_page;
use super::log_level;
use super::memory;
use super::metrics;
use super::patience::Patience;
use super::readiness;
use super::runtime;
use super::stats;
use super::table;
use super::watchers;
use crate::lifecycle::Phase;
use http_body_util::BodyExt;
use http_body_util::Either;
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
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bytes of a log directive.
const BODY_LIMIT: usize = 4_096;

const EVENTS: &str = "text/event-stream";

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Index,
    Events,
    Clusters,
    Listeners,
    ConfigDump,
    Stats,
    Metrics,
    Runtime,
    Memory,
    LogLevel,
    Ready,
    Live,
    Drain,
    Quit,
}

impl Page {
    const ALL: [Self; 14] = [
        Self::Index,
        Self::Events,
        Self::Clusters,
        Self::Listeners,
        Self::ConfigDump,
        Self::Stats,
        Self::Metrics,
        Self::Runtime,
        Self::Memory,
        Self::LogLevel,
        Self::Ready,
        Self::Live,
        Self::Drain,
        Self::Quit,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Index => "/",
            Self::Events => "/events",
            Self::Clusters => "/clusters",
            Self::Listeners => "/listeners",
            Self::ConfigDump => "/config_dump",
            Self::Stats => "/stats",
            Self::Metrics => "/metrics",
            Self::Runtime => "/runtime",
            Self::Memory => "/memory",
            Self::LogLevel => "/log-level",
            Self::Ready => "/ready",
            Self::Live => "/live",
            Self::Drain => "/drain",
            Self::Quit => "/quit",
        }
    }

    /// For the index.
    fn about(self) -> &'static str {
        match self {
            Self::Index => "this list; in a browser a page that shows what goes on",
            Self::Events => "what that page shows, once a second, as server-sent events",
            Self::Clusters => "every endpoint with its live state",
            Self::Listeners => "what is listened on, and what becomes of connections by where they were going",
            Self::ConfigDump => "what is in force, where each resource comes from, and why others are refused",
            Self::Stats => "every series of /metrics by name; ?filter=TEXT for some of them",
            Self::Metrics => "the same for Prometheus",
            Self::Runtime => "the process and its workers",
            Self::Memory => "what memory there is, and what is held in it",
            Self::LogLevel => "PUT a level, or MODULE=LEVEL,...; POST changes only what it names",
            Self::Ready => "200 while traffic may be sent here",
            Self::Live => "200 while the process runs",
            Self::Drain => "says goodbye on every connection, then ends",
            Self::Quit => "ends at once",
        }
    }

    fn is_on(self, face: Face) -> bool {
        face == Face::Admin || matches!(self, Self::Metrics | Self::Ready | Self::Live)
    }

    fn methods(self) -> &'static str {
        match self {
            Self::LogLevel => "GET, HEAD, PUT, POST",
            Self::Drain | Self::Quit => "POST",
            Self::Index
            | Self::Events
            | Self::Clusters
            | Self::Listeners
            | Self::ConfigDump
            | Self::Stats
            | Self::Metrics
            | Self::Runtime
            | Self::Memory
            | Self::Ready
            | Self::Live => "GET, HEAD",
        }
    }

    fn allows(self, method: &Method) -> bool {
        self.methods().split(", ").any(|allowed| method == allowed)
    }

    /// The parameters that a page with more than one form takes; `None`: it has one form, and what is asked is nothing to
    /// it.
    fn parameters(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Index
            | Self::Clusters
            | Self::Listeners
            | Self::ConfigDump
            | Self::Runtime
            | Self::Memory
            | Self::LogLevel => Some(&["format"]),
            Self::Stats => Some(&["format", "filter"]),
            Self::Events | Self::Metrics | Self::Ready | Self::Live | Self::Drain | Self::Quit => None,
        }
    }
}

/// What a request gets that is not to have an answer; `None`: it is.
pub(super) fn refusal<B>(face: Face, peer: IpAddr, request: &Request<B>) -> Option<Response<Written>> {
    let (status, reason) = if let Err(reason) = guard::check(face, peer, request) {
        (StatusCode::FORBIDDEN, reason)
    } else if request.version() == Version::HTTP_2 && !is_grpc(request.headers()) {
        let reason = "pages are for HTTP/1; over HTTP/2 there is gRPC: envoy.service.status.v3 and evenkeel.v1.Tap";
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
/// `local` is the address that whoever asks has connected to; `patience` is for what goes on.
pub(super) async fn answer(
    door: &Arc<Door>,
    face: Face,
    local: IpAddr,
    request: Request<Incoming>,
    patience: Arc<Patience>,
) -> Answer {
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
    let asked = page
        .parameters()
        .map(|takes| Asked::of(request.headers(), request.uri().query(), takes));
    let asked = match asked.transpose() {
        Ok(asked) => asked.unwrap_or_default(),
        Err(sentence) => return text(StatusCode::BAD_REQUEST, &format!("{sentence}\n")),
    };
    match page {
        Page::Index => index(asked.format),
        Page::Events => events(door, request.method(), patience),
        Page::Metrics => metrics_page(door, request.headers()).await,
        Page::Ready => match readiness::check(door) {
            Ok(how) => text(StatusCode::OK, &format!("{how}\n")),
            Err(missing) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{missing}\n")),
        },
        Page::Live => text(StatusCode::OK, "live\n"),
        Page::ConfigDump => apart(door, move |door| config_dump_page(door, asked.format)).await,
        Page::Clusters => apart(door, move |door| clusters_page(door, asked.format)).await,
        Page::Listeners => {
            apart(door, move |door| {
                let listeners = listeners::listeners(door);
                either(asked.format, &listeners, listeners::text)
            })
            .await
        }
        Page::Stats => apart(door, move |door| stats_page(door, &asked)).await,
        Page::Runtime => either(asked.format, &runtime::runtime(door), runtime::text),
        Page::Memory => {
            apart(door, move |door| {
                either(asked.format, &memory::memory(door), memory::text)
            })
            .await
        }
        Page::LogLevel => log_level_page(door, asked.format, request).await,
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

/// So too, but past those who look at other pages: a scraper has little time.
async fn metrics_page(door: &Arc<Door>, headers: &HeaderMap) -> Answer {
    static PLACE: Semaphore = Semaphore::const_new(1);
    let form = metrics::form(headers);
    let (door, place) = (Arc::clone(door), PLACE.acquire().await);
    let written = tokio::task::spawn_blocking(move || {
        let page = metrics::page(&door, form);
        drop(place);
        page
    });
    match written.await {
        Ok(page) => whole(StatusCode::OK, metrics::content_type(form), page),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

/// What there is, for whoever has not asked for the page that browsers get.
fn index(format: Option<Format>) -> Answer {
    let pages = Page::ALL.map(|page| Entry {
        path: page.path(),
        methods: page.methods(),
        about: page.about(),
    });
    let text = |pages: &[Entry; Page::ALL.len()]| {
        let mut text = "evenkeel-proxy\n".to_owned();
        let row = |page: &Entry| [page.path, page.methods, page.about].map(str::to_owned);
        table::write(
            &mut text,
            ["PAGE", "METHODS", ""],
            &pages.iter().map(row).collect::<Vec<_>>(),
        );
        text.push_str("In JSON with ?format=json or Accept: application/json.\n");
        text
    };
    match format {
        Some(Format::Html) => live_page::page(),
        other => either(other, &pages, text),
    }
}

/// A line of the index.
#[derive(Serialize)]
struct Entry {
    path: &'static str,
    methods: &'static str,
    about: &'static str,
}

/// Goes on for as long as whoever asks reads.
fn events(door: &Arc<Door>, method: &Method, patience: Arc<Patience>) -> Answer {
    let told = match *method {
        Method::HEAD => door.watchers.has_place().map(|()| Either::Left(Full::default())),
        _ => watchers::watch(door, patience).map(Either::Right),
    };
    match told {
        Ok(told) => headed(StatusCode::OK, EVENTS, told),
        Err(crowded) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{crowded}\n")),
    }
}

fn clusters_page(door: &Door, format: Option<Format>) -> Answer {
    match format {
        Some(Format::Json) => json(&clusters::json(door)),
        Some(Format::Text | Format::Html) | None => text(StatusCode::OK, &clusters::text(door)),
    }
}

/// In words only where they are asked for: so much is read by programs.
fn config_dump_page(door: &Door, format: Option<Format>) -> Answer {
    match format {
        Some(Format::Text) => text(StatusCode::OK, &config_dump::text(door)),
        Some(Format::Json | Format::Html) | None => json(&config_dump::json(door)),
    }
}

fn stats_page(door: &Door, asked: &Asked) -> Answer {
    either(asked.format, &stats::stats(door, &asked.filter), |stats| {
        stats::text(stats)
    })
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

async fn log_level_page(door: &Door, format: Option<Format>, request: Request<Incoming>) -> Answer {
    let method = request.method().clone();
    if method == Method::PUT || method == Method::POST {
        let Ok(body) = Limited::new(request.into_body(), BODY_LIMIT).collect().await else {
            let sentence = format!("the body must be a log level of at most {BODY_LIMIT} bytes\n");
            return text(StatusCode::BAD_REQUEST, &sentence);
        };
        let body = body.to_bytes();
        let directive = String::from_utf8_lossy(&body);
        let set = match method {
            Method::PUT => log_level::replace(door, directive.trim()),
            _ => log_level::change(door, directive.trim()),
        };
        if let Err(error) = set {
            return text(StatusCode::BAD_REQUEST, &format!("{error}\n"));
        }
    }
    let directive = door.log.directive();
    either(format, &log_level::json(&directive), |_| format!("{directive}\n"))
}
