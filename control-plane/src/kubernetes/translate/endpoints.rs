//! Which of a port's endpoints get requests.

use crate::kubernetes::objects::{Endpoint, Readiness, Service};
use evenkeel_control_api::mesh::model::{self, Family};
use evenkeel_control_api::resource::endpoint::Locality;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// Whoever may serve a port, by address: an endpoint that is in two slices is one.
#[derive(Debug)]
pub(super) struct Candidates {
    publishes_not_ready: bool,
    found: BTreeMap<SocketAddr, Candidate>,
}

#[derive(Clone, Debug)]
struct Candidate {
    readiness: Readiness,
    zone: Option<Arc<str>>,
    workload: Option<Arc<str>>,
    for_zones: Vec<Arc<str>>,
}

impl Candidates {
    pub(super) fn new(service: &Service) -> Self {
        Self {
            publishes_not_ready: service.publishes_not_ready,
            found: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, endpoint: &Endpoint, port: u16, zone: Option<&Arc<str>>, workload: Option<&Arc<str>>) {
        let address = SocketAddr::new(endpoint.address, port);
        let candidate = Candidate {
            readiness: if self.publishes_not_ready {
                Readiness::Ready
            } else {
                endpoint.readiness
            },
            zone: zone.cloned(),
            workload: workload.cloned(),
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

    /// For connections to an address of this family, in the order of their addresses; `None`: of both, for clients use each
    /// as it is.
    pub(super) fn all(&self, dialled: Option<Family>) -> Vec<model::Endpoint> {
        self.chosen(dialled)
            .map(|(address, candidate)| candidate.endpoint(*address))
            .collect()
    }

    /// Where every endpoint says for which zones it is, those of each zone that is named. Without one that says nothing, a
    /// zone would be left to fewer endpoints than was meant.
    pub(super) fn by_zone(&self, dialled: Family) -> BTreeMap<Arc<str>, Vec<model::Endpoint>> {
        let mut zones: BTreeMap<Arc<str>, Vec<model::Endpoint>> = BTreeMap::new();
        let dialled = Some(dialled);
        if self
            .chosen(dialled)
            .any(|(_, candidate)| candidate.for_zones.is_empty())
        {
            return zones;
        }
        for (address, candidate) in self.chosen(dialled) {
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

    /// The ready ones; without any, those that are leaving and still serve. Of these the ones of the family that was dialled:
    /// without any, the others, to whom a proxy gets as well.
    fn chosen(&self, dialled: Option<Family>) -> impl Iterator<Item = (&SocketAddr, &Candidate)> {
        let best = self.found.values().map(|candidate| candidate.readiness).min();
        let best = best.filter(|readiness| *readiness != Readiness::NotReady);
        let fit = move |(_, candidate): &(&SocketAddr, &Candidate)| Some(candidate.readiness) == best;
        let is_of = |address: &SocketAddr, family| Family::of(address.ip()) == family;
        let fit_ones = || self.found.iter().filter(fit);
        let dialled = dialled.filter(|family| fit_ones().any(|(address, _)| is_of(address, *family)));
        fit_ones().filter(move |(address, _)| dialled.is_none_or(|family| is_of(address, family)))
    }
}

impl Candidate {
    fn endpoint(&self, address: SocketAddr) -> model::Endpoint {
        model::Endpoint {
            locality: Locality {
                zone: self.zone.as_deref().unwrap_or_default().to_owned(),
                ..Locality::default()
            },
            workload: self.workload.clone(),
            ..model::Endpoint::new(address)
        }
    }
}
