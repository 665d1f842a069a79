//! One cluster as one worker sees it: its configuration, its endpoints and who of them is next.

use super::backoff::Admission;
use super::budget::Budget;
use super::endpoint::{Endpoint, Nursery};
use crate::balance::{self, Dice, Key, Member, Millis, Rules, Spread, Standing};
use crate::snapshot::{Cluster as Configuration, Discovery};
use evenkeel_control_api::resource::ClusterLoadAssignment;
use evenkeel_control_api::resource::cluster::Algorithm;
use evenkeel_control_api::resource::endpoint::{self, Group, HealthStatus};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::rc::Rc;
use std::sync::Arc;

/// Endpoints of an original-destination cluster that are remembered; beyond it, idle ones are forgotten first.
const REMEMBERED: usize = 1024;
/// What the dropped requests are counted in.
const MILLION: NonZeroU64 = NonZeroU64::new(1_000_000).expect("a million is more than nothing");

/// A cluster's live state in one worker.
#[derive(Debug)]
pub struct Cluster {
    /// What it was built from.
    pub configuration: Arc<Configuration>,
    endpoints: Vec<Rc<Endpoint>>,
    spread: RefCell<Spread>,
    /// Of all workers.
    pub(super) budget: Arc<Budget>,
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
        let listed = listed(&configuration);
        let known: HashMap<_, _> = before
            .filter(|before| !configuration.spread.close_on_change || before.has_exactly(listed))
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
        for (endpoint, listed) in endpoints.iter().zip(listed) {
            endpoint.max_requests.set(configuration.http.max_requests);
            let endpoint::Place { group, workload } = &*listed.place;
            endpoint
                .destination
                .replace(nursery.ledger.book.destination(workload, &group.locality.zone));
        }
        let visited = before.map(|before| before.visited.borrow().clone()).unwrap_or_default();
        Rc::new(Self {
            budget: nursery.registry.budget(&configuration.name),
            spread: RefCell::new(spread(&configuration, &endpoints, dice)),
            configuration,
            endpoints,
            visited: RefCell::new(visited),
        })
    }

    /// The endpoint for a new request: not one that it has tried, and not one in back-off while another is well.
    pub(super) fn pick(&self, now: Millis, key: Option<Key>, dice: &mut Dice, tried: &Tried) -> Option<Rc<Endpoint>> {
        let mut spread = self.spread.borrow_mut();
        let untried = |place: usize| tried.is_empty() || !tried.contains(self.endpoints[place].address);
        let admitted =
            |place: usize| untried(place) && self.endpoints[place].shared.backoff.admission(now) != Admission::Paused;
        while let Some(place) = spread.pick(now, key, dice, admitted) {
            let endpoint = &self.endpoints[place];
            if endpoint.shared.backoff.claim_probe(now) {
                return Some(Rc::clone(endpoint));
            }
        }
        // All are paused: an attempt costs less than a certain failure, and one of them may just have come back.
        spread
            .pick(now, key, dice, untried)
            .map(|place| Rc::clone(&self.endpoints[place]))
    }

    /// The same of those alone that have not failed since they last served.
    pub(super) fn pick_well(
        &self,
        now: Millis,
        key: Option<Key>,
        dice: &mut Dice,
        tried: &Tried,
    ) -> Option<Rc<Endpoint>> {
        let is_well = |place: usize| {
            let endpoint = &self.endpoints[place];
            !tried.contains(endpoint.address) && endpoint.shared.backoff.admission(now) == Admission::Open
        };
        let place = self.spread.borrow_mut().pick(now, key, dice, is_well);
        place.map(|place| Rc::clone(&self.endpoints[place]))
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
        endpoint.max_requests.set(self.configuration.http.max_requests);
        Some(Rc::clone(endpoint))
    }

    /// Whether the control plane wants this request dropped (`drop_overloads`).
    pub(super) fn drops(&self, dice: &mut Dice) -> bool {
        let Discovery::Endpoints(assignment) = &self.configuration.discovery else {
            return false;
        };
        let dropped = assignment.policy.dropped_per_million;
        dropped > 0 && dice.below(MILLION) < u64::from(dropped)
    }

    /// Whether balancing has an endpoint that a request has not tried.
    pub fn has_other(&self, tried: &Tried) -> bool {
        let spread = self.spread.borrow();
        spread
            .places()
            .any(|place| !tried.contains(self.endpoints[place].address))
    }

    /// Requests and opaque connections in flight, from all workers.
    pub(super) fn in_flight(&self) -> u32 {
        let mut all = 0_u32;
        self.each_endpoint(|endpoint| all = all.saturating_add(endpoint.shared.load.in_flight()));
        all
    }

    fn has_exactly(&self, listed: &[endpoint::Endpoint]) -> bool {
        let addresses: HashSet<_> = self.endpoints.iter().map(|endpoint| endpoint.address).collect();
        addresses.len() == listed.len() && listed.iter().all(|endpoint| addresses.contains(&endpoint.address))
    }

    pub(super) fn each_endpoint(&self, mut visit: impl FnMut(&Rc<Endpoint>)) {
        self.endpoints.iter().for_each(&mut visit);
        self.visited.borrow().values().for_each(visit);
    }
}

fn listed(configuration: &Configuration) -> &[endpoint::Endpoint] {
    match &configuration.discovery {
        Discovery::Endpoints(assignment) => &assignment.endpoints,
        Discovery::OriginalDestination(_) => &[],
    }
}

fn spread(configuration: &Configuration, endpoints: &[Rc<Endpoint>], dice: &mut Dice) -> Spread {
    let Discovery::Endpoints(assignment) = &configuration.discovery else {
        return Spread::new(algorithm(configuration.algorithm), Rules::default(), Vec::new(), dice);
    };
    let standings = standings(assignment);
    let members = assignment
        .endpoints
        .iter()
        .zip(endpoints)
        .map(|(endpoint, live)| Member {
            weight: endpoint.weight,
            load: Arc::clone(&live.shared.load),
            name: endpoint.address.into(),
        });
    let rules = Rules {
        overprovisioning: assignment.policy.overprovisioning.get(),
        by_weight: assignment.policy.weighted_priority_health,
        panic_below: configuration.spread.panic_below,
        by_locality: configuration.spread.by_locality,
    };
    let members = members.zip(standings).collect();
    Spread::new(algorithm(configuration.algorithm), rules, members, dice)
}

fn standings(assignment: &ClusterLoadAssignment) -> impl Iterator<Item = Standing> {
    let mut localities: HashMap<*const Group, u32> = HashMap::new();
    assignment.endpoints.iter().map(move |endpoint| {
        let number = localities.len() as u32;
        let group = &endpoint.place.group;
        Standing {
            priority: group.priority,
            health: match endpoint.health {
                HealthStatus::Healthy => balance::Health::Healthy,
                HealthStatus::Degraded => balance::Health::Degraded,
                HealthStatus::Unhealthy => balance::Health::Unhealthy,
            },
            locality: *localities.entry(Arc::as_ptr(group)).or_insert(number),
            locality_weight: group.weight.map_or(0, NonZeroU32::get),
        }
    })
}

fn algorithm(configured: Algorithm) -> balance::Algorithm {
    match configured {
        Algorithm::PeakEwma => balance::Algorithm::PeakEwma,
        Algorithm::LeastRequest { choices } => balance::Algorithm::LeastRequest { choices },
        Algorithm::Hashed => balance::Algorithm::Hashed,
        Algorithm::RoundRobin => balance::Algorithm::RoundRobin,
        Algorithm::Random => balance::Algorithm::Random,
    }
}
