//! `EndpointSlice`: some of a service's endpoints.

use super::Object;
use crate::kubernetes::key::Key;
use evenkeel_control_api::mesh::model::Family;
use k8s_openapi::api::discovery::v1;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

/// The label that names the service.
const SERVICE: &str = "kubernetes.io/service-name";

/// What is kept of an `EndpointSlice`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Whose endpoints they are.
    pub service: Key,
    /// Of all its addresses.
    pub family: Family,
    /// The TCP ports by name. The target port is resolved already; without a number every port is meant, which the mesh has
    /// no use for.
    pub ports: Vec<(Arc<str>, NonZeroU16)>,
    /// In the order of the slice.
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The first address; the API says of the others that nobody uses them.
    pub address: IpAddr,
    /// Of its conditions.
    pub readiness: Readiness,
    /// `zone`.
    pub zone: Option<Arc<str>>,
    /// `nodeName`, whose label says the zone where `zone` is missing.
    pub node: Option<Arc<str>>,
    /// `targetRef`, if that is a Pod.
    pub pod: Option<Arc<str>>,
    /// `hints.forZones`.
    pub for_zones: Vec<Arc<str>>,
}

/// Whether an endpoint takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It is terminating and still serves: for when nobody else is ready.
    Draining,
    /// It does not.
    NotReady,
}

impl EndpointSlice {
    /// The Pods that its endpoints are of.
    pub fn pods(&self) -> impl Iterator<Item = Key> {
        let pods = self.endpoints.iter().filter_map(|endpoint| endpoint.pod.as_ref());
        pods.map(|pod| Key {
            namespace: Arc::clone(&self.service.namespace),
            name: Arc::clone(pod),
        })
    }
}

/// Keeps what is used. `None` for a slice that is nobody's.
pub(crate) fn keep(slice: v1::EndpointSlice, faults: &mut Vec<String>) -> Option<Object> {
    let service = slice.metadata.labels.and_then(|mut labels| labels.remove(SERVICE))?;
    let service = Key::new(slice.metadata.namespace.as_deref().unwrap_or_default(), &service);
    let family = match slice.address_type.as_str() {
        "IPv4" => Family::V4,
        "IPv6" => Family::V6,
        other => {
            faults.push(format!("addressType: {other} is not supported, IPv4 and IPv6 are"));
            return None;
        }
    };
    let mut ports = Vec::new();
    for (index, port) in slice.ports.unwrap_or_default().into_iter().enumerate() {
        if port.protocol.as_deref().is_some_and(|protocol| protocol != "TCP") {
            continue;
        }
        let Some(number) = port.port else { continue };
        match u16::try_from(number).ok().and_then(NonZeroU16::new) {
            Some(number) => ports.push((port.name.unwrap_or_default().into(), number)),
            None => faults.push(format!("ports[{index}].port: {number} is no port")),
        }
    }
    let mut endpoints = Vec::with_capacity(slice.endpoints.len());
    for (index, endpoint) in slice.endpoints.into_iter().enumerate() {
        endpoints.extend(kept(endpoint, family).map_err(|fault| faults.push(format!("endpoints[{index}].{fault}"))));
    }
    Some(Object::EndpointSlice(EndpointSlice {
        service,
        family,
        ports,
        endpoints,
    }))
}

fn kept(endpoint: v1::Endpoint, family: Family) -> Result<Endpoint, String> {
    let first = endpoint.addresses.first().ok_or("addresses: there is none")?;
    let address: IpAddr = first
        .parse()
        .map_err(|_| format!("addresses[0]: {first} is no IP address"))?;
    if Family::of(address) != family {
        return Err(format!("addresses[0]: {first} is not of the slice's addressType"));
    }
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        return Err(format!("addresses[0]: {first} is no address of an endpoint"));
    }
    let conditions = endpoint.conditions.unwrap_or_default();
    let terminating = conditions.terminating.unwrap_or(false);
    // The API: unknown is ready, and serving is what ready would be without regard to termination.
    let ready = conditions.ready.unwrap_or(true);
    let serving = conditions.serving.unwrap_or(ready);
    let readiness = match (ready, terminating && serving) {
        (true, _) => Readiness::Ready,
        (false, true) => Readiness::Draining,
        (false, false) => Readiness::NotReady,
    };
    let pod = endpoint
        .target_ref
        .filter(|target| target.kind.as_deref() == Some("Pod"));
    let zones = endpoint.hints.and_then(|hints| hints.for_zones).unwrap_or_default();
    Ok(Endpoint {
        address,
        readiness,
        zone: endpoint.zone.filter(|zone| !zone.is_empty()).map(Arc::from),
        node: endpoint.node_name.map(Arc::from),
        pod: pod.and_then(|pod| pod.name).map(Arc::from),
        for_zones: zones.into_iter().map(|zone| zone.name.into()).collect(),
    })
}
