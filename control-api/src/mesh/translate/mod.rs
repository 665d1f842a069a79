//! The plain model to xDS v3 messages, with every default written out: what a control plane would send for this mesh.
//!
//! | of the model | becomes |
//! |---|---|
//! | a service port | the cluster `outbound\|PORT\|\|NAME` and its assignment, and at each VIP a virtual listener `VIP:PORT` |
//! | its endpoints of the second family, where the service has both | the cluster `outbound\|PORT\|FAMILY\|NAME` besides, where that family's VIPs lead; so do routes of others |
//! | one of a headless service | the cluster `outbound\|PORT\|direct\|NAME` besides, and a virtual listener at each endpoint's address |
//! | its rules for requests | the route configuration in these listeners |
//! | its rules for connections | their chains; what is missing is the cluster `outbound\|PORT\|missing\|NAME`, which has no endpoints |
//! | one that speaks requests | for gRPC's own clients: the listener `NAME:PORT`, without an address |
//! | `unknown` | the default chain of the bound listener `outbound`, to the cluster `passthrough` |
//! | an inbound port | chains of the bound listener `inbound` for that destination port, to the cluster `inbound\|PORT` |
//! | `inbound.default` | chains for any port and the default chain of `inbound`, to the cluster `inbound` |
//!
//! A virtual listener is named by its address, as Rust prints a `SocketAddr` (`10.96.0.10:80`, `[fd00::1]:80`): a client that
//! knows nothing but where a connection was going can ask for it. Several ports may claim an address; see `claim`.

mod backend;
mod chain;
mod check;
mod claim;
mod cluster;
mod endpoint;
mod filter;
mod grpc;
mod inspect;
mod listener;
mod outgoing;
mod route;
mod skew;
mod tls;
mod value;

use super::model::MeshDocument;
use super::model::Pod;
use super::model::Protocol;
use super::model::Routes;
use super::model::Service;
use super::model::ServicePort;
use super::model::Unknown;
use crate::xds::Messages;
use crate::xds::Packed;
use backend::Names;
pub use check::{check_rule, check_service};
use claim::Claims;
pub use grpc::names_for_grpc;
use listener::Leads;
pub use skew::{FIELDS, Reader};
use std::net::SocketAddr;

/// The cluster of destinations that no service has.
const PASSTHROUGH: &str = "passthrough";
/// The listener of connections to the application, and the cluster of its ports that are not listed.
const INBOUND: &str = "inbound";

/// Translates a mesh document, with every field there is.
pub fn translate(document: &MeshDocument) -> Messages {
    translate_for(document, Reader::Evenkeel(FIELDS))
}

/// Translates a mesh document, without the fields that its reader does not know yet. Of several services that have one
/// address, one gets it: a VIP goes before an endpoint, then the name that sorts first, then the lower port.
pub fn translate_for(document: &MeshDocument, reader: Reader) -> Messages {
    let claims = Claims::of(&document.services);
    let mut messages = Messages::default();
    for service in &document.services {
        messages.extend(translated(service, &claims, reader));
    }
    messages.extend(translate_pod(&document.pod(), reader));
    messages
}

/// Translates one service: what a client needs to reach it, but for the clusters of other services that its routes name.
/// Another service may have the same address; whoever serves both settles it as [`translate_for`] does.
pub fn translate_service(service: &Service, reader: Reader) -> Messages {
    translated(service, &Claims::of([service]), reader)
}

/// Translates the endpoints of one service alone, for when nothing else of it changed. A headless service has listeners at
/// them, too, and is translated whole.
pub fn translate_assignments(service: &Service, reader: Reader) -> Vec<Packed> {
    let mut packed = Vec::new();
    for port in &service.ports {
        let names = Names::new(service, port);
        packed.extend(endpoint::assignments(port, &names).map(|assignment| skew::pack(reader, assignment)));
    }
    packed
}

fn translated(service: &Service, claims: &Claims<'_>, reader: Reader) -> Messages {
    let mut messages = Messages {
        assignments: translate_assignments(service, reader),
        ..Messages::default()
    };
    for port in &service.ports {
        let names = Names::new(service, port);
        let leads = if service.vips.is_empty() {
            Leads::ToItself
        } else {
            Leads::ToRoutes
        };
        let addresses = addresses(service, port).filter(|address| claims.has(*address, service, port));
        let mut listeners: Vec<_> = listener::service(port, &names, addresses, leads).collect();
        let mut clusters = vec![cluster::service(port, &names, None)];
        if let Some(apart) = &port.apart {
            clusters.push(cluster::service(port, &names, Some(apart.family)));
        }
        if service.vips.is_empty() && !listeners.is_empty() {
            clusters.push(cluster::original(
                &names.direct(),
                &names.stat_name(),
                port.protocol,
                &port.limits,
            ));
        }
        if reader == Reader::Grpc {
            listeners.extend(grpc::listener(port, &names));
        }
        if misses(port) {
            clusters.push(cluster::empty(&names.missing(), &names.stat_name(), &port.limits));
        }
        messages.extend(Messages {
            listeners: listeners
                .into_iter()
                .map(|listener| skew::pack(reader, listener))
                .collect(),
            clusters: clusters
                .into_iter()
                .map(|cluster| skew::pack(reader, cluster))
                .collect(),
            ..Messages::default()
        });
    }
    messages
}

/// Where a port is reached: at the VIPs, or where there are none at each endpoint.
fn addresses(service: &Service, port: &ServicePort) -> impl Iterator<Item = SocketAddr> {
    let endpoints = if service.vips.is_empty() {
        port.endpoints.known()
    } else {
        &[]
    };
    let vips = service.vips.iter().map(|vip| SocketAddr::new(*vip, port.port.get()));
    vips.chain(endpoints.iter().map(|endpoint| endpoint.address))
}

/// Whether connections to the port may be led to what is missing.
fn misses(port: &ServicePort) -> bool {
    match &port.routes {
        Routes::Own | Routes::Http(_) => false,
        Routes::Tls(rules) => rules.iter().any(|rule| tls::misses(&rule.backends)),
        Routes::Tcp(backends) => tls::misses(backends),
    }
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
