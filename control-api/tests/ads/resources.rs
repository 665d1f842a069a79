//! Small resources, as a control plane would send them.

use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as http;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::BoolValue;
use prost::Message;
use prost::Name;

/// Packs a message.
pub(crate) fn pack<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

fn ads() -> core::ConfigSource {
    core::ConfigSource {
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource {},
        )),
        ..core::ConfigSource::default()
    }
}

fn address(port: u16) -> core::Address {
    let socket = core::SocketAddress {
        address: "10.0.0.1".to_owned(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(u32::from(port))),
        ..core::SocketAddress::default()
    };
    core::Address {
        address: Some(core::address::Address::SocketAddress(socket)),
    }
}

/// A cluster whose endpoints come by EDS, under another name if one is given.
pub(crate) fn cluster(name: &str, assignment: &str) -> Any {
    let service_name = if assignment == name { "" } else { assignment };
    pack(&cluster::Cluster {
        name: name.to_owned(),
        eds_cluster_config: Some(cluster::cluster::EdsClusterConfig {
            eds_config: Some(ads()),
            service_name: service_name.to_owned(),
        }),
        cluster_discovery_type: Some(cluster::cluster::ClusterDiscoveryType::Type(
            cluster::cluster::DiscoveryType::Eds.into(),
        )),
        ..cluster::Cluster::default()
    })
}

/// A cluster that cannot be used, and is called all the same.
pub(crate) fn bad_cluster(name: &str) -> Any {
    pack(&cluster::Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(cluster::cluster::ClusterDiscoveryType::Type(
            cluster::cluster::DiscoveryType::Eds.into(),
        )),
        ..cluster::Cluster::default()
    })
}

/// Endpoints: one, at this port.
pub(crate) fn assignment(name: &str, port: u16) -> Any {
    let host = endpoint::Endpoint {
        address: Some(address(port)),
        ..endpoint::Endpoint::default()
    };
    let one = endpoint::LbEndpoint {
        host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(host)),
        ..endpoint::LbEndpoint::default()
    };
    pack(&endpoint::ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![endpoint::LocalityLbEndpoints {
            lb_endpoints: vec![one],
            ..endpoint::LocalityLbEndpoints::default()
        }],
        ..endpoint::ClusterLoadAssignment::default()
    })
}

fn listener(name: &str, filter: Any) -> Any {
    let filter = listener::Filter {
        name: "terminal".to_owned(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(filter)),
    };
    let port = 1024
        + name
            .bytes()
            .fold(0, |sum: u16, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
            % 60_000;
    pack(&listener::Listener {
        name: name.to_owned(),
        address: Some(address(port)),
        traffic_direction: core::TrafficDirection::Outbound.into(),
        bind_to_port: Some(BoolValue { value: false }),
        default_filter_chain: Some(listener::FilterChain {
            filters: vec![filter],
            ..listener::FilterChain::default()
        }),
        ..listener::Listener::default()
    })
}

/// A listener that leads to a cluster.
pub(crate) fn tcp_listener(name: &str, cluster: &str) -> Any {
    let proxy = tcp::TcpProxy {
        stat_prefix: name.to_owned(),
        cluster_specifier: Some(tcp::tcp_proxy::ClusterSpecifier::Cluster(cluster.to_owned())),
        ..tcp::TcpProxy::default()
    };
    listener(name, pack(&proxy))
}

/// A listener whose routes come by RDS.
pub(crate) fn http_listener(name: &str, routes: &str) -> Any {
    let manager = http::HttpConnectionManager {
        stat_prefix: name.to_owned(),
        http_filters: vec![http::HttpFilter {
            name: "router".to_owned(),
            config_type: Some(http::http_filter::ConfigType::TypedConfig(pack(&Router::default()))),
            ..http::HttpFilter::default()
        }],
        route_specifier: Some(http::http_connection_manager::RouteSpecifier::Rds(http::Rds {
            config_source: Some(ads()),
            route_config_name: routes.to_owned(),
        })),
        ..http::HttpConnectionManager::default()
    };
    listener(name, pack(&manager))
}

/// Routes: everything to one cluster.
pub(crate) fn routes(name: &str, cluster: &str) -> Any {
    let action = route::RouteAction {
        cluster_specifier: Some(route::route_action::ClusterSpecifier::Cluster(cluster.to_owned())),
        ..route::RouteAction::default()
    };
    let everything = route::RouteMatch {
        path_specifier: Some(route::route_match::PathSpecifier::Prefix("/".to_owned())),
        ..route::RouteMatch::default()
    };
    pack(&route::RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: vec![route::VirtualHost {
            name: "all".to_owned(),
            domains: vec!["*".to_owned()],
            routes: vec![route::Route {
                r#match: Some(everything),
                action: Some(route::route::Action::Route(action)),
                ..route::Route::default()
            }],
            ..route::VirtualHost::default()
        }],
        ..route::RouteConfiguration::default()
    })
}
