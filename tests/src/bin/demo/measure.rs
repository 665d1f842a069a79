//! One half of the comparison: every protocol's client against the VIP, and what the replicas say they served.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::answers::Answers;
use evenkeel_tests::clients;
use evenkeel_tests::clients::Load;
use evenkeel_tests::counts::Counts;
use evenkeel_tests::counts::shares;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::replica::readings;
use evenkeel_tests::replica::served;
use evenkeel_tests::service::Service;

use crate::interrupt;
use crate::report;

/// Requests of each per-request protocol, all on one connection. The default algorithm picks at random between two: of
/// 3,000 picks a share strays by 0.01 or so.
const REQUESTS: u32 = 3000;
/// Connections of each protocol that is balanced by connection.
const CONNECTIONS: u32 = 1500;

/// A third, give or take.
const LEAST: f64 = 0.28;
const MOST: f64 = 0.39;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Grpc,
    WebSocket,
    ServerFirst,
}

/// One measurement.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) protocol: Protocol,
    pub(crate) mesh: bool,
    pub(crate) shares: Vec<f64>,
    pub(crate) first_byte_ms: Option<f64>,
}

// === impl Protocol ===

impl Protocol {
    pub(crate) const ALL: [Self; 5] = [Self::Http1, Self::Http2, Self::Grpc, Self::WebSocket, Self::ServerFirst];

    /// As JSON spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
            Self::ServerFirst => "server_first",
        }
    }

    /// As the table spells it: what the client does.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1 keep-alive (ab -k)",
            Self::Http2 => "HTTP/2 (h2load)",
            Self::Grpc => "gRPC, one channel",
            Self::WebSocket => "WebSocket connections",
            Self::ServerFirst => "server-first TCP connections",
        }
    }

    /// Whether each request can go elsewhere, or only each connection.
    pub(crate) fn per_request(self) -> bool {
        matches!(self, Self::Http1 | Self::Http2 | Self::Grpc)
    }

    fn count(self, counts: Counts) -> u64 {
        match self {
            Self::Http1 => counts.http1,
            Self::Http2 => counts.http2,
            Self::Grpc => counts.grpc,
            Self::WebSocket => counts.websocket,
            Self::ServerFirst => counts.banner,
        }
    }
}

// === impl Row ===

impl Row {
    pub(crate) fn even(&self) -> bool {
        self.shares.iter().all(|share| (LEAST..=MOST).contains(share))
    }
}

/// Every protocol, one after another.
pub(crate) fn measure(client: &Pod, service: &Service, replicas: &[Replica], mesh: bool) -> Result<Vec<Row>> {
    let row = |protocol: Protocol| -> Result<Row> {
        interrupt::check()?;
        report::note(&format!("  {}", protocol.label()));
        let before = readings(replicas)?;
        let first_byte_ms = drive(protocol, client, service)?;
        let counts = served(replicas, &before, |counts| protocol.count(counts))?;
        Ok(Row {
            protocol,
            mesh,
            shares: shares(&counts),
            first_byte_ms,
        })
    };
    Protocol::ALL.into_iter().map(row).collect()
}

/// Runs the client; any failed request fails the demo. The time to the first byte, where the server speaks first.
fn drive(protocol: Protocol, client: &Pod, service: &Service) -> Result<Option<f64>> {
    let (http, banner) = (service.at(80), service.at(9000));
    match protocol {
        Protocol::Http1 => load(clients::ab(client, http, REQUESTS)?),
        Protocol::Http2 => load(clients::h2load(client, http, REQUESTS)?),
        Protocol::Grpc => answers(&clients::grpc(client, http, REQUESTS, Kind::Unary)?),
        Protocol::WebSocket => answers(&clients::websocket(client, http, CONNECTIONS)?),
        Protocol::ServerFirst => answers(&clients::banner(client, banner, CONNECTIONS)?),
    }
}

fn load(load: Load) -> Result<Option<f64>> {
    ensure!(
        load.failed == 0,
        "{} of {} requests failed",
        load.failed,
        load.failed + load.succeeded
    );
    Ok(None)
}

fn answers(answers: &Answers) -> Result<Option<f64>> {
    ensure!(
        answers.failures == 0,
        "{} failed: {:?}",
        answers.failures,
        answers.first_failure
    );
    Ok(answers.first_byte_ms)
}
