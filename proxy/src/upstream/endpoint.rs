//! One endpoint as one worker sees it: what all workers share of it, and this worker's own connections to it.

use super::http1::{IdlePool, Ledger};
use super::http2::Http2Pool;
use super::shared::{Registry, Shared};
use crate::telemetry::{Destination, EndpointSeries};
use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

/// An endpoint and this worker's pools for it.
#[derive(Debug)]
pub struct Endpoint {
    /// Where.
    pub address: SocketAddr,
    /// Load, latency and back-off, shared by all workers.
    pub shared: Arc<Shared>,
    /// Where this worker counts what goes there; nothing before the first request.
    series: OnceCell<Arc<EndpointSeries>>,
    /// Whose it is, as far as labels tell it.
    pub(super) destination: RefCell<Option<Arc<Destination>>>,
    /// So many requests a connection to it carries; `None`: any number.
    pub(super) max_requests: Cell<Option<NonZeroU32>>,
    /// Idle HTTP/1 connections.
    pub(super) idle: IdlePool,
    /// HTTP/2 connections.
    pub(super) http2: Http2Pool,
}

impl Endpoint {
    /// Whether a connection that has carried so many requests must carry no more.
    pub(super) fn wears_out(&self, carried: u32) -> bool {
        self.max_requests.get().is_some_and(|max| carried >= max.get())
    }

    /// Where this worker counts what goes there.
    pub fn series(&self) -> &Arc<EndpointSeries> {
        self.series.get_or_init(|| self.shared.series(self.idle.worker()))
    }

    /// Whose it is, as far as labels tell it; `None`: none does.
    pub fn destination(&self) -> Ref<'_, Option<Arc<Destination>>> {
        self.destination.borrow()
    }

    /// Nothing is kept for it any more: it has left the configuration. What is in flight goes on.
    pub(super) fn retire(&self) {
        self.idle.retire();
        self.http2.close();
    }
}

/// Makes endpoints: finds what other workers know of them, and lets them keep connections on this worker's account.
#[derive(Debug)]
pub(super) struct Nursery {
    pub(super) registry: Arc<Registry>,
    pub(super) ledger: Rc<Ledger>,
}

impl Nursery {
    pub(super) fn endpoint(&self, cluster: &Arc<str>, address: SocketAddr) -> Rc<Endpoint> {
        let shared = self.registry.endpoint(cluster, address);
        let idle = IdlePool::new(Rc::clone(&self.ledger), Arc::clone(&shared));
        Rc::new(Endpoint {
            address,
            series: OnceCell::new(),
            destination: RefCell::default(),
            max_requests: Cell::new(None),
            idle,
            http2: Http2Pool::default(),
            shared,
        })
    }
}

/// One request or opaque connection in flight at an endpoint; counted until it is dropped.
#[derive(Debug)]
pub struct InFlight {
    endpoint: Rc<Endpoint>,
}

impl InFlight {
    pub(super) fn begin(endpoint: &Rc<Endpoint>) -> Self {
        endpoint.shared.load.started();
        Self {
            endpoint: Rc::clone(endpoint),
        }
    }

    /// Where it is in flight.
    pub fn endpoint(&self) -> &Rc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.shared.load.finished();
    }
}
