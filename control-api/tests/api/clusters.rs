//! Clusters and endpoints: what becomes of their fields, what is refused and what is noted.

use envoy_types::pb::envoy::config::cluster::v3::CircuitBreakers;
use envoy_types::pb::envoy::config::cluster::v3::Cluster as ProtoCluster;
use envoy_types::pb::envoy::config::cluster::v3::Filter;
use envoy_types::pb::envoy::config::cluster::v3::LoadBalancingPolicy;
use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection;
use envoy_types::pb::envoy::config::cluster::v3::cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::CommonLbConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbPolicy;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityConfigSpecifier;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityWeightedLbConfig;
use envoy_types::pb::envoy::config::cluster::v3::load_balancing_policy::Policy;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment as ProtoAssignment;
use envoy_types::pb::envoy::config::endpoint::v3::Endpoint as ProtoEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LbEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LocalityLbEndpoints;
use envoy_types::pb::envoy::config::endpoint::v3::cluster_load_assignment;
use envoy_types::pb::envoy::config::endpoint::v3::cluster_load_assignment::policy::DropOverload;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::extensions::filters::http::upstream_codec::v3::UpstreamCodec;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter;
use envoy_types::pb::envoy::extensions::load_balancing_policies::cluster_provided::v3::ClusterProvided;
use envoy_types::pb::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use envoy_types::pb::envoy::extensions::load_balancing_policies::maglev::v3::Maglev;
use envoy_types::pb::envoy::extensions::load_balancing_policies::pick_first::v3::PickFirst;
use envoy_types::pb::envoy::extensions::load_balancing_policies::random::v3::Random;
use envoy_types::pb::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use envoy_types::pb::envoy::extensions::load_balancing_policies::subset::v3::Subset;
use envoy_types::pb::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use envoy_types::pb::google::protobuf::UInt32Value;
use envoy_types::util::pack_any;
use evenkeel_control_api::resource::Cluster;
use evenkeel_control_api::resource::ClusterLoadAssignment;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::resource::Resource;
use evenkeel_control_api::resource::cluster::Algorithm;
use evenkeel_control_api::resource::cluster::Answers;
use evenkeel_control_api::resource::cluster::Discovery;
use evenkeel_control_api::resource::cluster::Dns;
use evenkeel_control_api::resource::cluster::FailureBackoff;
use evenkeel_control_api::resource::cluster::LookupFamily;
use evenkeel_control_api::resource::cluster::OriginalDestination;
use evenkeel_control_api::resource::cluster::Spread;
use evenkeel_control_api::resource::cluster::Timing;
use evenkeel_control_api::resource::cluster::UpstreamVersion;
use evenkeel_control_api::resource::endpoint::HealthStatus;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Packed;
use prost::Message;
use prost::Name;
use std::collections::HashMap;
use std::num::NonZeroU16;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
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

#[test]
fn a_static_cluster_has_the_endpoints_that_it_carries() {
    let (cluster, notes) = cluster_of(&fixed());
    assert_eq!(notes, [] as [&str; 0]);
    let Discovery::Static(assignment) = &cluster.discovery else {
        panic!("{cluster:?}")
    };
    assert_eq!(assignment.endpoints[0].address.to_string(), "10.0.0.1:80");
    assert_eq!(
        (cluster.algorithm, cluster.spread),
        (Algorithm::RoundRobin, Spread::default())
    );
    assert_eq!(cluster.discovery.assignment(), None);
    cluster_refused(
        &ProtoCluster {
            load_assignment: Some(assignment_with("db.test")),
            ..fixed()
        },
        "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: \"db.test\" is not an IP address",
    );
}

fn assignment_with(address: &str) -> ProtoAssignment {
    assignment(vec![group("a", vec![one(address)])])
}

#[test]
fn names_are_kept_to_be_resolved() {
    let (cluster, notes) = cluster_of(&named());
    assert_eq!(notes, [] as [&str; 0]);
    let hosts: Vec<_> = dns(&cluster)
        .hosts
        .endpoints
        .iter()
        .map(|host| host.address.to_string())
        .collect();
    assert_eq!(hosts, ["db.test:80", "10.0.0.1:80"]);
    assert_eq!(cluster.discovery.assignment(), Some("dns|web"));
    assert_eq!(
        (dns(&cluster).answers, dns(&cluster).family),
        (Answers::Every, LookupFamily::V6Preferred)
    );
    let unset = Timing {
        refresh: Duration::from_secs(5),
        jitter: Duration::ZERO,
        failure: None,
    };
    assert_eq!(dns(&cluster).timing, unset);
}

#[test]
#[expect(deprecated, reason = "Envoy still obeys these fields")]
fn what_is_said_of_resolving_is_done_or_noted_or_refused() {
    let said = ProtoCluster {
        dns_refresh_rate: Some(seconds(60)),
        dns_jitter: Some(seconds(1)),
        dns_failure_refresh_rate: Some(cluster::RefreshRate {
            base_interval: Some(seconds(2)),
            max_interval: None,
        }),
        respect_dns_ttl: true,
        dns_lookup_family: cluster::DnsLookupFamily::V4Only as i32,
        ..named()
    };
    let (cluster, notes) = cluster_of(&said);
    assert_eq!(notes, ["respect_dns_ttl"]);
    assert_eq!(dns(&cluster).family, LookupFamily::V4Only);
    let failure = FailureBackoff {
        first: Duration::from_secs(2),
        most: Duration::from_secs(20),
    };
    let timing = Timing {
        refresh: Duration::from_mins(1),
        jitter: Duration::from_secs(1),
        failure: Some(failure),
    };
    assert_eq!(dns(&cluster).timing, timing);
    let (_, notes) = cluster_of(&ProtoCluster {
        dns_refresh_rate: Some(seconds(60)),
        ..fixed()
    });
    assert_eq!(notes, ["dns_refresh_rate"], "no name is resolved");
    let other_server = ProtoCluster {
        dns_resolvers: vec![core::Address::default()],
        ..named()
    };
    cluster_refused(&other_server, "dns_resolvers: is not supported");
    let hasty = ProtoCluster {
        dns_refresh_rate: Some(ProtoDuration { seconds: 0, nanos: 1 }),
        ..named()
    };
    cluster_refused(&hasty, "dns_refresh_rate: must be at least 1 ms");
}

#[test]
fn a_logical_name_is_one() {
    let logical = |endpoints| ProtoCluster {
        cluster_discovery_type: Some(kind(DiscoveryType::LogicalDns)),
        load_assignment: Some(assignment(vec![group("a", endpoints)])),
        ..fixed()
    };
    let (cluster, _) = cluster_of(&logical(vec![one("db.test")]));
    assert_eq!(dns(&cluster).answers, Answers::First);
    cluster_refused(
        &logical(vec![one("db.test"), one("other.test")]),
        "load_assignment.endpoints: must hold one endpoint where type is LOGICAL_DNS",
    );
}

#[test]
fn the_names_of_resolved_assignments_are_the_proxys_own() {
    let eds = ProtoCluster {
        cluster_discovery_type: Some(kind(DiscoveryType::Eds)),
        load_assignment: None,
        eds_cluster_config: Some(cluster::EdsClusterConfig {
            eds_config: Some(core::ConfigSource {
                config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Self_(
                    core::SelfConfigSource::default(),
                )),
                ..core::ConfigSource::default()
            }),
            service_name: "dns|web".to_owned(),
        }),
        ..fixed()
    };
    let own = "names that begin with \"dns|\" are the proxy's own";
    cluster_refused(&eds, &format!("eds_cluster_config.service_name: {own}"));
    let named = ProtoAssignment {
        cluster_name: "dns|web".to_owned(),
        ..ProtoAssignment::default()
    };
    refused(Kind::Assignment, &named, &format!("cluster_name: {own}"));
}

#[test]
fn an_original_destination_may_be_named_by_a_field_and_have_another_port() {
    let with = |config| ProtoCluster {
        lb_config: Some(LbConfig::OriginalDstLbConfig(config)),
        ..original()
    };
    let found = |message: &ProtoCluster| match &cluster_of(message).0.discovery {
        Discovery::OriginalDestination(original) => original.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(found(&original()), OriginalDestination::default());
    let mut config = cluster::OriginalDstLbConfig {
        use_http_header: true,
        upstream_port_override: Some(number(8443)),
        ..cluster::OriginalDstLbConfig::default()
    };
    let expected = OriginalDestination {
        header: Some("x-envoy-original-dst-host".to_owned()),
        port: NonZeroU16::new(8443),
    };
    assert_eq!(found(&with(config.clone())), expected);
    config.http_header_name = "X-Where".to_owned();
    assert_eq!(found(&with(config.clone())).header.as_deref(), Some("x-where"));
    config.use_http_header = false;
    cluster_refused(
        &with(config.clone()),
        "original_dst_lb_config.http_header_name: is not supported",
    );
    config.http_header_name.clear();
    config.metadata_key = Some(<_>::default());
    cluster_refused(&with(config), "original_dst_lb_config.metadata_key: is not supported");
    cluster_refused(
        &ProtoCluster {
            lb_policy: LbPolicy::RoundRobin as i32,
            ..original()
        },
        "lb_policy: must be CLUSTER_PROVIDED where type is ORIGINAL_DST, and nowhere else",
    );
    let typed = ProtoCluster {
        load_balancing_policy: Some(policies(vec![pack_any(ClusterProvided {})])),
        ..original()
    };
    cluster_of(&typed);
}

#[test]
fn istios_mark_is_noted_where_the_destination_is_the_original_one_and_refused_elsewhere() {
    let bound = |message: ProtoCluster, address: &str| ProtoCluster {
        upstream_bind_config: Some(core::BindConfig {
            source_address: Some(core::SocketAddress {
                address: address.to_owned(),
                ..core::SocketAddress::default()
            }),
            ..core::BindConfig::default()
        }),
        ..message
    };
    for mark in ["127.0.0.6", "::6"] {
        assert_eq!(
            cluster_of(&bound(original(), mark)).1,
            ["upstream_bind_config.source_address"]
        );
    }
    let refusal = "upstream_bind_config.source_address: is not supported";
    cluster_refused(&bound(original(), "10.0.0.9"), refusal);
    cluster_refused(&bound(fixed(), "127.0.0.6"), refusal);
}

#[test]
fn policies_are_known_by_name() {
    let hashed = least_request(2);
    for (policy, expected, noted) in [
        (LbPolicy::RoundRobin, Algorithm::RoundRobin, false),
        (LbPolicy::LeastRequest, least_request(2), false),
        (LbPolicy::Random, Algorithm::Random, false),
        (LbPolicy::RingHash, hashed, true),
        (LbPolicy::Maglev, hashed, true),
    ] {
        let (cluster, notes) = cluster_of(&ProtoCluster {
            lb_policy: policy as i32,
            ..fixed()
        });
        assert_eq!((cluster.algorithm, !notes.is_empty()), (expected, noted), "{policy:?}");
    }
    let more = ProtoCluster {
        lb_policy: LbPolicy::LeastRequest as i32,
        lb_config: Some(LbConfig::LeastRequestLbConfig(cluster::LeastRequestLbConfig {
            choice_count: Some(number(5)),
            slow_start_config: Some(cluster::SlowStartConfig::default()),
            ..cluster::LeastRequestLbConfig::default()
        })),
        ..fixed()
    };
    let (cluster, notes) = cluster_of(&more);
    assert_eq!(cluster.algorithm, least_request(5));
    assert_eq!(notes, ["least_request_lb_config.slow_start_config"]);
}

#[test]
fn of_typed_policies_the_first_that_is_known_is_used() {
    let (cluster, notes) = cluster_of(&balanced(vec![
        pack_any(PickFirst::default()),
        pack_any(Random::default()),
        pack_any(RoundRobin::default()),
    ]));
    assert_eq!(cluster.algorithm, Algorithm::Random);
    assert_eq!(notes, ["load_balancing_policy.policies[0].typed_extension_config"]);
    let (cluster, notes) = cluster_of(&balanced(vec![pack_any(Maglev::default())]));
    assert_eq!((cluster.algorithm, notes.len()), (least_request(2), 1));
    let choices = LeastRequest {
        choice_count: Some(number(3)),
        ..LeastRequest::default()
    };
    assert_eq!(
        cluster_of(&balanced(vec![pack_any(choices)])).0.algorithm,
        least_request(3)
    );
    cluster_refused(
        &balanced(vec![pack_any(PickFirst::default())]),
        "load_balancing_policy: holds no policy that is supported: peak EWMA, least request, round robin, random",
    );
    cluster_refused(
        &balanced(vec![pack_any(Subset::default()), pack_any(Random::default())]),
        "load_balancing_policy.policies[0].typed_extension_config: is not supported: it would decide where a request goes",
    );
}

#[test]
fn localities_are_weighted_by_the_policy_or_by_the_cluster() {
    let wrr = WrrLocality {
        endpoint_picking_policy: Some(policies(vec![pack_any(Random::default())])),
    };
    let (cluster, _) = cluster_of(&balanced(vec![pack_any(wrr)]));
    assert_eq!(
        (cluster.algorithm, cluster.spread.by_locality),
        (Algorithm::Random, true)
    );
    let weighted = LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig {});
    let common = CommonLbConfig {
        healthy_panic_threshold: Some(Percent { value: 33.5 }),
        close_connections_on_host_set_change: true,
        ignore_new_hosts_until_first_hc: true,
        locality_config_specifier: Some(weighted),
        ..CommonLbConfig::default()
    };
    let with = |common| ProtoCluster {
        common_lb_config: Some(common),
        ..fixed()
    };
    let (cluster, notes) = cluster_of(&with(common.clone()));
    let spread = Spread {
        panic_below: 34,
        by_locality: true,
        close_on_change: true,
    };
    assert_eq!(cluster.spread, spread);
    assert_eq!(notes, ["common_lb_config.ignore_new_hosts_until_first_hc"]);
    for value in [-1.0, 100.5, f64::NAN] {
        let mut common = common.clone();
        common.healthy_panic_threshold = Some(Percent { value });
        cluster_refused(
            &with(common),
            "common_lb_config.healthy_panic_threshold: must be from 0 to 100",
        );
    }
}

#[test]
fn what_a_later_version_does_is_noted_and_what_decides_who_is_reached_refused() {
    let later = ProtoCluster {
        circuit_breakers: Some(CircuitBreakers::default()),
        outlier_detection: Some(OutlierDetection::default()),
        health_checks: vec![core::HealthCheck::default()],
        metadata: Some(core::Metadata::default()),
        ..fixed()
    };
    let (_, notes) = cluster_of(&later);
    assert_eq!(
        notes,
        ["metadata", "circuit_breakers", "outlier_detection", "health_checks"]
    );
    let subsets = ProtoCluster {
        lb_subset_config: Some(cluster::LbSubsetConfig::default()),
        transport_socket_matches: vec![cluster::TransportSocketMatch::default()],
        ..fixed()
    };
    cluster_refused(
        &subsets,
        "transport_socket_matches: is not supported\nlb_subset_config: is not supported",
    );
    let custom = ProtoCluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::ClusterType(cluster::CustomClusterType {
            name: "envoy.clusters.aggregate".to_owned(),
            typed_config: None,
        })),
        ..fixed()
    };
    cluster_refused(&custom, "cluster_type: \"envoy.clusters.aggregate\" is not supported");
}

#[test]
fn connections_are_plain() {
    let with = |config: Any| ProtoCluster {
        transport_socket: Some(core::TransportSocket {
            name: "any".to_owned(),
            config_type: Some(ConfigType::TypedConfig(config)),
        }),
        ..fixed()
    };
    assert_eq!(cluster_of(&with(pack_any(RawBuffer {}))).1, [] as [&str; 0]);
    cluster_refused(
        &with(pack_any(UpstreamTlsContext::default())),
        "transport_socket.typed_config: \"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\" is not supported: connections are plain",
    );
    let filtered = |type_url: &str| ProtoCluster {
        filters: vec![Filter {
            name: "mx".to_owned(),
            typed_config: Some(Any {
                type_url: type_url.to_owned(),
                value: Vec::new(),
            }),
            config_discovery: None,
        }],
        ..fixed()
    };
    let exchange = "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange";
    assert_eq!(cluster_of(&filtered(exchange)).1, ["filters[0].typed_config"]);
    cluster_refused(&filtered("other"), "filters[0]: the filter \"mx\" is not supported");
}

#[test]
fn http_options_say_how_long_connections_last() {
    let mut options = http2();
    options.common_http_protocol_options = Some(core::HttpProtocolOptions {
        idle_timeout: Some(seconds(0)),
        max_requests_per_connection: Some(number(7)),
        max_connection_duration: Some(seconds(60)),
        ..core::HttpProtocolOptions::default()
    });
    options.upstream_http_protocol_options = Some(core::UpstreamHttpProtocolOptions {
        auto_sni: true,
        ..core::UpstreamHttpProtocolOptions::default()
    });
    let (cluster, notes) = cluster_of(&speaking(options));
    assert_eq!(
        (cluster.http.version, cluster.http.max_requests),
        (UpstreamVersion::Http2, NonZeroU32::new(7))
    );
    assert!(cluster.http.idle_timeout > Duration::from_hours(24));
    let fields = [
        "upstream_http_protocol_options",
        "common_http_protocol_options.max_connection_duration",
    ];
    assert_eq!(notes, fields.map(|field| format!("{OPTIONS}.{field}")));
    #[expect(deprecated, reason = "Envoy still obeys it")]
    let older = ProtoCluster {
        max_requests_per_connection: Some(number(3)),
        ..speaking(http2())
    };
    assert_eq!(cluster_of(&older).0.http.max_requests, NonZeroU32::new(3));
}

#[test]
fn http_is_not_negotiated_on_plain_connections_and_not_filtered() {
    let mut options = http2();
    options.upstream_protocol_options = Some(UpstreamProtocolOptions::AutoConfig(<_>::default()));
    cluster_refused(
        &speaking(options),
        &format!("{OPTIONS}.auto_config: needs ALPN, and connections are plain"),
    );
    let filtered = |config: Any| {
        let mut options = http2();
        options.http_filters = vec![HttpFilter {
            name: "one".to_owned(),
            config_type: Some(http_filter::ConfigType::TypedConfig(config)),
            ..HttpFilter::default()
        }];
        speaking(options)
    };
    cluster_of(&filtered(pack_any(UpstreamCodec {})));
    cluster_refused(
        &filtered(pack_any(RawBuffer {})),
        &format!("{OPTIONS}.http_filters[0]: the filter \"one\" is not supported"),
    );
}

#[test]
fn endpoints_have_health_priorities_and_weighted_localities() {
    let with_health = |address: &str, health: core::HealthStatus| LbEndpoint {
        health_status: health as i32,
        metadata: Some(core::Metadata::default()),
        ..one(address)
    };
    let far = LocalityLbEndpoints {
        priority: 2,
        load_balancing_weight: Some(number(9)),
        ..group("b", vec![with_health("10.0.0.4", core::HealthStatus::Draining)])
    };
    let near = vec![
        one("10.0.0.1"),
        with_health("10.0.0.2", core::HealthStatus::Degraded),
        with_health("10.0.0.3", core::HealthStatus::Timeout),
    ];
    let (assignment, notes) = assignment_of(&assignment(vec![group("a", near), far]));
    let found: Vec<_> = assignment
        .endpoints
        .iter()
        .map(|one| {
            let group = &one.group;
            (one.health, group.priority, group.locality.zone.as_str(), group.weight)
        })
        .collect();
    let nine = NonZeroU32::new(9);
    let expected = [
        (HealthStatus::Healthy, 0, "a", None),
        (HealthStatus::Degraded, 0, "a", None),
        (HealthStatus::Unhealthy, 0, "a", None),
        (HealthStatus::Unhealthy, 2, "b", nine),
    ];
    assert_eq!(found, expected);
    assert!(Arc::ptr_eq(
        &assignment.endpoints[0].group,
        &assignment.endpoints[2].group
    ));
    assert_eq!(notes.len(), 3, "metadata is noted: {notes:?}");
}

#[test]
fn endpoints_may_be_named_elsewhere() {
    let by_name = |name: &str| LbEndpoint {
        host_identifier: Some(HostIdentifier::EndpointName(name.to_owned())),
        ..LbEndpoint::default()
    };
    let with = |name: &str| ProtoAssignment {
        named_endpoints: HashMap::from([("one".to_owned(), at("10.0.0.1", 80))]),
        ..assignment(vec![group("a", vec![by_name(name)])])
    };
    assert_eq!(
        assignment_of(&with("one")).0.endpoints[0].address.to_string(),
        "10.0.0.1:80"
    );
    refused(
        Kind::Assignment,
        &with("two"),
        "endpoints[0].lb_endpoints[0].endpoint_name: \"two\" is not among the named endpoints",
    );
}

#[test]
fn overloads_are_dropped_by_parts_of_a_million() {
    let drop = |numerator, denominator| DropOverload {
        category: "storm".to_owned(),
        drop_percentage: Some(FractionalPercent { numerator, denominator }),
    };
    let with = |drop_overloads| ProtoAssignment {
        policy: Some(cluster_load_assignment::Policy {
            drop_overloads,
            overprovisioning_factor: Some(number(200)),
            weighted_priority_health: true,
            endpoint_stale_after: Some(seconds(9)),
        }),
        ..assignment(Vec::new())
    };
    for (numerator, denominator, expected) in [(25, 0, 250_000), (5, 1, 500), (7, 2, 7), (100, 0, 1_000_000)] {
        let (assignment, notes) = assignment_of(&with(vec![drop(numerator, denominator)]));
        assert_eq!(assignment.policy.dropped_per_million, expected);
        assert_eq!(assignment.policy.overprovisioning.get(), 200);
        assert!(assignment.policy.weighted_priority_health);
        assert_eq!(notes, ["policy.endpoint_stale_after"]);
    }
    let refusals = [
        (
            vec![drop(101, 0)],
            "policy.drop_overloads[0].drop_percentage: is more than all",
        ),
        (
            vec![drop(1, 0), drop(1, 0)],
            "policy.drop_overloads: can have one category only",
        ),
    ];
    for (drops, expected) in refusals {
        refused(Kind::Assignment, &with(drops), expected);
    }
}

#[test]
fn weights_and_priorities_have_bounds() {
    let heavy = |address: &str| LbEndpoint {
        load_balancing_weight: Some(number(u32::MAX)),
        ..one(address)
    };
    let apart = assignment(vec![
        group("a", vec![heavy("10.0.0.1")]),
        group("b", vec![heavy("10.0.0.2")]),
    ]);
    assignment_of(&apart);
    let together = assignment(vec![group("a", vec![heavy("10.0.0.1"), heavy("10.0.0.2")])]);
    let sum = "endpoints: the weights add up to 8589934590, more than 4294967295";
    refused(Kind::Assignment, &together, sum);
    let mut localities = apart;
    for group in &mut localities.endpoints {
        group.load_balancing_weight = Some(number(u32::MAX));
    }
    refused(Kind::Assignment, &localities, sum);
    let far = LocalityLbEndpoints {
        priority: 129,
        ..group("a", vec![one("10.0.0.1")])
    };
    refused(
        Kind::Assignment,
        &assignment(vec![far]),
        "endpoints[0].priority: must be from 0 to 128",
    );
    let twice = assignment(vec![
        group("a", vec![one("10.0.0.1")]),
        group("b", vec![one("10.0.0.1")]),
    ]);
    refused(
        Kind::Assignment,
        &twice,
        "endpoints: the address 10.0.0.1:80 is there twice",
    );
}
