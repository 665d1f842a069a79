//! `transport_socket` and `filters`: what stands between a connection and its bytes, which must be nothing.

use crate::report::Report;
use envoy_types::pb::envoy::config::cluster::v3::Filter;
use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use prost::Name;

/// Istio's filter of this type speaks only over TLS, by an ALPN of its own.
const METADATA_EXCHANGE: &str = "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange";
/// What Envoy calls a transport socket that does nothing.
const RAW_BUFFER: &str = "envoy.transport_sockets.raw_buffer";

/// Accepts a socket that is said to be a plain one, and filters that do nothing on it.
pub(super) fn check(socket: Option<TransportSocket>, filters: Vec<Filter>, report: &mut Report) {
    check_socket(socket, report);
    check_filters(filters, report);
}

fn check_socket(message: Option<TransportSocket>, report: &mut Report) {
    let Some(TransportSocket { name, config_type }) = message else {
        return;
    };
    report.within("transport_socket", |report| match config_type {
        Some(ConfigType::TypedConfig(any)) if any.type_url == RawBuffer::type_url() => {
            report.within("typed_config", |report| {
                report.open::<RawBuffer>(&any);
            });
        }
        Some(ConfigType::TypedConfig(any)) => report.refuse_field(
            "typed_config",
            format!("{:?} is not supported: connections are plain", any.type_url),
        ),
        None if name == RAW_BUFFER => {}
        None => report.refuse(format!("{name:?} is not supported: connections are plain")),
    });
}

fn check_filters(messages: Vec<Filter>, report: &mut Report) {
    report.check_each("filters", messages, |message, report| {
        let Filter {
            name,
            typed_config,
            config_discovery,
        } = message;
        report.refuse_if_set("config_discovery", &config_discovery);
        let idle = typed_config.is_some_and(|any| any.type_url == METADATA_EXCHANGE);
        if idle {
            report.note_field("typed_config", "has no effect on plain connections");
        } else {
            report.refuse(format!("the filter {name:?} is not supported"));
        }
    });
}
