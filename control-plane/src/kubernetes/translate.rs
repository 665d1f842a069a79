//! A Service and what is said about it, as a service of the mesh. Pure.
//!
//! | of the cluster | becomes |
//! |---|---|
//! | a Service with cluster IPs | VIPs, with its TCP ports; whoever dials one is served by the endpoints of its family, where there are any |
//! | a headless Service | a service without VIPs, whose endpoints are reached at each of their addresses |
//! | `type: ExternalName` | a service without VIPs, whose endpoint is a name: for gRPC's own clients, who resolve nothing themselves |
//! | hints of all endpoints | for each zone that they name, the service with the endpoints that are for it |

mod endpoints;

use super::gateway;
use super::key::Key;
use super::objects::{EndpointSlice, Reach, Service, ServicePort};
use super::verdict::{Place, Verdict};
use super::world::World;
use crate::views::{Rank, Served};
use endpoints::Candidates;
use evenkeel_control_api::mesh::model::{self, Affinity, Apart, Endpoint, Endpoints, NamedEndpoint};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of a Service in its cluster.
pub fn name(key: &Key, cluster_domain: &str) -> Arc<str> {
    format!("{}.{}.svc.{cluster_domain}", key.name, key.namespace).into()
}

/// What was found about the objects that speak of a Service, each by its place.
pub type Found = Vec<(Place, Vec<Verdict>)>;

/// What the mesh is to have of a Service, and what was found. `None`: nothing, for there is none, or it is no business of
/// ours.
pub fn service(world: &World, key: &Key, cluster_domain: &str) -> (Option<Served>, Found) {
    let name_of = |key: &Key| name(key, cluster_domain).to_string();
    let nothing = || (None, gateway::attach(world, key, None, &name_of));
    let Some(service) = world.service(key) else {
        return nothing();
    };
    let name = name(key, cluster_domain);
    let external = match &service.reach {
        Reach::Nobody => return nothing(),
        Reach::External(name) => Some(name),
        Reach::Vips(_) | Reach::Headless => None,
    };
    let mut ports = Vec::with_capacity(service.ports.len());
    let mut zones: BTreeMap<Arc<str>, Near> = BTreeMap::new();
    for (place, port) in service.ports.iter().enumerate() {
        let mut apart = None;
        let endpoints = if let Some(name) = external {
            Endpoints::Named(NamedEndpoint {
                name: name.clone(),
                port: port.number,
            })
        } else {
            let candidates = candidates(world, key, service, port);
            if let Some(family) = service.family() {
                for (zone, endpoints) in candidates.by_zone(family) {
                    zones.entry(zone).or_default().endpoints.insert(place, endpoints);
                }
            }
            if let Some(family) = service.family_apart() {
                for (zone, endpoints) in candidates.by_zone(family) {
                    zones.entry(zone).or_default().apart.insert(place, endpoints);
                }
                let endpoints = candidates.all(Some(family));
                apart = Some(Apart { family, endpoints });
            }
            Endpoints::Known(candidates.all(service.family()))
        };
        ports.push(model::ServicePort {
            protocol: port.protocol,
            affinity: if service.affinity {
                Affinity::ClientIp
            } else {
                Affinity::None
            },
            endpoints,
            apart,
            ..model::ServicePort::new(port.number)
        });
    }
    let mut everywhere = model::Service {
        vips: service.vips().to_vec(),
        ports,
        ..model::Service::new(&*name)
    };
    let found = gateway::attach(world, key, Some(&mut everywhere), &name_of);
    let zones = zones
        .into_iter()
        .map(|(zone, near)| (zone, narrowed(&everywhere, near)));
    let served = Served {
        zones: zones.collect(),
        everywhere,
        rank: Rank::Declared,
    };
    (Some(served), found)
}

/// The endpoints that are for a zone, by the place of their port.
#[derive(Default)]
struct Near {
    endpoints: BTreeMap<usize, Vec<Endpoint>>,
    apart: BTreeMap<usize, Vec<Endpoint>>,
}

/// The service with these endpoints; those of all where nothing is said.
fn narrowed(service: &model::Service, near: Near) -> model::Service {
    let mut service = service.clone();
    for (place, endpoints) in near.endpoints {
        service.ports[place].endpoints = Endpoints::Known(endpoints);
    }
    for (place, endpoints) in near.apart {
        if let Some(apart) = &mut service.ports[place].apart {
            apart.endpoints = endpoints;
        }
    }
    service
}

/// Whoever may serve a port, out of all slices.
fn candidates(world: &World, key: &Key, service: &Service, port: &ServicePort) -> Candidates {
    let mut candidates = Candidates::new(service);
    for slice in world.slices(key) {
        for target in targets(slice, port) {
            for endpoint in &slice.endpoints {
                let node = endpoint.node.as_deref().and_then(|node| world.node(node));
                let zone = endpoint.zone.as_ref().or_else(|| node?.zone.as_ref());
                let pod = endpoint.pod.as_deref().map(|pod| Key::new(&key.namespace, pod));
                let workload = pod.and_then(|pod| world.pod(&pod)?.workload.as_ref());
                candidates.add(endpoint, target, zone, workload);
            }
        }
    }
    candidates
}

/// The numbers that a slice has for a port: it is the name that they have in common.
fn targets<'a>(slice: &'a EndpointSlice, port: &'a ServicePort) -> impl Iterator<Item = u16> + 'a {
    let named = slice.ports.iter().filter(|(name, _)| *name == port.name);
    named.map(|(_, number)| number.get())
}

#[cfg(test)]
mod tests;
