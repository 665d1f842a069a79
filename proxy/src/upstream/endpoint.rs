//! One endpoint as one worker sees it: what all workers share of it, and this worker's own connections to it.

use super::http1::IdlePool;
use super::http2::Http2Pool;
use super::shared::Shared;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// An endpoint and this worker's pools for it.
#[derive(Debug)]
pub struct Endpoint {
    /// Where.
    pub address: SocketAddr,
    /// Load, latency and back-off, shared by all workers.
    pub shared: Arc<Shared>,
    /// Idle HTTP/1 connections.
    pub(super) idle: IdlePool,
    /// HTTP/2 connections.
    pub(super) http2: Http2Pool,
}

impl Endpoint {
    pub(super) fn new(address: SocketAddr, shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            address,
            idle: IdlePool::default(),
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
