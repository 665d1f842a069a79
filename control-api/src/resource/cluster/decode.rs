//! `Cluster`.

use super::Cluster;
use super::balance;
use super::connection;
use super::discovery;
use super::discovery::Sources;
use super::dns;
use super::protocol;
use super::spread;
use super::transport;
use crate::defaults;
use crate::report::Report;
use crate::report::Set;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::value;
use envoy_types::pb::envoy::config::cluster::v3 as proto;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::LbConfig;

/// Notes each of these fields where it is set: it comes with a later version.
macro_rules! not_yet {
    ($report:expr; $($field:ident),+ $(,)?) => {
        $(if $field.is_set() {
            $report.note_field(stringify!($field), "has no effect yet");
        })+
    };
}

/// Decodes a cluster.
pub(crate) fn decode(mut message: proto::Cluster, report: &mut Report) -> Option<Cluster> {
    let dns = dns::Fields::take(&mut message);
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
        dns_refresh_rate: _,
        dns_jitter: _,
        dns_failure_refresh_rate: _,
        respect_dns_ttl: _,
        dns_lookup_family: _,
        dns_resolvers: _,
        use_tcp_for_dns_lookups: _,
        dns_resolution_config: _,
        typed_dns_resolver_config: _,
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
    refuse_set!(report; transport_socket_matches, transport_socket_matcher, lb_subset_config, upstream_config);
    refuse_set!(report; upstream_http_protocol_options, common_http_protocol_options, http_protocol_options);
    refuse_set!(report; http2_protocol_options, protocol_selection, queuing_policies);
    refuse_set!(report; connection_pool_per_downstream_connection);
    note_set!(report; stats_matcher, per_connection_buffer_limit_bytes, wait_for_warm_on_init, metadata);
    note_set!(report; per_connection_buffer_high_watermark_timeout, close_connections_on_host_health_failure);
    note_set!(report; ignore_health_on_host_removal, track_timeout_budgets, track_cluster_stats, lrs_server);
    note_set!(report; lrs_report_endpoint_metrics, cleanup_interval);
    not_yet!(report; circuit_breakers, outlier_detection, health_checks, preconnect_policy);
    transport::check(transport_socket, filters, report);
    let name = value::required_name("name", name, report);
    let (original, lb_config) = match lb_config {
        Some(LbConfig::OriginalDstLbConfig(message)) => (Some(message), None),
        other => (None, other),
    };
    let is_original = cluster_discovery_type == Some(ClusterDiscoveryType::Type(DiscoveryType::OriginalDst as i32));
    let sources = Sources {
        eds: eds_cluster_config,
        assignment: load_assignment,
        dns,
        original,
    };
    let discovery = discovery::decode(cluster_discovery_type, sources, name.as_deref(), report);
    let fields = balance::Fields {
        lb_policy,
        lb_config,
        policies: load_balancing_policy,
        spread: spread::decode(common_lb_config, report),
    };
    let chosen = balance::decode(fields, is_original, report);
    let connect_timeout = value::positive("connect_timeout", connect_timeout, defaults::CONNECT_TIMEOUT, report);
    let tcp = connection::decode(upstream_connection_options, upstream_bind_config, is_original, report);
    let http = protocol::decode(typed_extension_protocol_options, max_requests_per_connection, report);
    let (name, discovery, (algorithm, spread), http) = (name?, discovery?, chosen?, http?);
    Some(Cluster {
        stat_name: Some(alt_stat_name).filter(Set::is_set).unwrap_or_else(|| name.clone()),
        name,
        discovery,
        algorithm,
        spread,
        connect_timeout,
        http,
        tcp,
    })
}
