//! What is measured. To add one: a variant, and its place in [`Workload::ALL`]; the compiler names the rest.

use anyhow::Result;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::service::Service;

use crate::dialogue;
use crate::dialogue::Dialogue;
use crate::streams;
use crate::streams::Call;

/// Requests that are in flight together, where not one at a time.
pub(crate) const BATCH: usize = 30;

/// Of so many requests one belongs to a trace that is recorded, the last. While tracing is off that is one field more.
pub(crate) const RECORDED: usize = 100;

/// Whose child it is.
pub(crate) const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// One row of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// HTTP/1 requests on kept-alive connections.
    H1,
    /// The same, with a line of JSON for each.
    H1Logged,
    /// The same, on two workers.
    H1TwoWorkers,
    /// HTTP/2 requests, many in flight.
    H2,
    /// The same, with a line of JSON for each.
    H2Logged,
    /// The same, on two workers.
    H2TwoWorkers,
    /// Unary gRPC calls, many in flight.
    Grpc,
    /// The same, with a line of JSON for each.
    GrpcLogged,
    /// A connection for each HTTP/1 request.
    Conn,
    /// Opaque messages there and back.
    TcpRr,
    /// As `H1`, with spans of the traces that are recorded.
    H1Traced,
    /// As `H2`, with them.
    H2Traced,
    /// As `Grpc`, with them.
    GrpcTraced,
}

/// A port of the service; its endpoints listen on the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// HTTP/1 endpoints.
    Http1,
    /// HTTP/1 endpoints that answer when a whole batch is there.
    Http1Batches,
    /// HTTP/2 endpoints.
    Http2,
    /// Endpoints that speak what nobody knows.
    Opaque,
}

// === impl Workload ===

impl Workload {
    /// Those that are recorded.
    pub(crate) const ALL: [Self; 7] = [
        Self::H1,
        Self::H1TwoWorkers,
        Self::H2,
        Self::H2TwoWorkers,
        Self::Grpc,
        Self::Conn,
        Self::TcpRr,
    ];

    /// Those on two workers, after the same on one.
    pub(crate) const TWINS: [(Self, Self); 2] = [(Self::H1, Self::H1TwoWorkers), (Self::H2, Self::H2TwoWorkers)];

    /// Those with spans, after the same without, and what spans of a hundredth of the requests may add, in percent: the aim is 5,
    /// which HTTP/2 misses: docs/performance.md has the figures.
    pub(crate) const TRACED: [(Self, Self, f64); 3] = [
        (Self::H1, Self::H1Traced, 5.0),
        (Self::H2, Self::H2Traced, 7.0),
        (Self::Grpc, Self::GrpcTraced, 5.0),
    ];

    /// Whether the proxy is to make spans.
    pub(crate) fn is_traced(self) -> bool {
        Self::TRACED.iter().any(|(_, traced, _)| *traced == self)
    }

    /// Those with an access log, after the same without, and what a line of JSON for each request may add: the aim is 15, and
    /// one percent may come by chance on top of what HTTP/1 takes.
    pub(crate) const LOGGED: [(Self, Self, f64); 3] = [
        (Self::H1, Self::H1Logged, 16.0),
        (Self::H2, Self::H2Logged, 15.0),
        (Self::Grpc, Self::GrpcLogged, 15.0),
    ];

    /// Its name in the ledger.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H1Logged => "h1 logged",
            Self::H1TwoWorkers => "h1 two workers",
            Self::H2 => "h2",
            Self::H2Logged => "h2 logged",
            Self::H2TwoWorkers => "h2 two workers",
            Self::Grpc => "grpc",
            Self::GrpcLogged => "grpc logged",
            Self::Conn => "conn",
            Self::TcpRr => "tcp_rr",
            Self::H1Traced => "h1 traced",
            Self::H2Traced => "h2 traced",
            Self::GrpcTraced => "grpc traced",
        }
    }

    /// What the mesh document says of the process.
    pub(crate) fn settings(self) -> &'static str {
        match self {
            Self::H1TwoWorkers | Self::H2TwoWorkers => "proxy: {workers: 2}",
            Self::H1Logged | Self::H2Logged | Self::GrpcLogged => "proxy: {workers: 1, access_log: json}",
            _ => "proxy: {workers: 1}",
        }
    }

    /// Asks `requests` times, one batch after the other, and hears every answer.
    pub(crate) fn run(self, from: &Pod, service: &Service, requests: usize) -> Result<()> {
        let at = |port: Port| service.at(port.number());
        match self {
            Self::H1 | Self::H1Logged | Self::H1TwoWorkers | Self::H1Traced => {
                dialogue::keep(from, at(Port::Http1), &Dialogue::HTTP1, requests)
            }
            Self::Conn => dialogue::reconnect(from, at(Port::Http1Batches), &Dialogue::HTTP1_CLOSE, requests),
            Self::TcpRr => dialogue::keep(from, at(Port::Opaque), &Dialogue::OPAQUE, requests),
            Self::H2 | Self::H2Logged | Self::H2TwoWorkers | Self::H2Traced => {
                streams::ask(from, at(Port::Http2), Call::Get, requests)
            }
            Self::Grpc | Self::GrpcLogged | Self::GrpcTraced => {
                streams::ask(from, at(Port::Http2), Call::Grpc, requests)
            }
        }
    }
}

// === impl Port ===

impl Port {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Http1, Self::Http1Batches, Self::Http2, Self::Opaque];

    /// Its number.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Http1 => 7001,
            Self::Http1Batches => 7002,
            Self::Http2 => 7003,
            Self::Opaque => 7004,
        }
    }
}
