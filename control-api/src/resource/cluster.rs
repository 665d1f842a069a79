//! `envoy.config.cluster.v3.Cluster`: a set of endpoints that do the same, and how to talk to them.

mod balance;
mod connection;
mod decode;
mod discovery;
mod dns;
mod protocol;
mod spread;
mod transport;

use super::endpoint::ClusterLoadAssignment;
use super::listener::Http2Options;
pub(crate) use balance::PeakEwma;
pub(crate) use connection::TCP_LEVEL;
pub(crate) use connection::TCP_USER_TIMEOUT;
pub(crate) use decode::decode;
pub use dns::Answers;
pub use dns::Dns;
pub use dns::FailureBackoff;
pub use dns::Host;
pub use dns::LookupFamily;
pub use dns::RESOLVED;
pub use dns::Timing;
pub(crate) use protocol::PROTOCOL_OPTIONS;
pub use spread::Spread;
use std::num::NonZeroU16;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Unique among clusters.
    pub name: String,
    /// Names the service in metrics (`alt_stat_name`), such as `web.shop.svc.cluster.local:80`.
    pub stat_name: String,
    /// Where its endpoints come from.
    pub discovery: Discovery,
    /// How one of them is chosen.
    pub algorithm: Algorithm,
    /// Among which of them.
    pub spread: Spread,
    /// For the TCP handshake.
    pub connect_timeout: Duration,
    /// Which HTTP is spoken to the endpoints.
    pub http: UpstreamHttp,
    /// `upstream_connection_options.tcp_keepalive` and the socket option `TCP_USER_TIMEOUT`.
    pub tcp: TcpOptions,
}

/// `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Discovery {
    /// `EDS`: the assignment of this name.
    Eds(String),
    /// `STATIC`: carried in the cluster.
    Static(Arc<ClusterLoadAssignment>),
    /// `STRICT_DNS` and `LOGICAL_DNS`: names that are resolved.
    Dns(Arc<Dns>),
    /// `ORIGINAL_DST`: the address that the connection was sent to.
    OriginalDestination(OriginalDestination),
}

impl Discovery {
    /// The name of the assignment that the endpoints come by, be it of a control plane or of a resolver; `None`: they do
    /// not come by one.
    pub fn assignment(&self) -> Option<&str> {
        match self {
            Self::Eds(name) => Some(name),
            Self::Dns(dns) => Some(&dns.assignment),
            Self::Static(_) | Self::OriginalDestination(_) => None,
        }
    }
}

/// `original_dst_lb_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginalDestination {
    /// The field of a request, in lower case, that names another address; `None`: no request may.
    pub header: Option<String>,
    /// Instead of the port that the connection was sent to.
    pub port: Option<NonZeroU16>,
}

/// `load_balancing_policy` or `lb_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Peak EWMA of latency times requests in flight, over two random choices.
    PeakEwma,
    /// Fewest requests in flight among so many random choices.
    LeastRequest {
        /// `choice_count`.
        choices: NonZeroU32,
    },
    /// In turn.
    RoundRobin,
    /// By chance.
    Random,
    /// `RING_HASH` and `MAGLEV`: what has the same hash goes to the same endpoint, as long as that serves. What has none
    /// goes anywhere. What the hash is of, routes and TCP proxies say.
    Hashed,
}

/// `HttpProtocolOptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamHttp {
    /// Which version.
    pub version: UpstreamVersion,
    /// How long an HTTP/1 connection may wait in the pool (`common_http_protocol_options.idle_timeout`).
    pub idle_timeout: Duration,
    /// So many requests a connection carries (`max_requests_per_connection`); `None`: any number.
    pub max_requests: Option<NonZeroU32>,
    /// For HTTP/2 connections.
    pub http2: Http2Options,
}

/// Which HTTP version is spoken to the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamVersion {
    /// `use_downstream_protocol_config`.
    SameAsDownstream,
    /// `explicit_http_config.http_protocol_options`.
    Http1,
    /// `explicit_http_config.http2_protocol_options`.
    Http2,
}

/// How a vanished peer is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// `keepalive_time`.
    pub keepalive_idle: Duration,
    /// `keepalive_interval`.
    pub keepalive_interval: Duration,
    /// `keepalive_probes`.
    pub keepalive_count: u32,
    /// `TCP_USER_TIMEOUT`.
    pub user_timeout: Duration,
}
