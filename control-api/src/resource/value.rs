//! Messages that several kinds of resources hold: addresses, durations, sources of configuration.

use crate::report::Report;
use crate::report::refuse_set;
use envoy_types::pb::envoy::config::core::v3 as proto;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use envoy_types::pb::google::protobuf::UInt32Value;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What `google.protobuf.Duration` may hold: 10,000 years. More would not fit behind a moment.
const MOST_SECONDS: u64 = 315_576_000_000;

/// An IP address and a TCP port.
pub(super) fn address(message: Option<proto::Address>, report: &mut Report) -> Option<SocketAddr> {
    let (address, port) = host(message, report)?;
    let ip: Option<IpAddr> = address.parse().ok();
    if ip.is_none() {
        report.refuse_field("socket_address.address", format!("{address:?} is not an IP address"));
    }
    Some(SocketAddr::new(ip?, port))
}

/// A name or an IP address, and a TCP port.
pub(super) fn host(message: Option<proto::Address>, report: &mut Report) -> Option<(String, u16)> {
    let Some(proto::address::Address::SocketAddress(socket)) = message.and_then(|message| message.address) else {
        report.refuse_field(
            "socket_address",
            "is missing: other kinds of addresses are not supported",
        );
        return None;
    };
    report.within("socket_address", |report| socket_address(socket, report))
}

fn socket_address(message: proto::SocketAddress, report: &mut Report) -> Option<(String, u16)> {
    let proto::SocketAddress {
        protocol,
        address,
        resolver_name,
        ipv4_compat,
        network_namespace_filepath,
        port_specifier,
    } = message;
    refuse_set!(report; resolver_name, ipv4_compat, network_namespace_filepath);
    if protocol != proto::socket_address::Protocol::Tcp as i32 {
        report.refuse_field("protocol", "only TCP is supported");
    }
    let address = required_name("address", address, report);
    let port = match port_specifier {
        Some(PortSpecifier::PortValue(number)) => u16::try_from(number).ok().filter(|number| *number > 0),
        Some(PortSpecifier::NamedPort(_)) | None => None,
    };
    if port.is_none() {
        report.refuse_field("port_value", "must be from 1 to 65535");
    }
    Some((address?, port?))
}

/// A time that must be more than nothing; `default` where it is not set.
pub(super) fn positive(
    field: &str,
    message: Option<ProtoDuration>,
    default: Duration,
    report: &mut Report,
) -> Duration {
    match message.map(|message| duration(field, message, report)) {
        None | Some(None) => default,
        Some(Some(Duration::ZERO)) => {
            report.refuse_field(field, "must be more than nothing");
            default
        }
        Some(Some(duration)) => duration,
    }
}

/// A time where nothing means no limit; `default` where it is not set.
pub(super) fn limit(
    field: &str,
    message: Option<ProtoDuration>,
    default: Option<Duration>,
    report: &mut Report,
) -> Option<Duration> {
    match message {
        None => default,
        Some(message) => duration(field, message, report).filter(|duration| !duration.is_zero()),
    }
}

/// Accepts a limit only where it says that there is none.
pub(super) fn refuse_limit(field: &str, message: Option<ProtoDuration>, report: &mut Report) {
    if limit(field, message, None, report).is_some() {
        report.refuse_field(field, "is not supported; only 0 (no limit) is");
    }
}

fn duration(field: &str, message: ProtoDuration, report: &mut Report) -> Option<Duration> {
    let ProtoDuration { seconds, nanos } = message;
    let valid = match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds @ 0..=MOST_SECONDS), Ok(nanos @ 0..1_000_000_000)) => Some(Duration::new(seconds, nanos)),
        _ => None,
    };
    if valid.is_none() {
        report.refuse_field(field, "is not a duration from 0 to 10,000 years");
    }
    valid
}

/// A number within a range; `default` where it is not set.
pub(super) fn number(
    field: &str,
    message: Option<UInt32Value>,
    range: &RangeInclusive<u32>,
    default: u32,
    report: &mut Report,
) -> u32 {
    match message {
        None => default,
        Some(UInt32Value { value }) if range.contains(&value) => value,
        Some(_) => {
            report.refuse_field(field, format!("must be from {} to {}", range.start(), range.end()));
            default
        }
    }
}

/// Accepts the stream that the resource itself came by, as a source of another one.
pub(super) fn same_stream(message: Option<proto::ConfigSource>, report: &mut Report) {
    let Some(message) = message else {
        report.refuse("is missing");
        return;
    };
    let proto::ConfigSource {
        authorities,
        initial_fetch_timeout,
        resource_api_version,
        config_source_specifier,
    } = message;
    refuse_set!(report; authorities);
    report.note_if_set("initial_fetch_timeout", &initial_fetch_timeout);
    let known = [proto::ApiVersion::Auto as i32, proto::ApiVersion::V3 as i32];
    if !known.contains(&resource_api_version) {
        report.refuse_field("resource_api_version", "must be V3");
    }
    if !matches!(
        config_source_specifier,
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_))
    ) {
        report.refuse("only ads and self are supported");
    }
}

/// The one packed message that a `config_type` must hold.
pub(super) fn typed_config(config: Option<Any>, report: &mut Report) -> Option<Any> {
    if config.is_none() {
        report.refuse_field(
            "typed_config",
            "is missing: other kinds of configuration are not supported",
        );
    }
    config
}

/// A name that must not be empty.
pub(super) fn required_name(field: &str, name: String, report: &mut Report) -> Option<String> {
    if name.is_empty() {
        report.refuse_field(field, "is empty");
        return None;
    }
    Some(name)
}
