//! `Cluster`.

use super::backend::Names;
use super::endpoint;
use super::value;
use crate::mesh::model::Affinity;
use crate::mesh::model::Endpoints;
use crate::mesh::model::Family;
use crate::mesh::model::Protocol;
use crate::mesh::model::ServicePort;
use crate::mesh::model::TrafficLimits;
use crate::resource::cluster::Algorithm;
use crate::resource::cluster::PROTOCOL_OPTIONS;
use crate::resource::cluster::PeakEwma;
use crate::resource::cluster::TCP_LEVEL;
use crate::resource::cluster::TCP_USER_TIMEOUT;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::LoadBalancingPolicy;
use envoy_types::pb::envoy::config::cluster::v3::UpstreamConnectionOptions;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DnsLookupFamily;
use envoy_types::pb::envoy::config::cluster::v3::cluster::EdsClusterConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbPolicy;
use envoy_types::pb::envoy::config::cluster::v3::load_balancing_policy::Policy;
use envoy_types::pb::envoy::config::core::v3::AggregatedConfigSource;
use envoy_types::pb::envoy::config::core::v3::ApiVersion;
use envoy_types::pb::envoy::config::core::v3::BindConfig;
use envoy_types::pb::envoy::config::core::v3::ConfigSource;
use envoy_types::pb::envoy::config::core::v3::HttpProtocolOptions as CommonOptions;
use envoy_types::pb::envoy::config::core::v3::SocketOption;
use envoy_types::pb::envoy::config::core::v3::TcpKeepalive;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_option::SocketState;
use envoy_types::pb::envoy::config::core::v3::socket_option::Value;
use envoy_types::pb::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use envoy_types::pb::envoy::extensions::load_balancing_policies::random::v3::Random;
use envoy_types::pb::envoy::extensions::load_balancing_policies::ring_hash::v3::RingHash;
use envoy_types::pb::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use std::collections::HashMap;
use std::time::Duration;
use upstream::http_protocol_options::ExplicitHttpConfig;
use upstream::http_protocol_options::UpstreamProtocolOptions;
use upstream::http_protocol_options::UseDownstreamHttpConfig;
use upstream::http_protocol_options::explicit_http_config::ProtocolConfig;

/// The cluster of a service port for connections to an address of this family; its endpoints come by EDS, or from a resolver.
pub(super) fn service(port: &ServicePort, names: &Names<'_>, dialled: Option<Family>) -> Cluster {
    let name = names.balanced(dialled);
    let mut policies = balance(port.algorithm);
    if port.affinity == Affinity::ClientIp {
        policies.insert(0, ring_hash());
    }
    let balanced = Cluster {
        lb_policy: LbPolicy::LoadBalancingPolicyConfig as i32,
        load_balancing_policy: Some(LoadBalancingPolicy { policies }),
        ..connection(&name, &names.stat_name(), port.protocol, &port.limits)
    };
    match &port.endpoints {
        Endpoints::Known(_) => Cluster {
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)),
            eds_cluster_config: Some(EdsClusterConfig {
                eds_config: Some(ConfigSource {
                    resource_api_version: ApiVersion::V3 as i32,
                    config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
                    ..ConfigSource::default()
                }),
                service_name: name,
            }),
            ..balanced
        },
        Endpoints::Named(elsewhere) => {
            // Where a pod has one family only, that is IPv4 nearly always.
            let family = DnsLookupFamily::V4Preferred;
            Cluster {
                cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::LogicalDns as i32)),
                load_assignment: Some(endpoint::named(&name, elsewhere)),
                dns_lookup_family: family as i32,
                ..balanced
            }
        }
    }
}

/// A cluster without endpoints.
pub(super) fn empty(name: &str, stat_name: &str, limits: &TrafficLimits) -> Cluster {
    Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32)),
        load_assignment: Some(endpoint::nobody(name)),
        ..connection(name, stat_name, Protocol::Tcp, limits)
    }
}

/// A cluster of whatever address a connection was sent to.
pub(super) fn original(name: &str, stat_name: &str, protocol: Protocol, limits: &TrafficLimits) -> Cluster {
    Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::OriginalDst as i32)),
        lb_policy: LbPolicy::ClusterProvided as i32,
        ..connection(name, stat_name, protocol, limits)
    }
}

fn connection(name: &str, stat_name: &str, protocol: Protocol, limits: &TrafficLimits) -> Cluster {
    let options = pack_any(protocol_options(protocol, limits));
    Cluster {
        name: name.to_owned(),
        alt_stat_name: stat_name.to_owned(),
        connect_timeout: Some(value::duration(limits.connect_timeout)),
        typed_extension_protocol_options: HashMap::from([(PROTOCOL_OPTIONS.to_owned(), options)]),
        upstream_connection_options: Some(UpstreamConnectionOptions {
            tcp_keepalive: Some(TcpKeepalive {
                keepalive_probes: Some(value::number(limits.tcp.keepalive_count)),
                keepalive_time: Some(value::number(limits.tcp.keepalive_idle.as_secs() as u32)),
                keepalive_interval: Some(value::number(limits.tcp.keepalive_interval.as_secs() as u32)),
            }),
            ..UpstreamConnectionOptions::default()
        }),
        upstream_bind_config: Some(BindConfig {
            socket_options: vec![user_timeout(limits.tcp.user_timeout)],
            ..BindConfig::default()
        }),
        ..Cluster::default()
    }
}

fn user_timeout(timeout: Duration) -> SocketOption {
    SocketOption {
        description: "TCP_USER_TIMEOUT".to_owned(),
        level: TCP_LEVEL,
        name: TCP_USER_TIMEOUT,
        state: SocketState::StatePrebind as i32,
        value: Some(Value::IntValue(timeout.as_millis() as i64)),
        ..SocketOption::default()
    }
}

fn balance(algorithm: Algorithm) -> Vec<Policy> {
    let least_request = |choices| {
        let choice_count = Some(value::number(choices));
        let config = LeastRequest {
            choice_count,
            ..LeastRequest::default()
        };
        policy("envoy.load_balancing_policies.least_request", pack_any(config))
    };
    match algorithm {
        // Of the list, a client takes the first that it knows; ours is known to us alone.
        Algorithm::PeakEwma => {
            vec![
                policy("evenkeel.load_balancing_policies.peak_ewma", pack_any(PeakEwma {})),
                least_request(2),
            ]
        }
        Algorithm::LeastRequest { choices } => vec![least_request(choices.get())],
        Algorithm::RoundRobin => vec![round_robin()],
        Algorithm::Random => vec![policy(
            "envoy.load_balancing_policies.random",
            pack_any(Random::default()),
        )],
        Algorithm::Hashed => vec![ring_hash(), least_request(2)],
    }
}

/// Each in turn.
pub(super) fn round_robin() -> Policy {
    policy(
        "envoy.load_balancing_policies.round_robin",
        pack_any(RoundRobin::default()),
    )
}

fn ring_hash() -> Policy {
    policy("envoy.load_balancing_policies.ring_hash", pack_any(RingHash::default()))
}

fn policy(name: &str, config: Any) -> Policy {
    let extension = TypedExtensionConfig {
        name: name.to_owned(),
        typed_config: Some(config),
    };
    Policy {
        typed_extension_config: Some(extension),
    }
}

fn protocol_options(protocol: Protocol, limits: &TrafficLimits) -> upstream::HttpProtocolOptions {
    let explicit = |config| {
        UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(config),
        })
    };
    let chosen = match protocol {
        Protocol::Http => explicit(ProtocolConfig::HttpProtocolOptions(value::http1())),
        Protocol::Http2 | Protocol::Grpc => explicit(ProtocolConfig::Http2ProtocolOptions(value::http2(limits.http2))),
        Protocol::Auto | Protocol::Tls | Protocol::Tcp => {
            UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
                http_protocol_options: Some(value::http1()),
                http2_protocol_options: Some(value::http2(limits.http2)),
                ..UseDownstreamHttpConfig::default()
            })
        }
    };
    upstream::HttpProtocolOptions {
        common_http_protocol_options: Some(CommonOptions {
            idle_timeout: Some(value::duration(limits.upstream_idle)),
            ..CommonOptions::default()
        }),
        upstream_protocol_options: Some(chosen),
        ..upstream::HttpProtocolOptions::default()
    }
}
