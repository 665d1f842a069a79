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

/// One row of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// HTTP/1 requests on kept-alive connections.
    H1,
    /// The same, on two workers.
    H1TwoWorkers,
    /// HTTP/2 requests, many in flight.
    H2,
    /// The same, on two workers.
    H2TwoWorkers,
    /// Unary gRPC calls, many in flight.
    Grpc,
    /// A connection for each HTTP/1 request.
    Conn,
    /// Opaque messages there and back.
    TcpRr,
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
    /// All of them.
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

    /// Its name in the ledger.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H1TwoWorkers => "h1 two workers",
            Self::H2 => "h2",
            Self::H2TwoWorkers => "h2 two workers",
            Self::Grpc => "grpc",
            Self::Conn => "conn",
            Self::TcpRr => "tcp_rr",
        }
    }

    /// The setting of the mesh document that says on how many workers.
    pub(crate) fn workers(self) -> &'static str {
        match self {
            Self::H1TwoWorkers | Self::H2TwoWorkers => "proxy: {workers: 2}",
            Self::H1 | Self::H2 | Self::Grpc | Self::Conn | Self::TcpRr => "proxy: {workers: 1}",
        }
    }

    /// Asks `requests` times, one batch after the other, and hears every answer.
    pub(crate) fn run(self, from: &Pod, service: &Service, requests: usize) -> Result<()> {
        let at = |port: Port| service.at(port.number());
        match self {
            Self::H1 | Self::H1TwoWorkers => dialogue::keep(from, at(Port::Http1), &Dialogue::HTTP1, requests),
            Self::Conn => dialogue::reconnect(from, at(Port::Http1Batches), &Dialogue::HTTP1_CLOSE, requests),
            Self::TcpRr => dialogue::keep(from, at(Port::Opaque), &Dialogue::OPAQUE, requests),
            Self::H2 | Self::H2TwoWorkers => streams::ask(from, at(Port::Http2), Call::Get, requests),
            Self::Grpc => streams::ask(from, at(Port::Http2), Call::Grpc, requests),
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
