//! Network filters: `HttpConnectionManager` and `TcpProxy`.

use super::route::Requests;
use super::value;
use crate::mesh::model::TrafficLimits;
use crate::resource::listener::ForwardedFor;
use envoy_types::pb::envoy::config::core::v3::HttpProtocolOptions as CommonOptions;
use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::config::listener::v3::filter;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as http;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use http::http_connection_manager::CodecType;
use http::http_connection_manager::RouteSpecifier;
use http::http_connection_manager::ServerHeaderTransformation;
use http::http_connection_manager::UpgradeConfig;
use std::num::NonZeroU32;
use tcp::tcp_proxy::ClusterSpecifier;
use tcp::tcp_proxy::weighted_cluster::ClusterWeight;

/// Where the bytes of a connection go.
pub(super) enum Bytes<'a> {
    /// To one cluster.
    To {
        cluster: &'a str,
        /// What is of one client goes to the same endpoint.
        sticky: bool,
    },
    /// To these, each with its share; never empty.
    Among(Vec<(String, NonZeroU32)>),
}

/// Bytes to where they go, however long they are silent.
pub(super) fn tcp_proxy(stat_prefix: &str, to: Bytes<'_>) -> Filter {
    let (specifier, hashed) = match to {
        Bytes::To { cluster, sticky } => (ClusterSpecifier::Cluster(cluster.to_owned()), sticky),
        // Whether it matters, the backend's cluster says.
        Bytes::Among(shares) => (ClusterSpecifier::WeightedClusters(weighted(shares)), true),
    };
    let proxy = tcp::TcpProxy {
        stat_prefix: stat_prefix.to_owned(),
        cluster_specifier: Some(specifier),
        idle_timeout: Some(value::limit(None)),
        hash_policy: hashed.then(value::source_ip_of_connections).into_iter().collect(),
        ..tcp::TcpProxy::default()
    };
    filter("envoy.filters.network.tcp_proxy", pack_any(proxy))
}

fn weighted(shares: Vec<(String, NonZeroU32)>) -> tcp::tcp_proxy::WeightedCluster {
    let clusters = shares.into_iter().map(|(name, weight)| ClusterWeight {
        name,
        weight: weight.get(),
        ..ClusterWeight::default()
    });
    tcp::tcp_proxy::WeightedCluster {
        clusters: clusters.collect(),
    }
}

/// Each request to where it goes.
pub(super) fn connection_manager(
    stat_prefix: &str,
    requests: Requests<'_>,
    forwarded_for: ForwardedFor,
    limits: &TrafficLimits,
) -> Filter {
    let appends = forwarded_for == ForwardedFor::Append;
    let manager = http::HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: stat_prefix.to_owned(),
        route_specifier: Some(RouteSpecifier::RouteConfig(requests.routes(stat_prefix))),
        http_filters: vec![router()],
        upgrade_configs: ["websocket", "CONNECT"].map(upgrade).to_vec(),
        common_http_protocol_options: Some(CommonOptions {
            idle_timeout: Some(value::limit(limits.downstream_idle)),
            max_headers_count: Some(value::number(limits.header_fields)),
            max_requests_per_connection: limits.requests_per_connection.map(|most| value::number(most.get())),
            ..CommonOptions::default()
        }),
        http_protocol_options: Some(value::http1()),
        http2_protocol_options: Some(value::http2(limits.http2)),
        max_request_headers_kb: Some(value::number(limits.header_bytes >> 10)),
        request_headers_timeout: Some(value::limit(limits.head_timeout)),
        // A sidecar must not cut what worked without it.
        request_timeout: Some(value::limit(None)),
        stream_idle_timeout: Some(value::limit(None)),
        // Nor change what the application sees.
        server_header_transformation: ServerHeaderTransformation::PassThrough as i32,
        use_remote_address: Some(value::truth(appends)),
        skip_xff_append: !appends,
        generate_request_id: Some(value::truth(false)),
        normalize_path: Some(value::truth(false)),
        ..http::HttpConnectionManager::default()
    };
    filter("envoy.filters.network.http_connection_manager", pack_any(manager))
}

fn filter(name: &str, config: Any) -> Filter {
    Filter {
        name: name.to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(config)),
    }
}

fn router() -> http::HttpFilter {
    let router = Router {
        suppress_envoy_headers: true,
        ..Router::default()
    };
    http::HttpFilter {
        name: "envoy.filters.http.router".to_owned(),
        config_type: Some(http::http_filter::ConfigType::TypedConfig(pack_any(router))),
        ..http::HttpFilter::default()
    }
}

fn upgrade(name: &str) -> UpgradeConfig {
    UpgradeConfig {
        upgrade_type: name.to_owned(),
        enabled: Some(value::truth(true)),
        ..UpgradeConfig::default()
    }
}
