//! What is spoken to endpoints, and what is not done yet.

use super::OPTIONS;
use super::cluster_of;
use super::cluster_refused;
use super::fixed;
use super::http2;
use super::number;
use super::seconds;
use super::speaking;
use envoy_types::pb::envoy::config::cluster::v3::CircuitBreakers;
use envoy_types::pb::envoy::config::cluster::v3::Cluster as ProtoCluster;
use envoy_types::pb::envoy::config::cluster::v3::Filter;
use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection;
use envoy_types::pb::envoy::config::cluster::v3::cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::filters::http::upstream_codec::v3::UpstreamCodec;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use evenkeel_control_api::resource::cluster::UpstreamVersion;
use std::num::NonZeroU32;
use std::time::Duration;

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
