//! `TcpProxy`.

use super::TcpProxy;
use super::WeightedCluster;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::hash;
use crate::resource::value;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as proto;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use std::num::NonZeroU32;

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
    refuse_set!(report; on_demand, metadata_match, access_log, tunneling_config);
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
    let hash = hash::of_connections(hash_policy, report);
    let idle_timeout = value::limit("idle_timeout", idle_timeout, None, report);
    let stat_prefix = value::required_name("stat_prefix", stat_prefix, report);
    let clusters = match cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => value::required_name("cluster", name, report).map(|name| {
            vec![WeightedCluster {
                name,
                weight: NonZeroU32::MIN,
            }]
        }),
        Some(ClusterSpecifier::WeightedClusters(clusters)) => {
            report.within("weighted_clusters", |report| weighted(clusters, report))
        }
        None => {
            report.refuse_field("cluster", "is missing");
            None
        }
    };
    Some(TcpProxy {
        stat_prefix: stat_prefix?,
        clusters: clusters?,
        idle_timeout,
        hash,
    })
}

fn weighted(message: proto::tcp_proxy::WeightedCluster, report: &mut Report) -> Option<Vec<WeightedCluster>> {
    let proto::tcp_proxy::WeightedCluster { clusters } = message;
    let clusters = report.each("clusters", clusters, |message, report| {
        let proto::tcp_proxy::weighted_cluster::ClusterWeight {
            name,
            weight,
            metadata_match,
        } = message;
        refuse_set!(report; metadata_match);
        let name = value::required_name("name", name, report);
        let weight = NonZeroU32::new(weight);
        if weight.is_none() {
            report.refuse_field("weight", "must be at least 1");
        }
        Some(WeightedCluster {
            name: name?,
            weight: weight?,
        })
    });
    let total: u64 = clusters.iter().map(|cluster| u64::from(cluster.weight.get())).sum();
    if total == 0 || total > u64::from(u32::MAX) {
        report.refuse_field("clusters", "must have weights that add up to 1 to 4294967295");
        return None;
    }
    Some(clusters)
}
