//! `Listener`: the virtual ones of services, and the two that are bound.

use super::INBOUND;
use super::chain::Traffic;
use super::filter;
use super::value;
use crate::mesh::model::Pod;
use crate::mesh::model::Protocol;
use crate::mesh::model::Service;
use crate::mesh::model::ServicePort;
use crate::resource::listener::ForwardedFor;
use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::AdditionalAddress;
use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::listener::v3::ListenerFilter;
use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use std::net::SocketAddr;

/// The listeners at a service's VIPs, equal but for the address: each must be found by that alone.
pub(super) fn service(
    service: &Service,
    port: &ServicePort,
    cluster: &str,
    stat_name: &str,
) -> impl Iterator<Item = Listener> {
    let traffic = Traffic {
        port: None,
        protocol: port.protocol,
        // What the application sends leaves as it is: whoever it asks may not trust this pod for more.
        forwarded_for: ForwardedFor::Off,
        stat_prefix: stat_name,
        cluster,
        limits: &port.limits,
    };
    let (filter_chains, default_filter_chain) = match port.protocol {
        Protocol::Tcp => (traffic.remainder().into_iter().collect(), None),
        _ => (traffic.chains(), Some(traffic.default_chain())),
    };
    let addresses = service.vips.iter().map(|vip| SocketAddr::new(*vip, port.port.get()));
    addresses.filter_map(move |address| {
        Some(Listener {
            bind_to_port: Some(value::truth(false)),
            listener_filters: inspectors(port.protocol),
            filter_chains: filter_chains.clone(),
            default_filter_chain: default_filter_chain.clone(),
            ..at(&address.to_string(), &[address], TrafficDirection::Outbound)?
        })
    })
}

/// The listener that takes the application's connections over, and hands them to those of their destinations. What is
/// left goes to the cluster of unknown destinations, or is closed where there is none.
pub(super) fn outbound(addresses: &[SocketAddr], passthrough: Option<&str>) -> Option<Listener> {
    let default_filter_chain = passthrough.map(|cluster| FilterChain {
        name: cluster.to_owned(),
        filters: vec![filter::tcp_proxy(cluster, cluster)],
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
            limits: &port.limits,
        };
        inspected |= traffic.is_inspected();
        filter_chains.extend(traffic.chains());
        filter_chains.extend(traffic.remainder());
    }
    filter_chains.extend(rest.chains());
    let mut listener_filters = vec![listener_filter("original_dst", pack_any(OriginalDst {}))];
    // A listener has its inspectors for all ports. Where a port's only chain asks for nothing that they find, nobody
    // waits for them.
    listener_filters.extend(inspectors(if inspected { Protocol::Auto } else { Protocol::Tcp }));
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

fn inspectors(protocol: Protocol) -> Vec<ListenerFilter> {
    let tls = || listener_filter("tls_inspector", pack_any(TlsInspector::default()));
    let http = || listener_filter("http_inspector", pack_any(HttpInspector {}));
    match protocol {
        Protocol::Auto => vec![tls(), http()],
        Protocol::Tls => vec![tls()],
        Protocol::Http | Protocol::Http2 | Protocol::Grpc | Protocol::Tcp => Vec::new(),
    }
}

fn listener_filter(name: &str, config: Any) -> ListenerFilter {
    ListenerFilter {
        name: format!("envoy.filters.listener.{name}"),
        config_type: Some(ConfigType::TypedConfig(config)),
        ..ListenerFilter::default()
    }
}
