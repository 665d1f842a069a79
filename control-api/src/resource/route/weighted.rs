//! `WeightedCluster`: a request goes to one of several clusters, by chance.

use super::cluster_name::ClusterName;
use super::cluster_name::cluster_name;
use super::filters::refuse_filters;
use super::header;
use super::header::Mutations;
use super::redirect::speakable;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use envoy_types::pb::envoy::config::route::v3 as proto;
use http::HeaderValue;
use proto::weighted_cluster::ClusterWeight;
use proto::weighted_cluster::RandomValueSpecifier;
use proto::weighted_cluster::cluster_weight::HostRewriteSpecifier;

/// One of several clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedCluster {
    /// Where to.
    pub cluster: ClusterName,
    /// Its share; the sum of all is from 1 to `u32::MAX`.
    pub weight: u32,
    /// For requests that go there; more specific than those of the route.
    pub mutations: Mutations,
    /// `host_rewrite_literal`, if the route does not rewrite it.
    pub host: Option<HeaderValue>,
}

/// Decodes all of them.
pub(super) fn weighted(message: proto::WeightedCluster, report: &mut Report) -> Option<Vec<WeightedCluster>> {
    #[expect(deprecated, reason = "what is deprecated means what it meant")]
    let proto::WeightedCluster {
        clusters,
        total_weight,
        runtime_key_prefix,
        random_value_specifier,
    } = message;
    // There is no runtime: the weights hold.
    note_set!(report; runtime_key_prefix);
    match random_value_specifier {
        Some(RandomValueSpecifier::HeaderName(_)) => report.refuse_field("header_name", "is not supported"),
        Some(RandomValueSpecifier::UseHashPolicy(uses)) if uses.value => {
            report.refuse_field("use_hash_policy", "cannot be true");
        }
        Some(RandomValueSpecifier::UseHashPolicy(_)) | None => {}
    }
    let clusters = report.each("clusters", clusters, cluster_weight);
    let sum: u64 = clusters.iter().map(|one| u64::from(one.weight)).sum();
    if sum == 0 || sum > u64::from(u32::MAX) {
        let reason = format!(
            "the weights add up to {sum}, and must to something from 1 to {}",
            u32::MAX
        );
        report.refuse_field("clusters", reason);
        return None;
    }
    if let Some(total) = total_weight.filter(|total| total.value > 0 && u64::from(total.value) != sum) {
        report.refuse_field(
            "total_weight",
            format!("is {}, and the weights add up to {sum}", total.value),
        );
        return None;
    }
    Some(clusters)
}

fn cluster_weight(message: ClusterWeight, report: &mut Report) -> Option<WeightedCluster> {
    let ClusterWeight {
        name,
        cluster_header,
        weight,
        metadata_match,
        request_headers_to_add,
        request_headers_to_remove,
        response_headers_to_add,
        response_headers_to_remove,
        typed_per_filter_config,
        host_rewrite_specifier,
    } = message;
    refuse_set!(report; metadata_match);
    refuse_filters(typed_per_filter_config, report);
    let cluster = match (name.is_empty(), cluster_header.is_empty()) {
        (false, true) => Some(ClusterName::Literal(name)),
        (true, false) => cluster_name("cluster_header", &cluster_header, report),
        (true, true) | (false, false) => {
            report.refuse("needs either a name or a cluster_header");
            None
        }
    };
    if weight.is_none() {
        report.refuse_field("weight", "is missing");
    }
    let host = match host_rewrite_specifier {
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => host_literal(&host, report),
        None => None,
    };
    let fields = header::Fields {
        request_headers_to_add,
        request_headers_to_remove,
        response_headers_to_add,
        response_headers_to_remove,
    };
    let mutations = header::mutations(fields, report);
    Some(WeightedCluster {
        cluster: cluster?,
        weight: weight?.value,
        mutations,
        host,
    })
}

/// The name of a host, perhaps with a port.
pub(super) fn host_literal(host: &str, report: &mut Report) -> Option<HeaderValue> {
    if host.is_empty() || !speakable("host_rewrite_literal", host, &['/', '?', '#', '@', ','], report) {
        return None;
    }
    HeaderValue::from_str(host).ok()
}
