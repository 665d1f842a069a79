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
mod identities;
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
pub(super) use convert::without_secrets;
pub use export::Exporter;
pub use hex::digits;
pub use opentelemetry::trace::SpanId;
pub use opentelemetry::trace::TraceId;
pub use propagation::Formats;
pub use propagation::Onward;
pub use propagation::carries;
pub use propagation::introduce;
pub use span::Asked;
pub use span::Span;

use crate::telemetry::Protocol;
use crate::telemetry::access_log::Origin;
use crate::telemetry::otlp::Counts;
use evenkeel_control_api::mesh::settings::AttributeSource;
use evenkeel_control_api::mesh::settings::ControlPlane;
use evenkeel_control_api::mesh::settings::Tracing;
use http::HeaderName;
use identities::Identities;
use propagation::Found;
use queue::Queue;
use sampling::Sampler;
use span::Values;
use std::rc::Rc;
use std::sync::Arc;

/// Decides about requests, and takes the spans of those that are recorded. Shared by all workers, each by a way of its own.
#[derive(Debug)]
pub struct Tracer {
    formats: Formats,
    sampler: Sampler,
    /// Where attributes come from that are not of the conventions; the place of each is its name's.
    sources: Vec<AttributeSource>,
    queue: Queue,
}

/// A worker's way to it.
#[derive(Debug)]
pub struct WorkerTracer {
    tracer: Arc<Tracer>,
    identities: Identities,
}

/// A request's part in its trace.
#[derive(Debug)]
pub struct Part {
    /// What it is told on its way; `None`: the head is right as it is.
    pub onward: Option<Onward>,
    /// Its trace.
    pub trace: TraceId,
    /// Its span, if it is recorded.
    pub span: Option<Box<Span>>,
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

    /// A worker's way to it.
    pub fn worker(self: &Arc<Self>) -> Rc<WorkerTracer> {
        Rc::new(WorkerTracer {
            tracer: Arc::clone(self),
            identities: Identities::new(),
        })
    }
}

impl WorkerTracer {
    /// A request's part in its trace. `field` has the value of the line of a name that has so many others of it before it;
    /// a head that `carries` no context is not asked for one. Only a request that is recorded is asked what it is.
    #[inline]
    pub fn part<'a>(
        &self,
        carries: bool,
        field: impl Fn(&HeaderName, usize) -> Option<&'a [u8]>,
        describe: impl FnOnce() -> (Origin, Protocol, Asked),
    ) -> Part {
        let tracer = &*self.tracer;
        let found = if carries {
            propagation::read(tracer.formats, &field)
        } else {
            Found::default()
        };
        let incoming = found.incoming;
        let (begun, span) = self.identities.draw();
        let trace = incoming.parent.map_or(begun, |parent| parent.trace);
        let context = Context {
            trace,
            span,
            decision: incoming.decision.unwrap_or_else(|| tracer.sampler.decide(trace)),
            random: incoming.random,
        };
        let span = context.decision.samples().then(|| {
            let recorded = Recorded {
                context,
                parent: incoming.parent.map(|parent| parent.span),
                state: found.has_state.then(|| propagation::state(&field)).flatten(),
                values: span::values(&tracer.sources, &field),
            };
            let (origin, protocol, asked) = describe();
            Span::new(Arc::clone(&self.tracer), recorded, origin, protocol, asked)
        });
        Part {
            onward: Onward::new(context, tracer.formats, &found),
            trace,
            span,
        }
    }
}
