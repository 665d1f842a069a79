//! A cluster with its endpoints joined in.

use evenkeel_control_api::resource::cluster::{Algorithm, TcpOptions, UpstreamHttp};
use evenkeel_control_api::resource::endpoint::Locality;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A set of endpoints that do the same, and how to talk to them.
#[derive(Debug, PartialEq)]
pub struct Cluster {
    /// Unique in the snapshot; live state is kept by it.
    pub name: Arc<str>,
    /// The service in metrics.
    pub service: Arc<str>,
    /// Where connections go.
    pub discovery: Discovery,
    /// How an endpoint is chosen.
    pub algorithm: Algorithm,
    /// For the TCP handshake.
    pub connect_timeout: Duration,
    /// Which HTTP is spoken.
    pub http: UpstreamHttp,
    /// How a vanished peer is noticed.
    pub tcp: TcpOptions,
}

/// Where connections of a cluster go.
#[derive(Debug, PartialEq)]
pub enum Discovery {
    /// To one of these; those that must not be used are not in the list.
    Endpoints(Vec<Endpoint>),
    /// To where the client sent them.
    OriginalDestination,
}

/// One address that serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where.
    pub address: SocketAddr,
    /// Its share against the others.
    pub weight: NonZeroU32,
    /// Where it runs.
    pub locality: Locality,
}
