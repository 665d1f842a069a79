//! The attempts of one request: route, pick, lease; and whether another attempt may follow a failed one.

use crate::failure::{Reason, Retry};
use crate::protocol::Session;
use crate::snapshot::{Discovery, Handling};
use crate::upstream::{Cluster, Endpoint, Http1, Http2, Live, Tried};
use evenkeel_control_api::resource::cluster::UpstreamVersion;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Further attempts after the first.
const FURTHER: usize = 2;

/// An HTTP version as far as connections differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// HTTP/1.0 and HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// A way to an endpoint for one exchange.
pub(super) enum Lease {
    One(Http1),
    Two(Http2),
}

impl Lease {
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::One(up) => up.in_flight.endpoint().address,
            Self::Two(up) => up.in_flight.endpoint().address,
        }
    }

    fn reused(&self) -> bool {
        match self {
            Self::One(up) => up.reused,
            Self::Two(up) => up.reused,
        }
    }
}

/// Whether a request that failed could be sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeatable {
    /// A part of it is gone from our buffers.
    No,
    /// All of it is here, and it may be acted on twice (RFC 9110 9.2.2).
    Idempotent,
    /// All of it is here, but it must not be acted on twice.
    Once,
    /// Nothing of it has left us.
    Unsent,
}

/// The attempts of one request.
pub(super) struct Attempts<'a> {
    session: &'a Session,
    /// The cluster that the route names.
    pub(super) cluster: Rc<Cluster>,
    /// For the whole exchange.
    pub(super) timeout: Option<Duration>,
    /// When the request began.
    pub(super) started: Instant,
    /// When the endpoint of this attempt got it: what others took before is not its latency.
    pub(super) leased: Instant,
    /// Attempts so far, those to connect included.
    pub(super) made: u32,
    /// Where the newest went.
    pub(super) newest: Option<SocketAddr>,
    /// Who has it.
    endpoint: Option<Rc<Endpoint>>,
    pinned: Option<SocketAddr>,
    tried: Tried,
    /// The last failure was one to connect: the same endpoint would fail the same way.
    unreachable: bool,
    /// A pooled connection failed: the next attempt opens a new one.
    fresh: bool,
}

impl<'a> Attempts<'a> {
    /// Finds the cluster for a request to `path`.
    pub(super) fn route(
        session: &'a Session,
        live: &Live,
        handling: &Handling,
        path: &[u8],
        started: Instant,
    ) -> Result<Self, Reason> {
        let http = handling.http.as_ref().ok_or(Reason::NoRoute)?;
        let rule = http.routes.find(path).ok_or(Reason::NoRoute)?;
        let cluster = live.cluster(rule.cluster).ok_or(Reason::NoCluster)?;
        let pinned = match cluster.configuration.discovery {
            Discovery::OriginalDestination => Some(session.destination),
            Discovery::Endpoints(_) => session.pinned(),
        };
        Ok(Self {
            session,
            cluster: Rc::clone(cluster),
            timeout: rule.timeout,
            started,
            leased: started,
            made: 0,
            newest: None,
            endpoint: None,
            pinned,
            tried: Tried::default(),
            unreachable: false,
            fresh: false,
        })
    }

    /// A way to an endpoint that was not tried yet. Failures to connect are followed by the next endpoint here.
    pub(super) async fn lease(&mut self, downstream: Version, needs_http1: bool) -> Result<Lease, Reason> {
        let version = match self.cluster.configuration.http.version {
            _ if needs_http1 => Version::One,
            UpstreamVersion::SameAsDownstream => downstream,
            UpstreamVersion::Http1 => Version::One,
            UpstreamVersion::Http2 => Version::Two,
        };
        let mut last = Reason::NoEndpoint;
        while let Some(endpoint) = self.pick() {
            self.made += 1;
            self.newest = Some(endpoint.address);
            match self.connect(&endpoint, version).await {
                Ok(lease) => {
                    if !lease.reused() || !self.tried.is_empty() {
                        self.leased = Instant::now();
                    }
                    self.endpoint = Some(endpoint);
                    return Ok(lease);
                }
                Err(reason) => {
                    last = reason;
                    if !self.again(endpoint.address, reason, false, Repeatable::Unsent) {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    fn pick(&self) -> Option<Rc<Endpoint>> {
        let upstreams = &self.session.context.upstreams;
        if let Some(address) = self.pinned {
            return if self.unreachable {
                None
            } else {
                upstreams.at(&self.cluster, address)
            };
        }
        let other = upstreams.balance(&self.cluster, &self.tried, self.started);
        if other.is_some() || self.unreachable {
            return other;
        }
        upstreams.balance(&self.cluster, &Tried::default(), self.started)
    }

    async fn connect(&self, endpoint: &Rc<Endpoint>, version: Version) -> Result<Lease, Reason> {
        let (upstreams, direction) = (&self.session.context.upstreams, self.session.direction);
        match version {
            Version::One if self.fresh => upstreams
                .fresh_http1(&self.cluster, endpoint, direction)
                .await
                .map(Lease::One),
            Version::One => upstreams
                .http1(&self.cluster, endpoint, direction, self.started)
                .await
                .map(Lease::One),
            Version::Two => upstreams
                .http2(&self.cluster, endpoint, direction)
                .await
                .map(Lease::Two),
        }
    }

    /// Whether another attempt may follow one that failed at `address` for `reason`; books the try.
    pub(super) fn again(&mut self, address: SocketAddr, reason: Reason, reused: bool, request: Repeatable) -> bool {
        self.tried.add(address);
        self.unreachable = matches!(
            reason,
            Reason::ConnectRefused | Reason::ConnectTimeout | Reason::ConnectFailed
        );
        self.fresh = reused;
        // A connection that was open already may have been closed for its age; a new one says something of its endpoint.
        if let Some(endpoint) = self.endpoint.take()
            && reason == Reason::UpstreamClosed
            && !reused
        {
            self.session.context.upstreams.failed(&endpoint);
        }
        let allowed = match reason.retry() {
            Retry::Never => false,
            Retry::Always => request != Repeatable::No,
            Retry::OnReusedConnection => request == Repeatable::Unsent || (reused && request == Repeatable::Idempotent),
        };
        allowed && self.tried.len() <= FURTHER
    }
}
