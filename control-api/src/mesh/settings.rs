//! What belongs to one proxy process and does not travel through xDS: the `proxy:` section of a mesh document, and
//! the limits that hold for the process as a whole.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
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
    /// What is written to stdout of each request and opaque connection.
    pub access_log: AccessLog,
    /// Of the process.
    pub limits: ProcessLimits,
}

/// `workers`: a number, or `cpu-limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// So many.
    Count(NonZeroUsize),
    /// The CPU limit of the control group, rounded up.
    CpuLimit,
}

/// `access_log`: a line for each request and opaque connection, when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// None (default).
    Off,
    /// `key=value`, for people.
    Text,
    /// An object, for programs.
    Json,
}

/// Limits that hold for the process, from `limits:`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessLimits {
    /// Downstream connections in all (default 16,384).
    pub connections: usize,
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
            access_log: AccessLog::Off,
            limits,
        }
    }
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
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
