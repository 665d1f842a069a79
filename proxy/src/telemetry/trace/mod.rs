//! Spans of requests, and the contexts of traces in their heads.
//!
//! ```text
//! propagation   contexts in heads: w3c, b3, in hex; baggage      span      what is gathered of a recorded request
//! sampling      which traces are recorded                        convert   a span as the conventions have it
//! queue         from the workers to the control thread           export    batches to the collector
//! ```
//!
//! A worker reads a head, decides, and writes what goes on. Only of a request that is recorded anything else is gathered,
//! and what is finished goes through a bounded queue: a collector that is slow or gone costs spans, which are counted, and
//! never a worker's time. With tracing off there is no [`Tracer`], and heads stay as they came.

mod b3;
mod baggage;
mod context;
mod convert;
mod export;
mod hex;
mod propagation;
mod queue;
mod sampling;
mod span;
#[cfg(test)]
mod tests;
mod w3c;

pub use context::Context;
pub use context::Decision;
pub use context::Incoming;
pub use context::Parent;
pub use export::Exporter;
pub use hex::digits;
pub use opentelemetry::trace::SpanId;
pub use opentelemetry::trace::TraceId;
pub use propagation::Formats;
pub use propagation::Onward;
pub use span::Asked;
pub use span::Span;

use crate::telemetry::Protocol;
use crate::telemetry::access_log::Origin;
use crate::telemetry::otlp::Counts;
use evenkeel_control_api::mesh::settings::AttributeSource;
use evenkeel_control_api::mesh::settings::ControlPlane;
use evenkeel_control_api::mesh::settings::Tracing;
use http::HeaderName;
use opentelemetry_sdk::trace::IdGenerator;
use opentelemetry_sdk::trace::RandomIdGenerator;
use propagation::Found;
use queue::Queue;
use sampling::Sampler;
use span::Values;
use std::sync::Arc;

/// Decides about requests, and takes the spans of those that are recorded. Shared by all workers.
#[derive(Debug)]
pub struct Tracer {
    formats: Formats,
    sampler: Sampler,
    identities: RandomIdGenerator,
    /// Where attributes come from that are not of the conventions; the place of each is its name's.
    sources: Vec<AttributeSource>,
    queue: Queue,
}

/// A request's part in its trace.
#[derive(Debug)]
pub struct Part {
    /// What it is told on its way; `None`: the head is right as it is.
    pub onward: Option<Onward>,
    /// Its trace.
    pub trace: TraceId,
    /// What its span begins with, if it is recorded.
    recorded: Option<Recorded>,
}

/// The beginning of a span.
#[derive(Debug)]
struct Recorded {
    context: Context,
    parent: Option<SpanId>,
    /// `tracestate`.
    state: Option<String>,
    values: Values,
}

impl Tracer {
    /// As configured, and the exporter that is to run on the control thread. It tells who we are to the control plane. Must be
    /// called inside a runtime.
    ///
    /// # Errors
    /// Why the exporter cannot be made, in words.
    pub fn new(tracing: &Tracing, control_plane: Option<&ControlPlane>) -> Result<(Arc<Self>, Exporter), String> {
        let (queue, spans) = queue::new();
        let exporter = Exporter::new(tracing, control_plane, spans, queue.counts())?;
        let tracer = Self {
            formats: Formats::new(&tracing.propagation),
            sampler: Sampler::new(tracing.sample),
            identities: RandomIdGenerator::default(),
            sources: tracing
                .attributes
                .iter()
                .map(|attribute| attribute.source.clone())
                .collect(),
            queue,
        };
        Ok((Arc::new(tracer), exporter))
    }

    /// What became of the spans.
    pub fn counts(&self) -> Arc<Counts> {
        self.queue.counts()
    }

    /// A request's part in its trace. `field` has the value of the line of a name that has so many others of it before it;
    /// a head that `carries` no context is not asked for one.
    pub fn part<'a>(&self, carries: bool, field: impl Fn(&HeaderName, usize) -> Option<&'a [u8]>) -> Part {
        let found = if carries {
            propagation::read(self.formats, &field)
        } else {
            Found::default()
        };
        let incoming = found.incoming;
        let trace = incoming
            .parent
            .map_or_else(|| self.identities.new_trace_id(), |parent| parent.trace);
        let decision = incoming.decision.unwrap_or_else(|| self.sampler.decide(trace));
        let context = Context {
            trace,
            span: self.identities.new_span_id(),
            decision,
            random: incoming.random,
        };
        let recorded = decision.samples().then(|| Recorded {
            context,
            parent: incoming.parent.map(|parent| parent.span),
            state: found.has_state.then(|| propagation::state(&field)).flatten(),
            values: span::values(&self.sources, &field),
        });
        Part {
            onward: Onward::new(context, self.formats, &found),
            trace,
            recorded,
        }
    }

    /// Begins the span of a request that is recorded.
    pub fn begin(
        self: &Arc<Self>,
        part: &mut Part,
        describe: impl FnOnce() -> (Origin, Protocol, Asked),
    ) -> Option<Box<Span>> {
        let recorded = part.recorded.take()?;
        let (origin, protocol, asked) = describe();
        Some(Span::new(Arc::clone(self), recorded, origin, protocol, asked))
    }
}
