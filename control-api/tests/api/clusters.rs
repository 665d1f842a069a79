//! Clusters and endpoints: what becomes of their fields, what is refused and what is noted.

mod balancing;
mod connections;
mod discovery;
mod endpoints;

use envoy_types::pb::envoy::config::cluster::v3::Cluster as ProtoCluster;
use envoy_types::pb::envoy::config::cluster::v3::LoadBalancingPolicy;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbPolicy;
use envoy_types::pb::envoy::config::cluster::v3::load_balancing_policy::Policy;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment as ProtoAssignment;
use envoy_types::pb::envoy::config::endpoint::v3::Endpoint as ProtoEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LbEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LocalityLbEndpoints;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use envoy_types::pb::google::protobuf::UInt32Value;
use envoy_types::util::pack_any;
use evenkeel_control_api::resource::Cluster;
use evenkeel_control_api::resource::ClusterLoadAssignment;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::resource::Resource;
use evenkeel_control_api::resource::cluster::Algorithm;
use evenkeel_control_api::resource::cluster::Discovery;
use evenkeel_control_api::resource::cluster::Dns;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Packed;
use prost::Message;
use prost::Name;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use upstream::http_protocol_options::ExplicitHttpConfig;
use upstream::http_protocol_options::UpstreamProtocolOptions;
use upstream::http_protocol_options::explicit_http_config::ProtocolConfig;

/// The decoded resource, and the paths of its notes.
fn decode<M: Message + Name>(kind: Kind, message: &M) -> Result<(Resource, Vec<String>), String> {
    let packed = Packed {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    };
    let (resource, notes) = xds::decode_one(kind, &packed).map_err(|faults| faults.to_string())?;
    Ok((resource, notes.into_iter().map(|note| note.path).collect()))
}

#[track_caller]
fn cluster_of(message: &ProtoCluster) -> (Arc<Cluster>, Vec<String>) {
    match decode(Kind::Cluster, message) {
        Ok((Resource::Cluster(cluster), notes)) => (cluster, notes),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assignment_of(message: &ProtoAssignment) -> (Arc<ClusterLoadAssignment>, Vec<String>) {
    match decode(Kind::Assignment, message) {
        Ok((Resource::Assignment(assignment), notes)) => (assignment, notes),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused<M: Message + Name>(kind: Kind, message: &M, expected: &str) {
    let found = decode(kind, message).expect_err("it should be refused");
    assert_eq!(found, expected);
}

#[track_caller]
fn cluster_refused(message: &ProtoCluster, expected: &str) {
    refused(Kind::Cluster, message, expected);
}

fn kind(kind: DiscoveryType) -> ClusterDiscoveryType {
    ClusterDiscoveryType::Type(kind as i32)
}

fn number(value: u32) -> UInt32Value {
    UInt32Value { value }
}

fn seconds(seconds: i64) -> ProtoDuration {
    ProtoDuration { seconds, nanos: 0 }
}

fn at(address: &str, port: u32) -> ProtoEndpoint {
    ProtoEndpoint {
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(core::SocketAddress {
                address: address.to_owned(),
                port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port)),
                ..core::SocketAddress::default()
            })),
        }),
        ..ProtoEndpoint::default()
    }
}

fn one(address: &str) -> LbEndpoint {
    LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(at(address, 80))),
        ..LbEndpoint::default()
    }
}

fn group(zone: &str, endpoints: Vec<LbEndpoint>) -> LocalityLbEndpoints {
    LocalityLbEndpoints {
        locality: Some(core::Locality {
            zone: zone.to_owned(),
            ..core::Locality::default()
        }),
        lb_endpoints: endpoints,
        ..LocalityLbEndpoints::default()
    }
}

fn assignment(groups: Vec<LocalityLbEndpoints>) -> ProtoAssignment {
    ProtoAssignment {
        cluster_name: "web".to_owned(),
        endpoints: groups,
        ..ProtoAssignment::default()
    }
}

/// A good cluster of one address.
fn fixed() -> ProtoCluster {
    ProtoCluster {
        name: "web".to_owned(),
        load_assignment: Some(assignment(vec![group("a", vec![one("10.0.0.1")])])),
        ..ProtoCluster::default()
    }
}

/// A good cluster of two names.
fn named() -> ProtoCluster {
    ProtoCluster {
        cluster_discovery_type: Some(kind(DiscoveryType::StrictDns)),
        load_assignment: Some(assignment(vec![group("a", vec![one("db.test"), one("10.0.0.1")])])),
        ..fixed()
    }
}

fn original() -> ProtoCluster {
    ProtoCluster {
        cluster_discovery_type: Some(kind(DiscoveryType::OriginalDst)),
        load_assignment: None,
        lb_policy: LbPolicy::ClusterProvided as i32,
        ..fixed()
    }
}

fn policies(configs: Vec<Any>) -> LoadBalancingPolicy {
    let policy = |config| Policy {
        typed_extension_config: Some(core::TypedExtensionConfig {
            name: "any".to_owned(),
            typed_config: Some(config),
        }),
    };
    LoadBalancingPolicy {
        policies: configs.into_iter().map(policy).collect(),
    }
}

fn balanced(configs: Vec<Any>) -> ProtoCluster {
    ProtoCluster {
        load_balancing_policy: Some(policies(configs)),
        ..fixed()
    }
}

fn least_request(choices: u32) -> Algorithm {
    let choices = NonZeroU32::new(choices).expect("a number");
    Algorithm::LeastRequest { choices }
}

fn dns(cluster: &Cluster) -> &Dns {
    match &cluster.discovery {
        Discovery::Dns(dns) => dns,
        other => panic!("{other:?}"),
    }
}

fn speaking(options: upstream::HttpProtocolOptions) -> ProtoCluster {
    let key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned();
    ProtoCluster {
        typed_extension_protocol_options: HashMap::from([(key, pack_any(options))]),
        ..fixed()
    }
}

fn http2() -> upstream::HttpProtocolOptions {
    let config = ProtocolConfig::Http2ProtocolOptions(core::Http2ProtocolOptions::default());
    upstream::HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(config),
        })),
        ..upstream::HttpProtocolOptions::default()
    }
}

const OPTIONS: &str = "typed_extension_protocol_options.envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
