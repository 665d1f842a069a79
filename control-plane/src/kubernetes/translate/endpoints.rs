//! Which of a port's endpoints get requests.

use crate::kubernetes::objects::{Endpoint, Family, Reach, Readiness, Service};
use evenkeel_control_api::mesh::model;
use evenkeel_control_api::resource::endpoint::Locality;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// Whoever may serve a port, by address: an endpoint that is in two slices is one.
#[derive(Debug)]
pub(super) struct Candidates {
    /// The family that is preferred; `None`: every address counts, for clients use it as it is.
    prefers: Option<Family>,
    publishes_not_ready: bool,
    found: BTreeMap<SocketAddr, Candidate>,
}

#[derive(Clone, Debug)]
struct Candidate {
    readiness: Readiness,
    zone: Option<Arc<str>>,
    pod: Option<Arc<str>>,
    for_zones: Vec<Arc<str>>,
}

impl Candidates {
    pub(super) fn new(service: &Service) -> Self {
        let prefers = match &service.reach {
            Reach::Vips(vips) => vips.first().map(|vip| Family::of(*vip)),
            Reach::Headless | Reach::External(_) | Reach::Nobody => None,
        };
        Self {
            prefers,
            publishes_not_ready: service.publishes_not_ready,
            found: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, endpoint: &Endpoint, port: u16, zone: Option<&Arc<str>>) {
        let address = SocketAddr::new(endpoint.address, port);
        let candidate = Candidate {
            readiness: if self.publishes_not_ready {
                Readiness::Ready
            } else {
                endpoint.readiness
            },
            zone: zone.cloned(),
            pod: endpoint.pod.clone(),
            for_zones: endpoint.for_zones.clone(),
        };
        match self.found.get_mut(&address) {
            // While an endpoint moves from slice to slice, one of the two may be old: better believed too well than lost.
            Some(found) if found.readiness <= candidate.readiness => {}
            _ => {
                self.found.insert(address, candidate);
            }
        }
    }

    /// In the order of their addresses.
    pub(super) fn all(&self) -> Vec<model::Endpoint> {
        self.chosen()
            .map(|(address, candidate)| candidate.endpoint(*address))
            .collect()
    }

    /// Where every endpoint says for which zones it is, those of each zone that is named. Without one that says nothing, a
    /// zone would be left to fewer endpoints than was meant.
    pub(super) fn by_zone(&self) -> BTreeMap<Arc<str>, Vec<model::Endpoint>> {
        let mut zones: BTreeMap<Arc<str>, Vec<model::Endpoint>> = BTreeMap::new();
        // A headless service's endpoints are reached one by one.
        if self.prefers.is_none() || self.chosen().any(|(_, candidate)| candidate.for_zones.is_empty()) {
            return zones;
        }
        for (address, candidate) in self.chosen() {
            let named: BTreeSet<&Arc<str>> = candidate.for_zones.iter().collect();
            for zone in named {
                zones
                    .entry(Arc::clone(zone))
                    .or_default()
                    .push(candidate.endpoint(*address));
            }
        }
        zones
    }

    /// The ready ones; without any, those that are leaving and still serve. Each pod once.
    fn chosen(&self) -> impl Iterator<Item = (&SocketAddr, &Candidate)> {
        let best = self.found.values().map(|candidate| candidate.readiness).min();
        let best = best.filter(|readiness| *readiness != Readiness::NotReady);
        let fit = move |candidate: &Candidate| Some(candidate.readiness) == best;
        let preferred: BTreeSet<&Arc<str>> = self
            .found
            .iter()
            .filter(|(address, candidate)| self.prefers == Some(Family::of(address.ip())) && fit(candidate))
            .filter_map(|(_, candidate)| candidate.pod.as_ref())
            .collect();
        self.found.iter().filter(move |(address, candidate)| {
            let doubled = candidate.pod.as_ref().is_some_and(|pod| preferred.contains(pod));
            fit(candidate) && (!doubled || self.prefers == Some(Family::of(address.ip())))
        })
    }
}

impl Candidate {
    fn endpoint(&self, address: SocketAddr) -> model::Endpoint {
        model::Endpoint {
            locality: Locality {
                zone: self.zone.as_deref().unwrap_or_default().to_owned(),
                ..Locality::default()
            },
            ..model::Endpoint::new(address)
        }
    }
}
