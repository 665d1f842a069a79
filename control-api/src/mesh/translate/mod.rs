//! The plain model to xDS v3 messages, with every default written out: what a control plane would send for this mesh.
//!
//! | of the document | becomes |
//! |---|---|
//! | a service port | the cluster `outbound\|PORT\|\|NAME`, its assignment, and at each VIP a virtual listener `VIP:PORT` |
//! | `unknown` | the default chain of the bound listener `outbound`, to the cluster `passthrough` |
//! | an inbound port | chains of the bound listener `inbound` for that destination port, to the cluster `inbound\|PORT` |
//! | `inbound.default` | chains for any port and the default chain of `inbound`, to the cluster `inbound` |
//!
//! A virtual listener is named by its address, as Rust prints a `SocketAddr` (`10.96.0.10:80`, `[fd00::1]:80`): a client that
//! knows nothing but where a connection was going can ask for it. A service without VIPs gets no listener, for xDS has none
//! without an address: its endpoints are found through the assignment.

mod chain;
mod cluster;
mod endpoint;
mod filter;
mod listener;
mod skew;
mod value;

use super::model::MeshDocument;
use super::model::Pod;
use super::model::Protocol;
use super::model::Service;
use super::model::Unknown;
use crate::xds::Messages;
pub use skew::{FIELDS, Reader};

/// The cluster of destinations that no service has.
const PASSTHROUGH: &str = "passthrough";
/// The listener of connections to the application, and the cluster of its ports that are not listed.
const INBOUND: &str = "inbound";

/// Translates a mesh document, with every field there is.
pub fn translate(document: &MeshDocument) -> Messages {
    translate_for(document, Reader::Evenkeel(FIELDS))
}

/// Translates a mesh document, without the fields that its reader does not know yet.
pub fn translate_for(document: &MeshDocument, reader: Reader) -> Messages {
    let mut messages = Messages::default();
    for service in &document.services {
        messages.extend(translate_service(service, reader));
    }
    messages.extend(translate_pod(&document.pod(), reader));
    messages
}

/// Translates one service: what a client needs to reach it, but for the clusters of other services that its routes name.
pub fn translate_service(service: &Service, reader: Reader) -> Messages {
    let mut messages = Messages::default();
    for port in &service.ports {
        let cluster = format!("outbound|{}||{}", port.port, service.name);
        let stat_name = format!("{}:{}", service.name, port.port);
        let assignment = endpoint::assignment(&cluster, port.endpoints.known());
        messages.assignments.push(skew::pack(reader, assignment));
        let listeners = listener::service(service, port, &cluster, &stat_name);
        messages
            .listeners
            .extend(listeners.map(|listener| skew::pack(reader, listener)));
        let cluster = cluster::service(&cluster, &stat_name, port);
        messages.clusters.push(skew::pack(reader, cluster));
    }
    messages
}

/// Translates what a pod's proxy has besides services: the listeners that take connections over, and where they lead.
pub fn translate_pod(pod: &Pod, reader: Reader) -> Messages {
    let passthrough = (pod.unknown == Unknown::Passthrough).then_some(PASSTHROUGH);
    let mut clusters = Vec::new();
    if let Some(name) = passthrough {
        clusters.push(cluster::original(name, name, Protocol::Auto, &pod.limits));
    }
    clusters.push(cluster::original(INBOUND, INBOUND, pod.inbound.default, &pod.limits));
    for port in &pod.inbound.ports {
        let (name, stat_name) = (format!("inbound|{}", port.port), format!("inbound:{}", port.port));
        clusters.push(cluster::original(&name, &stat_name, port.protocol, &port.limits));
    }
    let listeners = [
        listener::outbound(&pod.outbound_at, passthrough),
        listener::inbound(pod),
    ];
    let listeners = listeners.into_iter().flatten();
    Messages {
        listeners: listeners.map(|listener| skew::pack(reader, listener)).collect(),
        clusters: clusters
            .into_iter()
            .map(|cluster| skew::pack(reader, cluster))
            .collect(),
        ..Messages::default()
    }
}
