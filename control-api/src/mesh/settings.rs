//! What belongs to one proxy process and does not travel through xDS: the `proxy:` and `tracing:` sections of a mesh document,
//! and the limits that hold for the process as a whole.

mod access_log;
mod app_health;
mod collector;
mod metrics;
mod tracing;

pub use access_log::{AccessLog, Lines, LogFilter, LogRecords, StatusRange};
pub use app_health::{AppProbe, HttpQuestion, Question};
pub use collector::{Collector, Otlp};
pub use metrics::{Metrics, Push, SeriesLabel};
pub use tracing::{AttributeSource, Propagation, Share, SpanAttribute, Tracing};

use crate::ads::bootstrap::Server;
use crate::resource::listener::Prefix;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The `proxy:` section, with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxySettings {
    /// Threads that carry traffic.
    pub workers: Workers,
    /// Where connections of the application arrive (default `127.0.0.1:15001` and `[::1]:15001`).
    pub outbound: Vec<SocketAddr>,
    /// Where connections to the application arrive (default `0.0.0.0:15006` and `[::]:15006`).
    pub inbound: Vec<SocketAddr>,
    /// The operator's door; loopback only (default `127.0.0.1:15000` and `[::1]:15000`).
    pub admin: Vec<SocketAddr>,
    /// `/metrics`, `/ready`, `/live` (default `0.0.0.0:15020` and `[::]:15020`).
    pub telemetry: Vec<SocketAddr>,
    /// What is written to stdout of each request and opaque connection (default nothing).
    pub access_log: Option<AccessLog>,
    /// Which series there are of services.
    pub metrics: Metrics,
    /// Probes of the application that are made for the kubelet; their paths are unique.
    pub app_health: Vec<AppProbe>,
    /// Spans of requests, from the section `tracing:`; `None`: there are none (default).
    pub tracing: Option<Tracing>,
    /// Of the process.
    pub limits: ProcessLimits,
    /// Where the mesh comes from; `None`: from the document itself.
    pub control_plane: Option<ControlPlane>,
}

/// `control_plane:`, for a proxy whose mesh is not in its document.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlPlane {
    /// Where it is, and who we are.
    pub at: ControlPlaneAt,
    /// Begin with delta; a server that does not know it is asked for the state of the world.
    pub delta: bool,
    /// What is asked for.
    pub scope: Scope,
    /// What happens until the first configuration is there.
    pub startup: Startup,
}

/// What a proxy does whose control plane has not delivered a configuration yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Startup {
    /// It is not ready, and connections wait for it (default).
    NotReady,
    /// So too, but after this long everything passes through it as if there were no mesh.
    PassThrough(Duration),
}

/// Where a control plane is, and who we are to it.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlPlaneAt {
    /// In gRPC's bootstrap file.
    Bootstrap(PathBuf),
    /// In gRPC's bootstrap document that the environment names, or holds.
    Environment,
    /// Here.
    Servers {
        /// The preferred one first; never empty.
        servers: Vec<Server>,
        /// `node.id`; `None`: the host's name.
        id: Option<String>,
        /// `node.cluster`.
        cluster: String,
    },
}

/// What a proxy asks its control plane for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All listeners and clusters there are for it.
    Everything,
    /// What its application uses.
    OnDemand(OnDemand),
}

/// How destinations are asked for when the application first connects to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDemand {
    /// Only addresses in these are asked for (default: the private ranges of RFC 1918, RFC 6598 and RFC 4193).
    pub ranges: Vec<Prefix>,
    /// How long a connection waits for the answer (default 1 s).
    pub wait: Duration,
    /// What happens to it when there is none in time.
    pub without_answer: Anywhere,
    /// How long what nobody uses is kept (default 10 min).
    pub idle: Duration,
    /// Destinations that are kept; beyond it, those that are used least recently are given up (default 10,000).
    pub most: usize,
}

/// What happens to a connection to a destination that nothing is known of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anywhere {
    /// What happens to all that no service has: see `unknown`, or the outbound listener of the control plane.
    PassThrough,
    /// It is reset.
    Refuse,
}

impl Default for OnDemand {
    fn default() -> Self {
        let private: [(IpAddr, u32); 5] = [
            (Ipv4Addr::new(10, 0, 0, 0).into(), 8),
            (Ipv4Addr::new(172, 16, 0, 0).into(), 12),
            (Ipv4Addr::new(192, 168, 0, 0).into(), 16),
            (Ipv4Addr::new(100, 64, 0, 0).into(), 10),
            (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0).into(), 7),
        ];
        let ranges = private
            .into_iter()
            .filter_map(|(address, length)| Prefix::new(address, length));
        Self {
            ranges: ranges.collect(),
            wait: Duration::from_secs(1),
            without_answer: Anywhere::PassThrough,
            idle: Duration::from_mins(10),
            most: 10_000,
        }
    }
}

/// `workers`: a number, or `cpu-limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// So many.
    Count(NonZeroUsize),
    /// The CPU limit of the control group, rounded up.
    CpuLimit,
}

/// Limits that hold for the process, from `limits:`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessLimits {
    /// Downstream connections in all (default 16,384).
    pub connections: usize,
    /// Inbound connections from one address (default 8,192); `None`: no limit.
    pub connections_per_source: Option<usize>,
    /// Requests under way in all (default 16,384).
    pub requests: usize,
    /// Bytes of traffic that wait for slow readers, in all (default 64 MiB).
    pub buffered_bytes: usize,
    /// How long a client may leave a request's body unfinished without sending a byte of it (default 5 minutes);
    /// `None`: no limit.
    pub body_timeout: Option<Duration>,
    /// How long an endpoint may leave the body of its answer unfinished without a byte of it; `None`: no limit (default).
    pub answer_timeout: Option<Duration>,
    /// Bytes that a connection reads at a time, and so the most that it holds for a reader who does not take them, in each
    /// direction (default 64 KiB).
    pub connection_buffer: usize,
    /// Interim answers (1xx) to one request (default 16).
    pub interim_answers: u32,
    /// What a peer of an HTTP/2 connection may ask for without doing anything useful.
    pub flood: Flood,
    /// Idle upstream HTTP/1 connections that a worker keeps for one endpoint (default 64).
    pub idle_per_endpoint: usize,
    /// Idle upstream HTTP/1 connections that a worker keeps in all (default 1,024).
    pub idle_total: usize,
    /// Speculative connections open at one destination (default 64).
    pub speculative: usize,
    /// An endpoint's first pause after a failure to connect (default 100 ms).
    pub backoff_first: Duration,
    /// An endpoint's longest pause (default 10 s).
    pub backoff_most: Duration,
    /// How a drain ends.
    pub drain: Drain,
}

/// Above this an HTTP/2 connection is closed as a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Frames in 10 s beyond what messages pay for: PING, SETTINGS, `WINDOW_UPDATE`, `RST_STREAM`, empty ones and others that
    /// carry no message (default 10,000).
    pub control_frames: u32,
    /// Streams that a client has reset within a second of opening them, before anything of an answer was there, while
    /// they outnumber its other streams (default 500).
    pub resets: u32,
}

/// When a draining process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Not before this (default 5 s).
    pub least: Duration,
    /// Then once nothing was in flight for so long (default 2 s).
    pub idle: Duration,
    /// And at this in any case (default 25 s).
    pub deadline: Duration,
}

impl ProxySettings {
    /// The defaults, with these limits.
    pub fn new(limits: ProcessLimits) -> Self {
        let loopback = |port| vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
        let everywhere = |port| {
            vec![
                (Ipv4Addr::UNSPECIFIED, port).into(),
                (Ipv6Addr::UNSPECIFIED, port).into(),
            ]
        };
        Self {
            workers: Workers::Count(NonZeroUsize::MIN),
            outbound: loopback(15_001),
            inbound: everywhere(15_006),
            admin: loopback(15_000),
            telemetry: everywhere(15_020),
            access_log: None,
            metrics: Metrics::default(),
            app_health: Vec::new(),
            tracing: None,
            limits,
            control_plane: None,
        }
    }
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            // Half of all: one source alone cannot lock the others out. An ingress gateway, or a node that hides its
            // clients behind its own address, has thousands.
            connections_per_source: Some(8_192),
            requests: 16_384,
            buffered_bytes: 64 << 20,
            // As Envoy's idle time of a stream: an upload that is piped through a shell may rest for minutes.
            body_timeout: Some(Duration::from_mins(5)),
            // Servers of events, of logs and of long polls are rightly silent for hours.
            answer_timeout: None,
            connection_buffer: 64 << 10,
            // Browsers and curl know of one or two; servers that show progress (102) send one every few seconds.
            interim_answers: 16,
            flood: Flood {
                control_frames: 10_000,
                // As Envoy's: 500 streams of which more than half were reset within a second.
                resets: 500,
            },
            idle_per_endpoint: 64,
            idle_total: 1_024,
            speculative: 64,
            backoff_first: Duration::from_millis(100),
            backoff_most: Duration::from_secs(10),
            drain: Drain {
                least: Duration::from_secs(5),
                idle: Duration::from_secs(2),
                deadline: Duration::from_secs(25),
            },
        }
    }
}
