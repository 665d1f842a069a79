//! `TcpProxy`.

use super::TcpProxy;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::value;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as proto;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;

/// Decodes a TCP proxy.
pub(super) fn decode(message: proto::TcpProxy, report: &mut Report) -> Option<TcpProxy> {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let proto::TcpProxy {
        stat_prefix,
        on_demand,
        metadata_match,
        idle_timeout,
        downstream_idle_timeout,
        upstream_idle_timeout,
        access_log,
        max_connect_attempts,
        backoff_options,
        hash_policy,
        tunneling_config,
        max_downstream_connection_duration,
        max_downstream_connection_duration_jitter_percentage,
        access_log_flush_interval,
        flush_access_log_on_connected,
        access_log_options,
        proxy_protocol_tlvs,
        proxy_protocol_tlv_merge_policy,
        upstream_connect_mode,
        max_early_data_bytes,
        check_drain_close,
        cluster_specifier,
    } = message;
    refuse_set!(report; on_demand, metadata_match, access_log, hash_policy, tunneling_config);
    refuse_set!(report; max_downstream_connection_duration_jitter_percentage, proxy_protocol_tlvs);
    refuse_set!(report; proxy_protocol_tlv_merge_policy, upstream_connect_mode, max_early_data_bytes);
    refuse_set!(report; check_drain_close);
    // A connection is always tried on another endpoint when one cannot be reached, with our own pauses.
    note_set!(report; max_connect_attempts, backoff_options);
    note_set!(report; access_log_flush_interval, flush_access_log_on_connected, access_log_options);
    value::refuse_limit("downstream_idle_timeout", downstream_idle_timeout, report);
    value::refuse_limit("upstream_idle_timeout", upstream_idle_timeout, report);
    value::refuse_limit(
        "max_downstream_connection_duration",
        max_downstream_connection_duration,
        report,
    );
    let idle_timeout = value::limit("idle_timeout", idle_timeout, None, report);
    let stat_prefix = value::required_name("stat_prefix", stat_prefix, report);
    let cluster = match cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => value::required_name("cluster", name, report),
        Some(ClusterSpecifier::WeightedClusters(_)) => {
            report.refuse_field("weighted_clusters", "is not supported");
            None
        }
        None => {
            report.refuse_field("cluster", "is missing");
            None
        }
    };
    Some(TcpProxy {
        stat_prefix: stat_prefix?,
        cluster: cluster?,
        idle_timeout,
    })
}
