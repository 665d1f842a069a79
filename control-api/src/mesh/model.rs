//! The plain model of a mesh: what a mesh document says, with every default filled in. A control plane builds the same
//! from what it watches.

mod family;
pub mod ranges;
mod routes;

use super::settings::ProcessLimits;
use super::settings::ProxySettings;
use crate::defaults;
use crate::resource::cluster::Algorithm;
use crate::resource::cluster::TcpOptions;
use crate::resource::endpoint::Locality;
use crate::resource::listener::ForwardedFor;
use crate::resource::listener::Http2Options;
pub use family::Apart;
pub use family::Family;
pub use routes::Backend;
pub use routes::Field;
pub use routes::GrpcMethod;
pub use routes::HeaderChanges;
pub use routes::HeaderTest;
pub use routes::Hostname;
pub use routes::HttpAction;
pub use routes::HttpForward;
pub use routes::HttpMatch;
pub use routes::HttpRedirect;
pub use routes::HttpRule;
pub use routes::HttpTimeouts;
pub use routes::PathReplacement;
pub use routes::PathTest;
pub use routes::QueryTest;
pub use routes::RedirectStatus;
pub use routes::Routes;
pub use routes::Target;
pub use routes::TextTest;
pub use routes::TlsRule;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A whole mesh document.
#[derive(Clone, Debug, PartialEq)]
pub struct MeshDocument {
    /// Their names are unique, and so is each VIP with a port.
    pub services: Vec<Service>,
    /// What happens to connections to the application.
    pub inbound: Inbound,
    /// What happens to connections of the application to addresses that no service has.
    pub unknown: Unknown,
    /// `limits:`, for what says nothing of its own.
    pub limits: TrafficLimits,
    /// `proxy:` and the part of `limits:` that holds for the process.
    pub(super) settings: ProxySettings,
}

/// Addresses behind which replicas do the same work.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Such as `web.shop.svc.cluster.local`.
    pub name: String,
    /// The addresses that clients connect to; none for a headless service, whose clients connect to its endpoints.
    pub vips: Vec<IpAddr>,
    /// Their numbers are unique.
    pub ports: Vec<ServicePort>,
}

/// One port of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePort {
    /// Its number at the VIPs.
    pub port: NonZeroU16,
    /// What is spoken.
    pub protocol: Protocol,
    /// How an endpoint is chosen.
    pub algorithm: Algorithm,
    /// What stays at the endpoint that it had.
    pub affinity: Affinity,
    /// `limits:` of the port, over those of the document.
    pub limits: TrafficLimits,
    /// Who serves.
    pub endpoints: Endpoints,
    /// Who serves connections to VIPs of this family instead; `None`: the same.
    pub apart: Option<Apart>,
    /// Where connections to the VIPs go.
    pub routes: Routes,
}

/// What stays at the endpoint that it had, as long as that serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// Nothing: each choice is free.
    #[default]
    None,
    /// Connections and requests of one client address. It goes before the algorithm.
    ClientIp,
}

/// Who serves a port.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoints {
    /// Their addresses are unique, and their weights add up to at most `u32::MAX`.
    Known(Vec<Endpoint>),
    /// Whoever a name stands for at the moment, as each proxy's resolver says.
    Named(NamedEndpoint),
}

/// A name that is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedEndpoint {
    /// Such as `db.example.com`.
    pub name: String,
    /// At its addresses.
    pub port: NonZeroU16,
}

/// A replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where it serves.
    pub address: SocketAddr,
    /// Its share against the others (default 1).
    pub weight: NonZeroU32,
    /// Where it runs.
    pub locality: Locality,
    /// What it is part of, such as a Deployment, for metrics alone.
    pub workload: Option<Arc<str>>,
}

/// `protocol:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Found out on each connection; HTTP upstream in the version that the client speaks.
    Auto,
    /// HTTP; HTTP/1.1 upstream.
    Http,
    /// HTTP; HTTP/2 upstream.
    Http2,
    /// As `http2`.
    Grpc,
    /// TLS of the application, passed through.
    Tls,
    /// Bytes.
    Tcp,
}

impl Protocol {
    /// What documents and annotations call them.
    pub const WORDS: [(&str, Self); 6] = [
        ("auto", Self::Auto),
        ("http", Self::Http),
        ("http2", Self::Http2),
        ("grpc", Self::Grpc),
        ("tls", Self::Tls),
        ("tcp", Self::Tcp),
    ];
}

/// What a pod's proxy has besides services.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Where connections of the application arrive; never empty.
    pub outbound_at: Vec<SocketAddr>,
    /// Where connections to the application arrive; never empty.
    pub inbound_at: Vec<SocketAddr>,
    /// What happens to connections to the application.
    pub inbound: Inbound,
    /// What happens to connections of the application to addresses that no service has.
    pub unknown: Unknown,
    /// For what says nothing of its own.
    pub limits: TrafficLimits,
}

/// `inbound:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// Their numbers are unique.
    pub ports: Vec<InboundPort>,
    /// For ports that are not listed.
    pub default: Protocol,
    /// `default.forwarded_for`, for ports that are not listed.
    pub default_forwarded_for: ForwardedFor,
}

/// A port that the application listens on.
#[derive(Clone, Debug, PartialEq)]
pub struct InboundPort {
    /// Its number.
    pub port: NonZeroU16,
    /// What is spoken.
    pub protocol: Protocol,
    /// What happens to `X-Forwarded-For`.
    pub forwarded_for: ForwardedFor,
    /// `limits:` of the port, over those of the document.
    pub limits: TrafficLimits,
}

/// `unknown:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are connected to where they were going.
    Passthrough,
    /// They are closed.
    Refuse,
}

/// The limits that may hold for one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficLimits {
    /// For a TCP handshake with an endpoint.
    pub connect_timeout: Duration,
    /// How long an HTTP/1 connection to an endpoint may wait in the pool.
    pub upstream_idle: Duration,
    /// How long an HTTP connection of a client may be without a request; `None`: no limit.
    pub downstream_idle: Option<Duration>,
    /// For a request's head, from its first byte; `None`: no limit.
    pub head_timeout: Option<Duration>,
    /// Of a request's head; a whole number of KiB.
    pub header_bytes: u32,
    /// Of a request's head.
    pub header_fields: u32,
    /// After so many a client is asked to open another connection; `None`: no limit.
    pub requests_per_connection: Option<NonZeroU32>,
    /// `keepalive` and `user_timeout`.
    pub tcp: TcpOptions,
    /// Of both sides.
    pub http2: Http2Options,
}

impl MeshDocument {
    /// What belongs to the process and does not travel through xDS.
    pub fn settings(&self) -> &ProxySettings {
        &self.settings
    }

    /// What each proxy has besides services.
    pub fn pod(&self) -> Pod {
        Pod {
            outbound_at: self.settings.outbound.clone(),
            inbound_at: self.settings.inbound.clone(),
            inbound: self.inbound.clone(),
            unknown: self.unknown,
            limits: self.limits,
        }
    }
}

impl Service {
    /// A headless service without ports.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            vips: Vec::new(),
            ports: Vec::new(),
        }
    }
}

impl ServicePort {
    /// A port without endpoints, with every default.
    pub fn new(port: NonZeroU16) -> Self {
        Self {
            port,
            protocol: Protocol::Auto,
            algorithm: Algorithm::PeakEwma,
            affinity: Affinity::None,
            limits: TrafficLimits::default(),
            endpoints: Endpoints::Known(Vec::new()),
            apart: None,
            routes: Routes::Own,
        }
    }
}

impl Endpoints {
    /// Those whose addresses are known.
    pub fn known(&self) -> &[Endpoint] {
        match self {
            Self::Known(endpoints) => endpoints,
            Self::Named(_) => &[],
        }
    }
}

impl Endpoint {
    /// One of many alike.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            weight: NonZeroU32::MIN,
            locality: Locality::default(),
            workload: None,
        }
    }
}

impl InboundPort {
    /// A port with every default.
    pub fn new(port: NonZeroU16) -> Self {
        Self {
            port,
            protocol: Protocol::Auto,
            forwarded_for: ForwardedFor::Off,
            limits: TrafficLimits::default(),
        }
    }
}

impl Default for Pod {
    fn default() -> Self {
        let ProxySettings { outbound, inbound, .. } = ProxySettings::new(ProcessLimits::default());
        Self {
            outbound_at: outbound,
            inbound_at: inbound,
            inbound: Inbound::default(),
            unknown: Unknown::Passthrough,
            limits: TrafficLimits::default(),
        }
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            default: Protocol::Auto,
            default_forwarded_for: ForwardedFor::Off,
        }
    }
}

impl Default for TrafficLimits {
    fn default() -> Self {
        Self {
            connect_timeout: defaults::CONNECT_TIMEOUT,
            upstream_idle: defaults::UPSTREAM_IDLE,
            downstream_idle: Some(defaults::DOWNSTREAM_IDLE),
            head_timeout: Some(defaults::HEAD_TIMEOUT),
            header_bytes: defaults::HEADER_BYTES as u32,
            header_fields: defaults::HEADER_FIELDS as u32,
            requests_per_connection: None,
            tcp: defaults::TCP,
            http2: defaults::HTTP2,
        }
    }
}
