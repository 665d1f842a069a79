//! The compiled, immutable configuration: what a worker looks things up in, and nothing that can be wrong.
//!
//! To add a field: its decode is in `control-api/src/resource/<kind>.rs`, its consumer in `snapshot/<kind>.rs`.

mod chains;
mod claims;
mod cluster;
mod compile;
mod fold;
mod handling;
mod names;
mod parts;
mod places;
mod select;
#[cfg(test)]
mod tests;
mod uses;

pub use cluster::{Cluster, Discovery};
pub use compile::{Compiler, compile};
pub use handling::{Detection, Handling, HttpHandling, Split, TcpHandling, Versions};

pub use select::{Hello, Opening, Seen};

use chains::Entry;
use evenkeel_control_api::resource::listener::Direction;
use names::Names;
use parts::Parts;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// One consistent configuration. A clone shares nearly everything.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counts from 1; for people, and to see whether something is newer.
    pub generation: u64,
    /// It only stands in until a control plane has said anything.
    stands_in: bool,
    /// Rules and handlings name clusters by their place here, which a cluster keeps from one snapshot to the next.
    clusters: Vec<Option<Arc<Cluster>>>,
    /// By original destination.
    services: Parts<SocketAddr, Entry>,
    /// By the address of an endpoint, for what is not sent to a Service (headless, `StatefulSet`, a scraper).
    endpoints: Parts<SocketAddr, Arc<Handling>>,
    /// What happens to outbound connections to anything else.
    unknown: Entry,
    /// By the port of the application.
    inbound: HashMap<u16, Entry>,
    /// Ports of the application that nothing was said about.
    inbound_default: Entry,
    /// What a control plane said of destinations that it was asked for, and that no listener has.
    asked: Parts<SocketAddr, Answer>,
    /// The services of all of these.
    names: Names,
    /// Places of clusters by name, for requests that name one.
    named: Parts<Arc<str>, usize>,
}

/// What a control plane says of a destination that no listener has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is nothing: it is like any other unknown destination.
    Nothing,
    /// There is something, and it was refused: nothing may pass in its place.
    Refused,
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
    /// The same, until a control plane has said anything.
    #[must_use]
    pub fn standing_in(&self, generation: u64) -> Self {
        Self {
            generation,
            stands_in: true,
            ..self.clone()
        }
    }

    /// Whether it only stands in until a control plane has said anything.
    pub fn stands_in(&self) -> bool {
        self.stands_in
    }

    /// The cluster at this place; `None`: it was named, and is not there.
    pub fn cluster(&self, place: usize) -> Option<&Arc<Cluster>> {
        self.clusters.get(place)?.as_ref()
    }

    /// Where the cluster of this name is.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        self.named.get(name).copied()
    }

    /// More than any place of a cluster.
    pub fn places(&self) -> usize {
        self.clusters.len()
    }

    /// Every cluster with its place.
    pub fn clusters(&self) -> impl Iterator<Item = (usize, &Arc<Cluster>)> {
        let clusters = self.clusters.iter().enumerate();
        clusters.filter_map(|(place, cluster)| Some((place, cluster.as_ref()?)))
    }

    /// For a connection that our application opened to `destination`, from `source`; `None`: refuse it.
    pub fn outbound(&self, destination: SocketAddr, source: Option<SocketAddr>) -> Option<Target> {
        let anywhere = SocketAddr::new(unspecified(destination.ip()), destination.port());
        for address in [destination, anywhere] {
            if let Some(entry) = self.services.get(&address) {
                return Some(Target {
                    handling: entry.handling(destination, source)?,
                    pinned: None,
                });
            }
            // What would have taken it was refused: nothing that is less specific may take its place.
            if self.asked.get(&address) == Some(&Answer::Refused) {
                return None;
            }
        }
        let handling = match self.endpoints.get(&destination) {
            Some(handling) => Arc::clone(handling),
            None => self.unknown.handling(destination, source)?,
        };
        Some(Target {
            handling,
            pinned: Some(destination),
        })
    }

    /// Whether it is known what to do with connections to this destination, so that nobody has to be asked.
    pub fn answers(&self, destination: SocketAddr) -> bool {
        self.services.get(&destination).is_some() || self.asked.get(&destination).is_some()
    }

    /// For a connection that was opened to our application at `destination`, from `source`; `None`: refuse it.
    pub fn inbound(&self, destination: SocketAddr, source: Option<SocketAddr>) -> Option<Target> {
        let entry = self.inbound.get(&destination.port()).unwrap_or(&self.inbound_default);
        Some(Target {
            handling: entry.handling(destination, source)?,
            pinned: Some(destination),
        })
    }

    /// Services by address, for the operator's pages; one that refuses connections does nothing.
    pub fn services(&self) -> impl Iterator<Item = (&SocketAddr, Vec<&Arc<Handling>>)> {
        self.services
            .iter()
            .map(|(address, entry)| (address, entry.handlings()))
    }

    /// Whether anything here is counted for this service.
    pub fn knows(&self, direction: Direction, service: &str) -> bool {
        self.names.has(direction, service)
    }

    /// What happens to outbound connections that no service claims.
    pub fn unknown(&self) -> Vec<&Arc<Handling>> {
        self.unknown.handlings()
    }

    /// Inbound ports, for the operator's pages; `None` is the default for the others.
    pub fn inbound_ports(&self) -> impl Iterator<Item = (Option<u16>, Vec<&Arc<Handling>>)> {
        let listed = self.inbound.iter().map(|(port, entry)| (Some(*port), entry));
        let all = listed.chain([(None, &self.inbound_default)]);
        all.map(|(port, entry)| (port, entry.handlings()))
    }
}

/// The address that a listener has that takes a port at every address of this family.
fn unspecified(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
