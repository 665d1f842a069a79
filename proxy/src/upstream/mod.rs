//! The live state of endpoints: who is next, what is in flight, which connections wait, and how new ones are made.
//!
//! Everything here belongs to one worker, but for [`shared`], which is atomics only.

pub mod backoff;
pub mod budget;
mod cluster;
mod connecting;
mod endpoint;
mod http1;
mod http2;
mod live;
pub mod own;
pub mod shared;

pub use cluster::{Cluster, Tried};
pub use connecting::Unreached;
pub use endpoint::{Endpoint, InFlight};
pub use http1::{Http1, UNTOUCHED_FOR};
pub use http2::Http2;
pub use live::Live;

use crate::balance::{Dice, Key, Millis};
use crate::net::stream::Stream;
use crate::telemetry::{Book, Version};
use backoff::Pauses;
use budget::Permit;
use endpoint::Nursery;
use evenkeel_control_api::mesh::settings::ProcessLimits;
use http1::Ledger;
use own::Own;
use shared::Registry;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Takes the other end of an in-process stream to one of the pod's own addresses.
pub type LocalDialer = Box<dyn Fn(SocketAddr, Stream)>;

/// One worker's way to all endpoints.
pub struct Upstreams {
    /// The configuration in force and the clusters built from it.
    live: RefCell<Rc<Live>>,
    nursery: Nursery,
    own: Arc<Own>,
    book: Arc<Book>,
    epoch: Instant,
    dice: RefCell<Dice>,
    pauses: Pauses,
    /// That an endpoint may send on an HTTP/2 connection without a message.
    control_frames: u32,
    local: RefCell<Option<LocalDialer>>,
}

/// What an [`Upstreams`] is made of.
pub struct Parts {
    /// Shared by all workers.
    pub registry: Arc<Registry>,
    /// The pod's addresses and our ports.
    pub own: Arc<Own>,
    /// Where this worker counts.
    pub book: Arc<Book>,
    /// The start of the process: the zero of [`Millis`], the same for all workers.
    pub epoch: Instant,
    /// For this worker's choices.
    pub dice: Dice,
    /// Of the process.
    pub limits: ProcessLimits,
}

impl Upstreams {
    /// Without a configuration: everything is refused until [`Upstreams::apply`].
    pub fn new(parts: Parts) -> Self {
        let Parts {
            registry,
            own,
            book,
            epoch,
            dice,
            limits,
        } = parts;
        let ledger = Ledger {
            per_endpoint: limits.idle_per_endpoint,
            total: limits.idle_total,
            kept: Cell::new(0),
            book: Arc::clone(&book),
        };
        Self {
            live: RefCell::new(Rc::new(Live::default())),
            nursery: Nursery {
                registry,
                ledger: Rc::new(ledger),
            },
            own,
            book,
            epoch,
            dice: RefCell::new(dice),
            pauses: Pauses {
                first: limits.backoff_first,
                most: limits.backoff_most,
            },
            control_frames: limits.flood.control_frames,
            local: RefCell::new(None),
        }
    }

    /// Says who takes connections to the pod's own addresses; until then they are dialled like any other.
    pub fn serve_local(&self, dialer: LocalDialer) {
        *self.local.borrow_mut() = Some(dialer);
    }

    /// The configuration in force. Whoever holds it goes on with it, whatever comes.
    pub fn live(&self) -> Rc<Live> {
        Rc::clone(&self.live.borrow())
    }

    /// The addresses that are ours.
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// A die for what is decided outside.
    pub fn dice(&self) -> std::cell::RefMut<'_, Dice> {
        self.dice.borrow_mut()
    }

    /// A point in time as the deciders take it.
    pub fn millis(&self, now: Instant) -> Millis {
        Millis(now.saturating_duration_since(self.epoch).as_millis() as u32)
    }

    /// The endpoint at exactly this address.
    pub fn at(&self, cluster: &Cluster, address: SocketAddr) -> Option<Rc<Endpoint>> {
        cluster.at(address, &self.nursery)
    }

    /// The endpoint that balancing picks for a new request or connection; the same for the same `key`, where the cluster
    /// hashes.
    pub fn balance(&self, cluster: &Cluster, key: Option<Key>, tried: &Tried, now: Instant) -> Option<Rc<Endpoint>> {
        cluster.pick(self.millis(now), key, &mut self.dice.borrow_mut(), tried)
    }

    /// The same of those alone that have not failed since they last served.
    pub fn balance_well(
        &self,
        cluster: &Cluster,
        key: Option<Key>,
        tried: &Tried,
        now: Instant,
    ) -> Option<Rc<Endpoint>> {
        cluster.pick_well(self.millis(now), key, &mut self.dice.borrow_mut(), tried)
    }

    /// Whether the control plane wants this request or connection dropped instead.
    pub fn drops(&self, cluster: &Cluster) -> bool {
        cluster.drops(&mut self.dice.borrow_mut())
    }

    /// Leave for another attempt at one of the cluster's endpoints; `None` when too many of its requests are tried again
    /// already.
    pub fn permit_retry(&self, cluster: &Cluster, now: Instant) -> Option<Permit> {
        // The request itself is nowhere in flight between two attempts.
        let active = cluster.in_flight().saturating_add(1);
        cluster.budget.permit(active, now.saturating_duration_since(self.epoch))
    }

    /// Counts a connection at the endpoint until the result is dropped.
    pub fn count(&self, endpoint: &Rc<Endpoint>) -> InFlight {
        InFlight::begin(endpoint)
    }

    /// An idle connection to the endpoint, if one is open and silent.
    pub fn pooled(&self, endpoint: &Rc<Endpoint>, now: Instant) -> Option<Http1> {
        let (stream, carried) = endpoint.idle.take(now)?;
        self.book.pool(Version::Http1).reused.increment();
        Some(Http1 {
            stream,
            in_flight: InFlight::begin(endpoint),
            reused: true,
            carried: carried.saturating_add(1),
        })
    }

    /// Gives a connection back that has finished an exchange cleanly, to be kept for `keep`.
    pub fn recycle(&self, lease: Http1, now: Instant, keep: Duration) {
        let endpoint = lease.in_flight.endpoint();
        if !endpoint.wears_out(lease.carried) {
            endpoint.idle.give(lease.stream, now + keep, lease.carried);
        }
    }

    /// Adopts a speculative connection on which nothing was sent, opened at `since`.
    pub fn adopt(&self, endpoint: &Endpoint, stream: Stream, since: Instant) {
        endpoint.idle.give(stream, since + UNTOUCHED_FOR, 0);
    }

    /// Closes idle connections that have expired or that the server has closed. To be called about once a second.
    pub fn sweep(&self, now: Instant) {
        for cluster in self.live.borrow().clusters() {
            cluster.each_endpoint(|endpoint| endpoint.idle.sweep(now));
        }
    }
}
