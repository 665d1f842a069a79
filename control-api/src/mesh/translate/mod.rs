//! The plain model to xDS v3 messages, with every default written out: what a control plane would send for this mesh.
//!
//! | of the document | becomes |
//! |---|---|
//! | a service port | the cluster `outbound\|PORT\|\|NAME`, its assignment, and a virtual listener `NAME:PORT` at the VIPs |
//! | `unknown` | the default chain of the bound listener `outbound`, to the cluster `passthrough` |
//! | an inbound port | chains of the bound listener `inbound` for that destination port, to the cluster `inbound\|PORT` |
//! | `inbound.default` | chains for any port and the default chain of `inbound`, to the cluster `inbound` |
//!
//! A service without VIPs gets no listener, for xDS has none without an address: its endpoints are found through the
//! assignment.

mod chain;
mod cluster;
mod endpoint;
mod filter;
mod listener;
mod value;

use super::model::MeshDocument;
use super::model::Protocol;
use super::model::Unknown;
use crate::xds::Messages;
use crate::xds::Packed;

/// The cluster of destinations that no service has.
const PASSTHROUGH: &str = "passthrough";
/// The listener of connections to the application, and the cluster of its ports that are not listed.
const INBOUND: &str = "inbound";

/// Translates a mesh document.
pub fn translate(document: &MeshDocument) -> Messages {
    let mut messages = Messages::default();
    for service in &document.services {
        for port in &service.ports {
            let cluster = format!("outbound|{}||{}", port.port, service.name);
            let stat_name = format!("{}:{}", service.name, port.port);
            messages
                .assignments
                .push(Packed::new(&endpoint::assignment(&cluster, &port.endpoints)));
            messages
                .clusters
                .push(Packed::new(&cluster::service(&cluster, &stat_name, port)));
            messages.listeners.extend(
                listener::service(service, port, &cluster, &stat_name)
                    .as_ref()
                    .map(Packed::new),
            );
        }
    }
    let settings = document.settings();
    let passthrough = (document.unknown == Unknown::Passthrough).then_some(PASSTHROUGH);
    if let Some(name) = passthrough {
        messages.clusters.push(Packed::new(&cluster::original(
            name,
            name,
            Protocol::Auto,
            &document.limits,
        )));
    }
    messages.listeners.extend(
        listener::outbound(&settings.outbound, passthrough)
            .as_ref()
            .map(Packed::new),
    );
    inbound(document, &mut messages);
    messages
}

fn inbound(document: &MeshDocument, messages: &mut Messages) {
    let default = document.inbound.default;
    messages.clusters.push(Packed::new(&cluster::original(
        INBOUND,
        INBOUND,
        default,
        &document.limits,
    )));
    for port in &document.inbound.ports {
        let (name, stat_name) = (format!("inbound|{}", port.port), format!("inbound:{}", port.port));
        messages.clusters.push(Packed::new(&cluster::original(
            &name,
            &stat_name,
            port.protocol,
            &port.limits,
        )));
    }
    messages
        .listeners
        .extend(listener::inbound(document).as_ref().map(Packed::new));
}
