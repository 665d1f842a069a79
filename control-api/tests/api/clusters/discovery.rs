//! Where endpoints come from.

use super::assignment;
use super::cluster_of;
use super::cluster_refused;
use super::dns;
use super::fixed;
use super::group;
use super::kind;
use super::named;
use super::number;
use super::one;
use super::original;
use super::policies;
use super::refused;
use super::seconds;
use envoy_types::pb::envoy::config::cluster::v3::Cluster as ProtoCluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbPolicy;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment as ProtoAssignment;
use envoy_types::pb::envoy::extensions::load_balancing_policies::cluster_provided::v3::ClusterProvided;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use envoy_types::util::pack_any;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::resource::cluster::Algorithm;
use evenkeel_control_api::resource::cluster::Answers;
use evenkeel_control_api::resource::cluster::Discovery;
use evenkeel_control_api::resource::cluster::FailureBackoff;
use evenkeel_control_api::resource::cluster::LookupFamily;
use evenkeel_control_api::resource::cluster::OriginalDestination;
use evenkeel_control_api::resource::cluster::Spread;
use evenkeel_control_api::resource::cluster::Timing;
use std::num::NonZeroU16;
use std::time::Duration;

fn assignment_with(address: &str) -> ProtoAssignment {
    assignment(vec![group("a", vec![one(address)])])
}

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
