//! Small messages that many hold.

use crate::resource::listener::Http2Options;
use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::core::v3::Http1ProtocolOptions;
use envoy_types::pb::envoy::config::core::v3::Http2ProtocolOptions;
use envoy_types::pb::envoy::config::core::v3::SocketAddress;
use envoy_types::pb::envoy::config::core::v3::address;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_action;
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatcher;
use envoy_types::pb::envoy::r#type::v3::HashPolicy;
use envoy_types::pb::envoy::r#type::v3::hash_policy;
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
    host(address.ip().to_string(), address.port())
}

/// A name or an IP address, and a TCP port.
pub(super) fn host(address: String, port: u16) -> Address {
    Address {
        address: Some(address::Address::SocketAddress(SocketAddress {
            address,
            port_specifier: Some(PortSpecifier::PortValue(u32::from(port))),
            ..SocketAddress::default()
        })),
    }
}

/// An expression.
pub(super) fn regex(regex: String) -> RegexMatcher {
    RegexMatcher {
        regex,
        ..RegexMatcher::default()
    }
}

/// A hash of the address of a request's client.
pub(super) fn source_ip_of_requests() -> route_action::HashPolicy {
    let properties = route_action::hash_policy::ConnectionProperties { source_ip: true };
    route_action::HashPolicy {
        policy_specifier: Some(route_action::hash_policy::PolicySpecifier::ConnectionProperties(
            properties,
        )),
        ..route_action::HashPolicy::default()
    }
}

/// A hash of the address of a connection's client.
pub(super) fn source_ip_of_connections() -> HashPolicy {
    HashPolicy {
        policy_specifier: Some(hash_policy::PolicySpecifier::SourceIp(hash_policy::SourceIp {})),
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
