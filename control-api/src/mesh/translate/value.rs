//! Small messages that many hold.

use crate::resource::listener::Http2Options;
use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::core::v3::Http1ProtocolOptions;
use envoy_types::pb::envoy::config::core::v3::Http2ProtocolOptions;
use envoy_types::pb::envoy::config::core::v3::SocketAddress;
use envoy_types::pb::envoy::config::core::v3::address;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use envoy_types::pb::google::protobuf::UInt32Value;
use std::net::SocketAddr;
use std::time::Duration;

/// A truth value.
pub(super) fn truth(value: bool) -> BoolValue {
    BoolValue { value }
}

/// A number.
pub(super) fn number(value: u32) -> UInt32Value {
    UInt32Value { value }
}

/// A duration.
pub(super) fn duration(duration: Duration) -> ProtoDuration {
    ProtoDuration {
        seconds: duration.as_secs() as i64,
        nanos: duration.subsec_nanos() as i32,
    }
}

/// A limit, where 0 is none.
pub(super) fn limit(limit: Option<Duration>) -> ProtoDuration {
    duration(limit.unwrap_or(Duration::ZERO))
}

/// An IP address and a TCP port.
pub(super) fn address(address: SocketAddr) -> Address {
    Address {
        address: Some(address::Address::SocketAddress(SocketAddress {
            address: address.ip().to_string(),
            port_specifier: Some(PortSpecifier::PortValue(u32::from(address.port()))),
            ..SocketAddress::default()
        })),
    }
}

/// HTTP/1 on either side.
pub(super) fn http1() -> Http1ProtocolOptions {
    Http1ProtocolOptions {
        allow_absolute_url: Some(truth(true)),
        accept_http_10: true,
        enable_trailers: true,
        ..Http1ProtocolOptions::default()
    }
}

/// HTTP/2 on either side.
pub(super) fn http2(options: Http2Options) -> Http2ProtocolOptions {
    Http2ProtocolOptions {
        max_concurrent_streams: Some(number(options.max_concurrent_streams)),
        initial_stream_window_size: Some(number(options.stream_window)),
        initial_connection_window_size: Some(number(options.connection_window)),
        allow_connect: true,
        ..Http2ProtocolOptions::default()
    }
}
