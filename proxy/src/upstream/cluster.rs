//! One cluster as one worker sees it: its configuration, its endpoints and who of them is next.

use super::backoff::Admission;
use super::endpoint::{Endpoint, Nursery};
use crate::balance::{self, Balancer, Dice, Member, Millis};
use crate::snapshot::{Cluster as Configuration, Discovery};
use evenkeel_control_api::resource::cluster::Algorithm;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// Endpoints of an original-destination cluster that are remembered; beyond it, idle ones are forgotten first.
const REMEMBERED: usize = 1024;

/// A cluster's live state in one worker.
#[derive(Debug)]
pub struct Cluster {
    /// What it was built from.
    pub configuration: Arc<Configuration>,
    endpoints: Vec<Rc<Endpoint>>,
    balancer: RefCell<Balancer>,
    /// Of an original-destination cluster: by the address that was asked for.
    visited: RefCell<HashMap<SocketAddr, Rc<Endpoint>>>,
}

/// The endpoints that one request has tried in vain.
#[derive(Debug, Default)]
pub struct Tried(Vec<SocketAddr>);

impl Tried {
    /// Not this one again.
    pub fn add(&mut self, address: SocketAddr) {
        self.0.push(address);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contains(&self, address: SocketAddr) -> bool {
        self.0.contains(&address)
    }
}

impl Cluster {
    /// Builds the live state for `configuration`, keeping what `before` knew of the same endpoints.
    pub(super) fn build(
        configuration: Arc<Configuration>,
        before: Option<&Self>,
        nursery: &Nursery,
        dice: &mut Dice,
    ) -> Rc<Self> {
        let listed = match &configuration.discovery {
            Discovery::Endpoints(endpoints) => endpoints.as_slice(),
            Discovery::OriginalDestination => &[],
        };
        let known: HashMap<_, _> = before
            .iter()
            .flat_map(|before| &before.endpoints)
            .map(|known| (known.address, known))
            .collect();
        let endpoints: Vec<_> = listed
            .iter()
            .map(|endpoint| match known.get(&endpoint.address) {
                Some(known) => Rc::clone(known),
                None => nursery.endpoint(&configuration.name, endpoint.address),
            })
            .collect();
        let members = listed
            .iter()
            .zip(&endpoints)
            .map(|(endpoint, live)| Member {
                weight: endpoint.weight,
                load: Arc::clone(&live.shared.load),
            })
            .collect();
        let visited = before.map(|before| before.visited.take()).unwrap_or_default();
        Rc::new(Self {
            balancer: RefCell::new(Balancer::new(algorithm(configuration.algorithm), members, dice)),
            configuration,
            endpoints,
            visited: RefCell::new(visited),
        })
    }

    /// The endpoint for a new request: not one that it has tried, and not one in back-off while another is well.
    pub(super) fn pick(&self, now: Millis, dice: &mut Dice, tried: &Tried) -> Option<Rc<Endpoint>> {
        let mut balancer = self.balancer.borrow_mut();
        let untried = |place: usize| tried.is_empty() || !tried.contains(self.endpoints[place].address);
        let admitted =
            |place: usize| untried(place) && self.endpoints[place].shared.backoff.admission(now) != Admission::Paused;
        while let Some(place) = balancer.pick(now, dice, admitted) {
            let endpoint = &self.endpoints[place];
            if endpoint.shared.backoff.claim_probe(now) {
                return Some(Rc::clone(endpoint));
            }
        }
        // All are paused: an attempt costs less than a certain failure, and one of them may just have come back.
        balancer
            .pick(now, dice, untried)
            .map(|place| Rc::clone(&self.endpoints[place]))
    }

    /// The endpoint at exactly this address; `None` when a cluster with listed endpoints does not have it.
    pub(super) fn at(&self, address: SocketAddr, nursery: &Nursery) -> Option<Rc<Endpoint>> {
        if let Discovery::Endpoints(_) = self.configuration.discovery {
            return self
                .endpoints
                .iter()
                .find(|endpoint| endpoint.address == address)
                .cloned();
        }
        let mut visited = self.visited.borrow_mut();
        if visited.len() >= REMEMBERED && !visited.contains_key(&address) {
            visited.retain(|_, endpoint| Rc::strong_count(endpoint) > 1 || endpoint.idle.len() > 0);
        }
        let endpoint = visited
            .entry(address)
            .or_insert_with(|| nursery.endpoint(&self.configuration.name, address));
        Some(Rc::clone(endpoint))
    }

    /// How many endpoints balancing chooses from.
    pub fn size(&self) -> usize {
        self.endpoints.len()
    }

    pub(super) fn each_endpoint(&self, mut visit: impl FnMut(&Rc<Endpoint>)) {
        self.endpoints.iter().for_each(&mut visit);
        self.visited.borrow().values().for_each(visit);
    }
}

fn algorithm(configured: Algorithm) -> balance::Algorithm {
    match configured {
        Algorithm::PeakEwma => balance::Algorithm::PeakEwma,
        Algorithm::LeastRequest { choices } => balance::Algorithm::LeastRequest { choices },
        Algorithm::RoundRobin => balance::Algorithm::RoundRobin,
        Algorithm::Random => balance::Algorithm::Random,
    }
}
