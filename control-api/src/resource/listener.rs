//! `envoy.config.listener.v3.Listener`: an address and what is done with the connections that were sent to it.

mod chain;
mod decode;
mod http;
mod inspect;
mod matches;
mod prefix;
mod tcp;

use super::hash::HashKey;
use super::route::RouteConfiguration;
pub(crate) use decode::decode;
pub use prefix::Prefix;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A listener, bound or virtual.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Unique among listeners.
    pub name: String,
    /// Where connections arrive; for a virtual listener, the original destinations that it stands for.
    pub addresses: Vec<SocketAddr>,
    /// Which side of the application.
    pub direction: Direction,
    /// `bind_to_port`: false for a virtual listener, which is reached by hand-off only.
    pub bind: bool,
    /// `use_original_dst`: hand a connection over to the listener of its original destination.
    pub hand_off: bool,
    /// Which inspectors run: what the chains may be chosen by.
    pub inspect: Inspect,
    /// The most specific match wins; two equal matches were refused.
    pub chains: Vec<FilterChain>,
    /// When no chain matches; without it the connection is closed.
    pub default_chain: Option<FilterChain>,
}

/// `traffic_direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From other pods to our application.
    Inbound,
    /// From our application to others.
    Outbound,
}

/// The listener filters that look into a connection's first bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspect {
    /// `tls_inspector`.
    pub tls: Inspection,
    /// `http_inspector`.
    pub http: Inspection,
}

/// Whether a listener filter runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Inspection {
    /// It is not there.
    #[default]
    Never,
    /// At every destination port but these (`filter_disabled`).
    Except(Vec<RangeInclusive<u16>>),
}

impl Inspection {
    /// Whether it runs for connections to this port.
    pub fn runs_at(&self, port: u16) -> bool {
        match self {
            Self::Never => false,
            Self::Except(ports) => !ports.iter().any(|range| range.contains(&port)),
        }
    }
}

/// What happens to connections that match.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterChain {
    /// For people.
    pub name: String,
    /// Which connections.
    pub matches: ChainMatch,
    /// The one terminal network filter.
    pub filter: NetworkFilter,
}

/// `FilterChainMatch`; an empty field matches everything. Of several chains that match, the one is taken that is most
/// specific in the first field, in this order, in which they differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainMatch {
    /// The original destination's port.
    pub destination_port: Option<u16>,
    /// Ranges of the original destination's address; the longest is the most specific.
    pub destinations: Vec<Prefix>,
    /// What a TLS hello asks for.
    pub server_names: Vec<ServerName>,
    /// What an inspector found at transport level.
    pub transport_protocol: Option<TransportProtocol>,
    /// What an inspector found at application level; empty: any.
    pub application_protocols: Vec<ApplicationProtocol>,
    /// Ranges of the peer's address.
    pub direct_sources: Vec<Prefix>,
    /// Where the peer is.
    pub source_type: SourceType,
    /// Ranges of the client's address: the peer's, too, for nothing that we accept tells another.
    pub sources: Vec<Prefix>,
    /// The peer's ports.
    pub source_ports: Vec<u16>,
}

/// One of `server_names`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerName {
    /// This name.
    Exactly(String),
    /// `*.` and this: every name that ends so, with at least one label more; the longest is the most specific.
    Under(String),
}

/// `source_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SourceType {
    /// Wherever it is.
    #[default]
    Any,
    /// On loopback, or at the very address that it connects to.
    SameIpOrLoopback,
    /// Elsewhere.
    External,
}

/// `transport_protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportProtocol {
    /// `raw_buffer`.
    Plaintext,
    /// `tls`.
    Tls,
}

/// `application_protocols`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ApplicationProtocol {
    /// `http/1.1` (and `http/1.0`), found by `http_inspector`.
    Http1,
    /// `h2c`, found by `http_inspector`.
    Http2,
    /// What a TLS hello offers.
    Alpn(String),
}

/// The terminal network filter of a chain.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkFilter {
    /// `http_connection_manager`.
    Http(Box<HttpConnectionManager>),
    /// `tcp_proxy`.
    Tcp(TcpProxy),
}

/// `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConnectionManager {
    /// Names this listener in metrics: the service, such as `web.shop.svc.cluster.local:80`.
    pub stat_prefix: String,
    /// Which versions clients may speak.
    pub codec: Codec,
    /// Inline or by name.
    pub routes: RouteSource,
    /// What happens to `X-Forwarded-For`.
    pub forwarded_for: ForwardedFor,
    /// `max_request_headers_kb`, in bytes.
    pub max_header_bytes: usize,
    /// `max_headers_count`.
    pub max_header_fields: usize,
    /// `common_http_protocol_options.max_requests_per_connection`; `None`: no limit.
    pub max_requests: Option<NonZeroU32>,
    /// `request_headers_timeout`, from the first byte of a head; `None`: no limit.
    pub head_timeout: Option<Duration>,
    /// `common_http_protocol_options.idle_timeout` of a connection without a request; `None`: no limit.
    pub idle_timeout: Option<Duration>,
    /// `http2_protocol_options`.
    pub http2: Http2Options,
}

/// `codec_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// HTTP/2 when the connection begins with its preface, else HTTP/1.
    Auto,
    /// HTTP/1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// Where the routes of a connection manager are.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteSource {
    /// `route_config`.
    Inline(RouteConfiguration),
    /// `rds`: the name of a route configuration.
    Named(String),
}

/// `use_remote_address` and `skip_xff_append`, as far as we use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedFor {
    /// Leave the header as it came.
    Off,
    /// Append the peer's address.
    Append,
}

/// `Http2ProtocolOptions`, on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Options {
    /// `max_concurrent_streams`.
    pub max_concurrent_streams: u32,
    /// `initial_stream_window_size`, bytes.
    pub stream_window: u32,
    /// `initial_connection_window_size`, bytes.
    pub connection_window: u32,
}

/// `envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpProxy {
    /// Names this listener in metrics.
    pub stat_prefix: String,
    /// Where to: one of these, by weight. Never empty.
    pub clusters: Vec<WeightedCluster>,
    /// Close after this long without a byte; `None`: no limit.
    pub idle_timeout: Option<Duration>,
    /// What is the same for connections that go to the same endpoint of a cluster that hashes; `None`: nothing.
    pub hash: Option<HashKey>,
}

/// One of several clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedCluster {
    /// Where to.
    pub name: String,
    /// Its share against the others.
    pub weight: NonZeroU32,
}
