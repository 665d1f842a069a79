//! What one worker counts about one endpoint.

use crate::telemetry::Counter;
use crate::telemetry::Histogram;

/// What went to one endpoint. One thread writes it.
#[derive(Debug, Default)]
pub struct EndpointSeries {
    /// Of the requests whose last attempt went there.
    pub(super) duration: Histogram,
    /// Of those, the ones that failed.
    pub(super) failed: Counter,
    /// Attempts that failed there and were followed by another.
    pub(super) abandoned: Counter,
    /// Opaque connections.
    pub(super) connections: Counter,
}

impl EndpointSeries {
    /// An opaque connection goes there.
    pub fn connected(&self) {
        self.connections.increment();
    }
}
