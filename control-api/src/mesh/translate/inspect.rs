//! Filters of listeners: what is looked at before a chain is chosen.

use crate::mesh::model::Protocol;
use envoy_types::pb::envoy::config::listener::v3::ListenerFilter;
use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;

/// Where a connection was going that was led here.
pub(super) fn original_destination() -> ListenerFilter {
    named("original_dst", pack_any(OriginalDst {}))
}

/// What finds out as much as a protocol leaves open.
pub(super) fn inspectors(protocol: Protocol) -> Vec<ListenerFilter> {
    let tls = || named("tls_inspector", pack_any(TlsInspector::default()));
    let http = || named("http_inspector", pack_any(HttpInspector {}));
    match protocol {
        Protocol::Auto => vec![tls(), http()],
        Protocol::Tls => vec![tls()],
        Protocol::Http | Protocol::Http2 | Protocol::Grpc | Protocol::Tcp => Vec::new(),
    }
}

fn named(name: &str, config: Any) -> ListenerFilter {
    ListenerFilter {
        name: format!("envoy.filters.listener.{name}"),
        config_type: Some(ConfigType::TypedConfig(config)),
        ..ListenerFilter::default()
    }
}
