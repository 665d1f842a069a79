//! `Listener`: the virtual ones of services, and the two that are bound.

use super::INBOUND;
use super::backend::Names;
use super::chain::Traffic;
use super::filter;
use super::filter::Bytes;
use super::inspect;
use super::route::Rules;
use super::tls;
use super::value;
use crate::mesh::model::Affinity;
use crate::mesh::model::Family;
use crate::mesh::model::Pod;
use crate::mesh::model::Protocol;
use crate::mesh::model::Routes;
use crate::mesh::model::ServicePort;
use crate::mesh::model::TrafficLimits;
use crate::resource::listener::ForwardedFor;
use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::AdditionalAddress;
use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The listeners of a service port: at its VIPs, or at its endpoints where it has none. Those of a family are equal but for
/// the address: each must be found by that alone.
pub(super) fn service<'a>(
    port: &'a ServicePort,
    names: &'a Names<'_>,
    addresses: impl Iterator<Item = SocketAddr> + 'a,
    leads: Leads,
) -> impl Iterator<Item = Listener> + 'a {
    let mut templates: BTreeMap<Family, Listener> = BTreeMap::new();
    addresses.filter_map(move |address| {
        let family = Family::of(address.ip());
        let template = templates.entry(family).or_insert_with(|| match leads {
            Leads::ToRoutes => by_routes(port, names, family),
            Leads::ToItself => to_itself(port, names),
        });
        let at = at(&address.to_string(), &[address], TrafficDirection::Outbound)?;
        Some(Listener {
            bind_to_port: Some(value::truth(false)),
            listener_filters: template.listener_filters.clone(),
            filter_chains: template.filter_chains.clone(),
            default_filter_chain: template.default_filter_chain.clone(),
            ..at
        })
    })
}

/// Where the listeners of a service port lead.
#[derive(Clone, Copy)]
pub(super) enum Leads {
    /// To where the port's routes say.
    ToRoutes,
    /// Each to its own address, which is that of an endpoint.
    ToItself,
}

/// What becomes of the requests to a service port, for clients that have no connections for us to look into.
pub(super) fn requests(port: &ServicePort, names: &Names<'_>) -> Filter {
    let (cluster, stat_name) = (names.balanced(None), names.stat_name());
    let rules = match &port.routes {
        Routes::Http(rules) => Some(Rules {
            all: rules,
            port: port.port,
            dialled: None,
        }),
        Routes::Own | Routes::Tls(_) | Routes::Tcp(_) => None,
    };
    // Of an idle connection nothing can be said here, and gRPC for JavaScript takes that time for one of calls.
    let limits = TrafficLimits {
        downstream_idle: None,
        ..port.limits
    };
    let traffic = Traffic {
        cluster: &cluster,
        sticky: port.affinity == Affinity::ClientIp,
        rules,
        limits: &limits,
        ..outbound_traffic(port, &stat_name)
    };
    traffic.http()
}

fn by_routes(port: &ServicePort, names: &Names<'_>, dialled: Family) -> Listener {
    let rules = match &port.routes {
        Routes::Own => None,
        Routes::Http(rules) => Some(Rules {
            all: rules,
            port: port.port,
            dialled: Some(dialled),
        }),
        Routes::Tls(rules) => return tls::by_name(rules, names, dialled),
        Routes::Tcp(backends) => {
            return Listener {
                filter_chains: vec![tls::anything(backends, names, dialled)],
                ..Listener::default()
            };
        }
    };
    let protocol = match (port.protocol, rules) {
        // Rules for requests need to know what a request is.
        (Protocol::Tls | Protocol::Tcp, Some(_)) => Protocol::Auto,
        (protocol, _) => protocol,
    };
    let (cluster, stat_name) = (names.balanced(Some(dialled)), names.stat_name());
    filtered(&Traffic {
        protocol,
        cluster: &cluster,
        sticky: port.affinity == Affinity::ClientIp,
        rules,
        ..outbound_traffic(port, &stat_name)
    })
}

fn to_itself(port: &ServicePort, names: &Names<'_>) -> Listener {
    let (cluster, stat_name) = (names.direct(), names.stat_name());
    filtered(&Traffic {
        cluster: &cluster,
        ..outbound_traffic(port, &stat_name)
    })
}

fn outbound_traffic<'a>(port: &'a ServicePort, stat_name: &'a str) -> Traffic<'a> {
    Traffic {
        port: None,
        protocol: port.protocol,
        // What the application sends leaves as it is: whoever it asks may not trust this pod for more.
        forwarded_for: ForwardedFor::Off,
        stat_prefix: stat_name,
        cluster: "",
        sticky: false,
        rules: None,
        limits: &port.limits,
    }
}

fn filtered(traffic: &Traffic<'_>) -> Listener {
    let (filter_chains, default_filter_chain) = match traffic.protocol {
        Protocol::Tcp => (traffic.remainder().into_iter().collect(), None),
        _ => (traffic.chains(), Some(traffic.default_chain())),
    };
    Listener {
        listener_filters: inspect::inspectors(traffic.protocol),
        filter_chains,
        default_filter_chain,
        ..Listener::default()
    }
}

/// The listener that takes the application's connections over, and hands them to those of their destinations. What is
/// left goes to the cluster of unknown destinations, or is closed where there is none.
pub(super) fn outbound(addresses: &[SocketAddr], passthrough: Option<&str>) -> Option<Listener> {
    let default_filter_chain = passthrough.map(|cluster| FilterChain {
        name: cluster.to_owned(),
        filters: vec![filter::tcp_proxy(cluster, Bytes::To { cluster, sticky: false })],
        ..FilterChain::default()
    });
    let bound = at("outbound", addresses, TrafficDirection::Outbound)?;
    Some(Listener {
        bind_to_port: Some(value::truth(true)),
        use_original_dst: Some(value::truth(true)),
        default_filter_chain,
        ..bound
    })
}

/// The listener of connections to the application.
pub(super) fn inbound(pod: &Pod) -> Option<Listener> {
    let default = pod.inbound.default;
    let rest = Traffic {
        port: None,
        protocol: default,
        forwarded_for: pod.inbound.default_forwarded_for,
        stat_prefix: INBOUND,
        cluster: INBOUND,
        sticky: false,
        rules: None,
        limits: &pod.limits,
    };
    let mut inspected = rest.is_inspected();
    let mut filter_chains = Vec::new();
    for port in &pod.inbound.ports {
        let traffic = Traffic {
            port: Some(port.port.get()),
            protocol: port.protocol,
            forwarded_for: port.forwarded_for,
            stat_prefix: &format!("inbound:{}", port.port),
            cluster: &format!("inbound|{}", port.port),
            sticky: false,
            rules: None,
            limits: &port.limits,
        };
        inspected |= traffic.is_inspected();
        filter_chains.extend(traffic.chains());
        filter_chains.extend(traffic.remainder());
    }
    filter_chains.extend(rest.chains());
    let mut listener_filters = vec![inspect::original_destination()];
    // A listener has its inspectors for all ports. Where a port's only chain asks for nothing that they find, nobody
    // waits for them.
    listener_filters.extend(inspect::inspectors(if inspected {
        Protocol::Auto
    } else {
        Protocol::Tcp
    }));
    Some(Listener {
        bind_to_port: Some(value::truth(true)),
        use_original_dst: Some(value::truth(false)),
        listener_filters,
        filter_chains,
        default_filter_chain: Some(rest.default_chain()),
        ..at(INBOUND, &pod.inbound_at, TrafficDirection::Inbound)?
    })
}

fn at(name: &str, addresses: &[SocketAddr], direction: TrafficDirection) -> Option<Listener> {
    let (first, others) = addresses.split_first()?;
    let additional = |address: &SocketAddr| AdditionalAddress {
        address: Some(value::address(*address)),
        ..AdditionalAddress::default()
    };
    Some(Listener {
        name: name.to_owned(),
        address: Some(value::address(*first)),
        additional_addresses: others.iter().map(additional).collect(),
        traffic_direction: direction as i32,
        ..Listener::default()
    })
}
