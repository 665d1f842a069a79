//! Identities of traces and spans.

use opentelemetry::trace::SpanId;
use opentelemetry::trace::TraceId;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::cell::RefCell;

/// Makes them for one worker, out of chance that the system has seeded: what generates them in the libraries of OpenTelemetry,
/// without a look at the thread for each.
#[derive(Debug)]
pub(super) struct Identities(RefCell<SmallRng>);

impl Identities {
    pub(super) fn new() -> Self {
        Self(RefCell::new(SmallRng::from_os_rng()))
    }

    /// Of a trace that may begin, and of a request, recorded or not. That one is none, all zero, happens once in 2^64.
    pub(super) fn draw(&self) -> (TraceId, SpanId) {
        let mut chance = self.0.borrow_mut();
        (
            TraceId::from(chance.random::<u128>()),
            SpanId::from(chance.random::<u64>()),
        )
    }
}
