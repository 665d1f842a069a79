//! Network filters: `HttpConnectionManager` and `TcpProxy`.

use super::value;
use crate::mesh::model::TrafficLimits;
use crate::resource::listener::ForwardedFor;
use envoy_types::pb::envoy::config::core::v3::HttpProtocolOptions as CommonOptions;
use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::config::listener::v3::filter;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as http;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use http::http_connection_manager::CodecType;
use http::http_connection_manager::RouteSpecifier;
use http::http_connection_manager::ServerHeaderTransformation;
use http::http_connection_manager::UpgradeConfig;

/// Bytes to a cluster, however long they are silent.
pub(super) fn tcp_proxy(stat_prefix: &str, cluster: &str) -> Filter {
    let proxy = tcp::TcpProxy {
        stat_prefix: stat_prefix.to_owned(),
        cluster_specifier: Some(tcp::tcp_proxy::ClusterSpecifier::Cluster(cluster.to_owned())),
        idle_timeout: Some(value::limit(None)),
        ..tcp::TcpProxy::default()
    };
    filter("envoy.filters.network.tcp_proxy", pack_any(proxy))
}

/// Each request to a cluster.
pub(super) fn connection_manager(
    stat_prefix: &str,
    cluster: &str,
    forwarded_for: ForwardedFor,
    limits: &TrafficLimits,
) -> Filter {
    let appends = forwarded_for == ForwardedFor::Append;
    let manager = http::HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: stat_prefix.to_owned(),
        route_specifier: Some(RouteSpecifier::RouteConfig(routes(stat_prefix, cluster))),
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

/// Everything to one cluster, without a limit in time.
fn routes(name: &str, cluster: &str) -> route::RouteConfiguration {
    let action = route::RouteAction {
        cluster_specifier: Some(route::route_action::ClusterSpecifier::Cluster(cluster.to_owned())),
        timeout: Some(value::limit(None)),
        ..route::RouteAction::default()
    };
    let everything = route::RouteMatch {
        path_specifier: Some(route::route_match::PathSpecifier::Prefix("/".to_owned())),
        ..route::RouteMatch::default()
    };
    let host = route::VirtualHost {
        name: "all".to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![route::Route {
            r#match: Some(everything),
            action: Some(route::route::Action::Route(action)),
            ..route::Route::default()
        }],
        ..route::VirtualHost::default()
    };
    route::RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: vec![host],
        ..route::RouteConfiguration::default()
    }
}
