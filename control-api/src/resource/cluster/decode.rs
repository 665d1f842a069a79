//! `Cluster`.

use super::Algorithm;
use super::Cluster;
use super::Discovery;
use super::balance;
use super::connection;
use super::protocol;
use crate::defaults;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::endpoint;
use crate::resource::endpoint::ClusterLoadAssignment;
use crate::resource::value;
use envoy_types::pb::envoy::config::cluster::v3 as proto;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;

/// Decodes a cluster.
pub(crate) fn decode(message: proto::Cluster, report: &mut Report) -> Option<Cluster> {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let proto::Cluster {
        transport_socket_matches,
        transport_socket_matcher,
        name,
        alt_stat_name,
        stats_matcher,
        eds_cluster_config,
        connect_timeout,
        per_connection_buffer_limit_bytes,
        per_connection_buffer_high_watermark_timeout,
        lb_policy,
        load_assignment,
        health_checks,
        max_requests_per_connection,
        circuit_breakers,
        upstream_http_protocol_options,
        common_http_protocol_options,
        http_protocol_options,
        http2_protocol_options,
        typed_extension_protocol_options,
        dns_refresh_rate,
        dns_jitter,
        dns_failure_refresh_rate,
        respect_dns_ttl,
        dns_lookup_family,
        dns_resolvers,
        use_tcp_for_dns_lookups,
        dns_resolution_config,
        typed_dns_resolver_config,
        wait_for_warm_on_init,
        outlier_detection,
        cleanup_interval,
        upstream_bind_config,
        lb_subset_config,
        common_lb_config,
        transport_socket,
        metadata,
        protocol_selection,
        upstream_connection_options,
        close_connections_on_host_health_failure,
        ignore_health_on_host_removal,
        filters,
        load_balancing_policy,
        lrs_server,
        lrs_report_endpoint_metrics,
        track_timeout_budgets,
        upstream_config,
        track_cluster_stats,
        preconnect_policy,
        connection_pool_per_downstream_connection,
        queuing_policies,
        cluster_discovery_type,
        lb_config,
    } = message;
    refuse_set!(report; transport_socket_matches, transport_socket_matcher, transport_socket, health_checks);
    refuse_set!(report; max_requests_per_connection, circuit_breakers, outlier_detection, lb_subset_config);
    refuse_set!(report; upstream_http_protocol_options, common_http_protocol_options, http_protocol_options);
    refuse_set!(report; http2_protocol_options, common_lb_config, lb_config, filters, upstream_config);
    refuse_set!(report; protocol_selection, close_connections_on_host_health_failure);
    refuse_set!(report; connection_pool_per_downstream_connection, queuing_policies, preconnect_policy);
    refuse_set!(report; per_connection_buffer_high_watermark_timeout, lrs_server, lrs_report_endpoint_metrics);
    // No name is resolved: endpoints are addresses.
    note_set!(report; dns_refresh_rate, dns_jitter, dns_failure_refresh_rate, respect_dns_ttl, dns_lookup_family);
    note_set!(report; dns_resolvers, use_tcp_for_dns_lookups, dns_resolution_config, typed_dns_resolver_config);
    note_set!(report; stats_matcher, per_connection_buffer_limit_bytes, wait_for_warm_on_init, cleanup_interval);
    note_set!(report; metadata, ignore_health_on_host_removal, track_timeout_budgets, track_cluster_stats);
    let name = value::required_name("name", name, report);
    let kind = match cluster_discovery_type {
        Some(ClusterDiscoveryType::Type(number)) => DiscoveryType::try_from(number).ok(),
        Some(ClusterDiscoveryType::ClusterType(_)) => None,
        None => Some(DiscoveryType::Static),
    };
    let sources = Sources {
        eds: eds_cluster_config,
        assignment: load_assignment,
    };
    let discovery = discovery(kind, sources, name.as_deref(), report);
    let original = discovery == Some(Discovery::OriginalDestination);
    let algorithm = balance::decode(lb_policy, load_balancing_policy, original, report);
    let connect_timeout = value::positive("connect_timeout", connect_timeout, defaults::CONNECT_TIMEOUT, report);
    let tcp = connection::decode(upstream_connection_options, upstream_bind_config, report);
    let http = protocol::decode(typed_extension_protocol_options, report);
    let (name, discovery, algorithm, http) = (name?, discovery?, algorithm?, http?);
    let stat_name = if alt_stat_name.is_empty() {
        name.clone()
    } else {
        alt_stat_name
    };
    Some(Cluster {
        name,
        stat_name,
        discovery,
        algorithm,
        connect_timeout,
        http,
        tcp,
    })
}

/// What the kinds of discovery need, of which each may have its own only.
struct Sources {
    eds: Option<proto::cluster::EdsClusterConfig>,
    assignment: Option<envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment>,
}

fn discovery(
    kind: Option<DiscoveryType>,
    sources: Sources,
    name: Option<&str>,
    report: &mut Report,
) -> Option<Discovery> {
    let Sources { eds, assignment } = sources;
    if kind != Some(DiscoveryType::Eds) {
        report.refuse_if_set("eds_cluster_config", &eds);
    }
    if kind != Some(DiscoveryType::Static) {
        report.refuse_if_set("load_assignment", &assignment);
    }
    match kind {
        Some(DiscoveryType::Eds) => report.within("eds_cluster_config", |report| {
            let Some(proto::cluster::EdsClusterConfig {
                eds_config,
                service_name,
            }) = eds
            else {
                report.refuse("is missing");
                return None;
            };
            report.within("eds_config", |report| value::same_stream(eds_config, report));
            let service = if service_name.is_empty() {
                name?.to_owned()
            } else {
                service_name
            };
            Some(Discovery::Eds(service))
        }),
        Some(DiscoveryType::Static) => static_assignment(assignment, report).map(Discovery::Static),
        Some(DiscoveryType::OriginalDst) => Some(Discovery::OriginalDestination),
        Some(DiscoveryType::StrictDns | DiscoveryType::LogicalDns) | None => {
            report.refuse_field("type", "must be EDS, STATIC or ORIGINAL_DST");
            None
        }
    }
}

fn static_assignment(
    assignment: Option<envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment>,
    report: &mut Report,
) -> Option<ClusterLoadAssignment> {
    report.within("load_assignment", |report| {
        let Some(message) = assignment else {
            report.refuse("is missing");
            return None;
        };
        endpoint::decode(message, report)
    })
}

impl Algorithm {
    /// Of a cluster that has one address at a time, where nothing is chosen.
    pub(super) const NOTHING_TO_CHOOSE: Self = Self::RoundRobin;
}
