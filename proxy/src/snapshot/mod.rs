//! The compiled, immutable configuration: what a worker looks things up in, and nothing that can be wrong.
//!
//! To add a field: its decode is in `control-api/src/resource/<kind>.rs`, its consumer in `snapshot/<kind>.rs`.

mod cluster;
mod compile;
mod handling;

pub use cluster::{Cluster, Discovery, Endpoint};
pub use compile::compile;
pub use handling::{Detection, Handling, HttpHandling, TcpHandling, Versions};

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// One consistent configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts from 1; for people, and to see whether something is newer.
    pub generation: u64,
    /// Rules and handlings name clusters by their place here.
    pub clusters: Vec<Arc<Cluster>>,
    /// By original destination.
    services: HashMap<SocketAddr, Arc<Handling>>,
    /// By the address of an endpoint, for what is not sent to a Service (headless, `StatefulSet`, a scraper).
    endpoints: HashMap<SocketAddr, Arc<Handling>>,
    /// What happens to outbound connections to anything else; `None`: refused.
    unknown: Option<Arc<Handling>>,
    /// By the port of the application.
    inbound: HashMap<u16, Arc<Handling>>,
    /// Ports of the application that nothing was said about; `None`: refused.
    inbound_default: Option<Arc<Handling>>,
}

/// What is to be done with a connection.
#[derive(Clone, Debug)]
pub struct Target {
    /// How.
    pub handling: Arc<Handling>,
    /// To exactly this endpoint; `None`: to the one that balancing picks.
    pub pinned: Option<SocketAddr>,
}

impl Snapshot {
    /// For a connection that our application opened to `destination`; `None`: refuse it.
    pub fn outbound(&self, destination: SocketAddr) -> Option<Target> {
        if let Some(handling) = self.services.get(&destination) {
            return Some(Target {
                handling: Arc::clone(handling),
                pinned: None,
            });
        }
        let handling = self.endpoints.get(&destination).or(self.unknown.as_ref())?;
        Some(Target {
            handling: Arc::clone(handling),
            pinned: Some(destination),
        })
    }

    /// For a connection that was opened to our application at `destination`; `None`: refuse it.
    pub fn inbound(&self, destination: SocketAddr) -> Option<Target> {
        let handling = self
            .inbound
            .get(&destination.port())
            .or(self.inbound_default.as_ref())?;
        Some(Target {
            handling: Arc::clone(handling),
            pinned: Some(destination),
        })
    }

    /// Services by address, for the operator's pages.
    pub fn services(&self) -> impl Iterator<Item = (&SocketAddr, &Arc<Handling>)> {
        self.services.iter()
    }

    /// Every handling there is, some of them more than once.
    pub fn handlings(&self) -> impl Iterator<Item = &Arc<Handling>> {
        let outbound = self
            .services
            .values()
            .chain(self.endpoints.values())
            .chain(&self.unknown);
        outbound.chain(self.inbound.values()).chain(&self.inbound_default)
    }

    /// What happens to outbound connections that no service claims.
    pub fn unknown(&self) -> Option<&Arc<Handling>> {
        self.unknown.as_ref()
    }

    /// Inbound ports, for the operator's pages; `None` is the default for the others.
    pub fn inbound_ports(&self) -> impl Iterator<Item = (Option<u16>, &Arc<Handling>)> {
        let listed = self.inbound.iter().map(|(port, handling)| (Some(*port), handling));
        listed.chain(self.inbound_default.iter().map(|handling| (None, handling)))
    }
}
