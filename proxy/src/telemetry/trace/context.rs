//! Which trace a request belongs to: as it came, and as it goes on.

use opentelemetry::trace::SpanId;
use opentelemetry::trace::TraceId;

/// Whether a trace is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is not.
    Drop,
    /// It is.
    Sample,
    /// It is, whatever anybody else would decide (B3 alone has this word).
    Debug,
}

impl Decision {
    /// Whether it is.
    pub fn samples(self) -> bool {
        self != Self::Drop
    }
}

/// Whose child a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its trace.
    pub trace: TraceId,
    /// The span that asks.
    pub span: SpanId,
}

/// What a request says of its trace. What is malformed is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// Whose child it is; `None`: nobody's, so that a trace begins.
    pub parent: Option<Parent>,
    /// What was decided before.
    pub decision: Option<Decision>,
    /// The identity of the trace is known to be random (W3C level 2).
    pub random: bool,
}

/// What the next one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// The span of this request, or who would be its parent.
    pub span: SpanId,
    /// Whether the trace is recorded.
    pub decision: Decision,
    /// As in [`Incoming`].
    pub random: bool,
}
