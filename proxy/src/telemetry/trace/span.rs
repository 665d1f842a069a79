//! What is gathered of a request that is recorded.

use super::Recorded;
use super::Tracer;
use super::baggage;
use super::context::Context;
use crate::failure::Reason;
use crate::telemetry::Protocol;
use crate::telemetry::access_log::Origin;
use crate::telemetry::access_log::Outcome;
use evenkeel_control_api::mesh::settings::AttributeSource;
use http::HeaderName;
use opentelemetry::trace::SpanId;
use opentelemetry::trace::TraceId;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

/// Of a path, or a query.
const LONGEST_PATH: usize = 1_024;
/// Of anything else.
const LONGEST: usize = 256;
/// Attempts that failed of which a span tells.
const MOST_FAILURES: usize = 16;
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Values of attributes that are not of the conventions, each with the place of its name.
pub(super) type Values = Vec<(usize, String)>;

/// A request that is recorded, until it ends.
#[derive(Debug)]
pub struct Span {
    tracer: Arc<Tracer>,
    pub(super) context: Context,
    pub(super) parent: Option<SpanId>,
    pub(super) state: Option<String>,
    pub(super) values: Values,
    pub(super) started: SystemTime,
    pub(super) origin: Origin,
    pub(super) protocol: Protocol,
    pub(super) asked: Asked,
    pub(super) upstream: Option<SocketAddr>,
    pub(super) attempts: u32,
    pub(super) failures: Vec<Failure>,
}

/// What the request asks for.
#[derive(Debug)]
pub struct Asked {
    /// Any token.
    pub method: String,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Whom it is for.
    pub authority: Option<String>,
    /// Without the query.
    pub path: String,
    /// What follows the first `?`.
    pub query: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// Of HTTP, such as `1.1`.
    pub version: &'static str,
}

/// An attempt that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) at: SystemTime,
    pub(super) upstream: Option<SocketAddr>,
    pub(super) reason: Reason,
}

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) span: Box<Span>,
    pub(super) outcome: Outcome,
}

impl Span {
    /// Of a request that begins now.
    pub(super) fn new(
        tracer: Arc<Tracer>,
        recorded: Recorded,
        origin: Origin,
        protocol: Protocol,
        asked: Asked,
    ) -> Box<Self> {
        Box::new(Self {
            tracer,
            context: recorded.context,
            parent: recorded.parent,
            state: recorded.state,
            values: recorded.values,
            started: SystemTime::now(),
            origin,
            protocol,
            asked,
            upstream: None,
            attempts: 0,
            failures: Vec::new(),
        })
    }

    /// Its trace.
    pub fn trace(&self) -> TraceId {
        self.context.trace
    }

    /// Which of its trace it is.
    pub fn identity(&self) -> SpanId {
        self.context.span
    }

    /// The endpoint of the newest attempt, and how many there were.
    pub fn reach(&mut self, upstream: Option<SocketAddr>, attempts: u32) {
        (self.upstream, self.attempts) = (upstream, attempts);
    }

    /// An attempt failed.
    pub fn fail(&mut self, upstream: Option<SocketAddr>, reason: Reason) {
        if self.failures.len() < MOST_FAILURES {
            self.failures.push(Failure {
                at: SystemTime::now(),
                upstream,
                reason,
            });
        }
    }

    /// It has ended.
    pub(in crate::telemetry) fn end(self: Box<Self>, outcome: Outcome) {
        let tracer = Arc::clone(&self.tracer);
        tracer.queue.send(Finished { span: self, outcome });
    }

    pub(super) fn ended(&self, duration: Duration) -> SystemTime {
        self.started + duration
    }
}

impl Asked {
    /// Of a path, or a query, as far as it is kept.
    pub fn path(bytes: &[u8]) -> String {
        text(bytes, LONGEST_PATH)
    }

    /// Of anything else.
    pub fn word(bytes: &[u8]) -> String {
        text(bytes, LONGEST)
    }
}

/// The values that a head has of attributes.
pub(super) fn values<'a>(
    sources: &[AttributeSource],
    field: impl Fn(&HeaderName, usize) -> Option<&'a [u8]>,
) -> Values {
    let value = |source: &AttributeSource| match source {
        AttributeSource::Header(name) => field(name, 0).map(|value| text(value, LONGEST)),
        AttributeSource::Baggage(name) => {
            let lines = (0..).map_while(|before| field(&BAGGAGE, before));
            baggage::member(lines, name).map(|value| text(&value, LONGEST))
        }
        AttributeSource::Environment(_) => None,
    };
    let values = sources.iter().enumerate();
    values
        .filter_map(|(place, source)| Some((place, value(source)?)))
        .collect()
}

fn text(bytes: &[u8], most: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned()
}
