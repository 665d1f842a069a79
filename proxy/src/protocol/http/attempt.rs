//! The attempts of one request: pick, lease; and whether another attempt may follow a failed one.

use super::clock::Clock;
use crate::balance::Key;
use crate::failure::{Reason, Retry};
use crate::protocol::Session;
use crate::route::{Changes, Fields, Forward};
use crate::telemetry::RequestRecord;
use crate::upstream::budget::Permit;
use crate::upstream::{Cluster, Endpoint, Http1, Http2, Tried, Unreached};
use evenkeel_control_api::resource::cluster::UpstreamVersion;
use http::HeaderName;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::time::Instant;

/// Further attempts after the first.
const FURTHER: usize = 2;
/// Bytes of a request's body that are kept for another attempt.
pub(super) const REPLAY: usize = 64 * 1024;

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
    fn version(&self) -> &'static str {
        match self {
            Self::One(_) => "HTTP/1.1",
            Self::Two(_) => "HTTP/2",
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
    /// What is changed of the request and of its answer.
    pub(super) changes: Option<&'a Changes>,
    /// For the whole exchange.
    pub(super) clock: &'a Clock,
    /// When the request began.
    started: Instant,
    /// When the endpoint of this attempt got it: what others took before is not its latency.
    pub(super) leased: Instant,
    /// Attempts so far, those to connect included.
    made: u32,
    /// Where the newest went.
    newest: Option<SocketAddr>,
    /// Who has it.
    endpoint: Option<Rc<Endpoint>>,
    pinned: Option<SocketAddr>,
    /// What it has in common with others that are to get the same endpoint.
    key: Option<Key>,
    tried: Tried,
    /// The last failure was one to connect: the same endpoint would fail the same way.
    unreachable: bool,
    /// It was tried again once without asking the budget.
    spared: bool,
    /// A pooled connection failed: the next attempt opens a new one.
    fresh: bool,
    /// For the newest attempt, if it is a retry whose outcome is not known.
    permit: Cell<Option<Permit>>,
}

impl<'a> Attempts<'a> {
    /// For a request with these fields that goes to `cluster`.
    pub(super) fn begin(
        session: &'a Session,
        forward: &'a Forward,
        cluster: Rc<Cluster>,
        clock: &'a Clock,
        fields: &dyn Fields,
    ) -> Result<Self, Reason> {
        if session.context.upstreams.drops(&cluster) {
            return Err(Reason::Overloaded);
        }
        let named = |name: &HeaderName| fields.value(name, 0);
        let pinned = cluster
            .configuration
            .pinned(session.destination, session.pinned(), named);
        let started = clock.started();
        Ok(Self {
            session,
            cluster,
            changes: forward.changes.as_deref(),
            clock,
            started,
            leased: started,
            made: 0,
            newest: None,
            endpoint: None,
            pinned,
            key: forward.hash.map(|hash| session.key(hash)),
            tried: Tried::default(),
            unreachable: false,
            spared: false,
            fresh: false,
            permit: Cell::default(),
        })
    }

    /// How many there were, those to connect included.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// A way to an endpoint that was not tried yet. Failures to connect are followed by the next endpoint here.
    pub(super) async fn lease(
        &mut self,
        downstream: Version,
        needs_http1: bool,
        record: &mut RequestRecord,
    ) -> Result<Lease, Reason> {
        let leased = self.reach(downstream, needs_http1, record).await;
        if let Some(entry) = record.entry() {
            entry.reach(self.newest, self.made);
            if let Ok(lease) = &leased {
                entry.speak(lease.version());
            }
        }
        if let Some(span) = record.span() {
            span.reach(self.newest, self.made);
        }
        leased
    }

    async fn reach(
        &mut self,
        downstream: Version,
        needs_http1: bool,
        record: &mut RequestRecord,
    ) -> Result<Lease, Reason> {
        let version = match self.cluster.configuration.http.version {
            _ if needs_http1 => Version::One,
            UpstreamVersion::SameAsDownstream => downstream,
            UpstreamVersion::Http1 => Version::One,
            UpstreamVersion::Http2 => Version::Two,
        };
        let mut last = Reason::NoEndpoint;
        let mut next = self.pick();
        while let Some(endpoint) = next {
            self.made += 1;
            self.newest = Some(endpoint.address);
            record.reach(endpoint.series());
            if let Some(series) = self.session.destined(&endpoint) {
                record.destine(&series);
            }
            match self.connect(&endpoint, version).await {
                Ok(lease) => {
                    if !lease.reused() || !self.tried.is_empty() {
                        self.leased = Instant::now();
                    }
                    self.endpoint = Some(endpoint);
                    return Ok(lease);
                }
                Err(unreached) => {
                    last = unreached.reason();
                    self.tell_failed(last, record);
                    if !self.repeats(last, false, Repeatable::Unsent) {
                        break;
                    }
                    next = self.spare(unreached);
                    if next.is_none() {
                        if !self.is_permitted(record) {
                            break;
                        }
                        next = self.pick();
                    }
                    record.retried();
                }
            }
        }
        Err(last)
    }

    /// Where an attempt that failed with others goes without asking the budget, for one of them has.
    ///
    /// The budget is to keep failures from multiplying requests. These do not while another endpoint is well, for this one
    /// is left alone from now on. When all die at once, each request would find them out one after the other.
    fn spare(&mut self, unreached: Unreached) -> Option<Rc<Endpoint>> {
        let Unreached::Joined(_) = unreached else { return None };
        if self.spared || self.pinned.is_some() {
            return None;
        }
        let upstreams = &self.session.context.upstreams;
        let other = upstreams.balance_well(&self.cluster, self.key, &self.tried, self.started);
        self.spared = other.is_some();
        other
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
        let other = upstreams.balance(&self.cluster, self.key, &self.tried, self.started);
        if other.is_some() || self.unreachable {
            return other;
        }
        upstreams.balance(&self.cluster, self.key, &Tried::default(), self.started)
    }

    async fn connect(&self, endpoint: &Rc<Endpoint>, version: Version) -> Result<Lease, Unreached> {
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

    /// Whether another attempt follows the newest, which failed for `reason`; books the try.
    pub(super) fn again(
        &mut self,
        reason: Reason,
        reused: bool,
        request: Repeatable,
        record: &mut RequestRecord,
    ) -> bool {
        self.tell_failed(reason, record);
        let again = self.repeats(reason, reused, request) && self.is_permitted(record);
        if again {
            record.retried();
        }
        again
    }

    /// The span of the request tells of each attempt that failed.
    fn tell_failed(&self, reason: Reason, record: &mut RequestRecord) {
        if let Some(span) = record.span() {
            span.fail(self.newest, reason);
        }
    }

    /// The head of an answer is here: what follows is a request like any other.
    pub(super) fn answered(&self) {
        self.permit.take();
    }

    /// Whether another attempt may help, and would be made: without regard to the budget.
    fn repeats(&mut self, reason: Reason, reused: bool, request: Repeatable) -> bool {
        if let Some(address) = self.newest {
            self.tried.add(address);
        }
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
        allowed && self.tried.len() <= FURTHER && self.has_endpoint()
    }

    fn has_endpoint(&self) -> bool {
        !self.unreachable || (self.pinned.is_none() && self.cluster.has_other(&self.tried))
    }

    /// Asks the budget.
    fn is_permitted(&self, record: &mut RequestRecord) -> bool {
        // The attempt before is over: a request has one retry in flight at most.
        self.permit.take();
        let upstreams = &self.session.context.upstreams;
        let permit = upstreams.permit_retry(&self.cluster, Instant::now());
        if permit.is_none() {
            record.retry_forbidden();
        }
        let permitted = permit.is_some();
        self.permit.set(permit);
        permitted
    }
}
