//! Where a collector of OTLP is.

use std::time::Duration;

/// A collector, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Scheme `http`, an authority, and for OTLP over HTTP perhaps a path; for gRPC never one.
    pub uri: http::Uri,
    /// What is spoken.
    pub protocol: Otlp,
    /// The longest wait for one answer (default 10 s).
    pub timeout: Duration,
}

/// `protocol`, of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otlp {
    /// OTLP over gRPC (default).
    Grpc,
    /// OTLP over HTTP, in binary.
    Http,
}
