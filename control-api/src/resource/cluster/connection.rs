//! `upstream_connection_options` and the socket options of `upstream_bind_config`.

use super::TcpOptions;
use crate::defaults;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::value;
use envoy_types::pb::envoy::config::cluster::v3::UpstreamConnectionOptions;
use envoy_types::pb::envoy::config::core::v3 as proto;
use envoy_types::pb::envoy::config::core::v3::socket_option::SocketState;
use envoy_types::pb::envoy::config::core::v3::socket_option::Value;
use envoy_types::pb::google::protobuf::UInt32Value;
use std::ops::RangeInclusive;
use std::time::Duration;

/// `IPPROTO_TCP`, as Linux numbers it.
pub(crate) const TCP_LEVEL: i64 = 6;
/// `TCP_USER_TIMEOUT`, as Linux numbers it; its value is in milliseconds.
pub(crate) const TCP_USER_TIMEOUT: i64 = 18;

/// Linux allows so many seconds (`MAX_TCP_KEEPIDLE`, `MAX_TCP_KEEPINTVL`).
const KEEPALIVE_SECONDS: RangeInclusive<u32> = 1..=32_767;
/// Linux allows so many probes (`MAX_TCP_KEEPCNT`).
const KEEPALIVE_PROBES: RangeInclusive<u32> = 1..=127;

/// Source addresses of Istio's connections to its own application.
const ISTIO_MARKERS: [&str; 2] = ["127.0.0.6", "::6"];

/// How a vanished endpoint is noticed.
pub(super) fn decode(
    options: Option<UpstreamConnectionOptions>,
    bind: Option<proto::BindConfig>,
    is_original: bool,
    report: &mut Report,
) -> TcpOptions {
    let keepalive = options.and_then(|options| {
        report.within("upstream_connection_options", |report| {
            let UpstreamConnectionOptions {
                tcp_keepalive,
                set_local_interface_name_on_upstream_connections,
                happy_eyeballs_config,
            } = options;
            note_set!(report; set_local_interface_name_on_upstream_connections, happy_eyeballs_config);
            tcp_keepalive.map(|message| report.within("tcp_keepalive", |report| tcp_keepalive_of(message, report)))
        })
    });
    let user_timeout = bind.and_then(|bind| {
        report.within("upstream_bind_config", |report| {
            if is_original {
                user_timeout(without_marker(bind, report), report)
            } else {
                user_timeout(bind, report)
            }
        })
    });
    TcpOptions {
        user_timeout: user_timeout.unwrap_or(defaults::TCP.user_timeout),
        ..keepalive.unwrap_or(defaults::TCP)
    }
}

fn tcp_keepalive_of(message: proto::TcpKeepalive, report: &mut Report) -> TcpOptions {
    let proto::TcpKeepalive {
        keepalive_probes,
        keepalive_time,
        keepalive_interval,
    } = message;
    let default = defaults::TCP;
    let mut seconds = |field, message: Option<UInt32Value>, default: Duration| {
        let default = default.as_secs() as u32;
        let seconds = value::number(field, message, &KEEPALIVE_SECONDS, default, report);
        Duration::from_secs(u64::from(seconds))
    };
    let keepalive_idle = seconds("keepalive_time", keepalive_time, default.keepalive_idle);
    let keepalive_interval = seconds("keepalive_interval", keepalive_interval, default.keepalive_interval);
    let count = default.keepalive_count;
    let keepalive_count = value::number("keepalive_probes", keepalive_probes, &KEEPALIVE_PROBES, count, report);
    TcpOptions {
        keepalive_idle,
        keepalive_interval,
        keepalive_count,
        user_timeout: default.user_timeout,
    }
}

/// Takes out the source address by which Istio's own redirection tells the proxy's connections to the application from
/// others. Ours tells them by the user who makes them.
fn without_marker(mut message: proto::BindConfig, report: &mut Report) -> proto::BindConfig {
    let marks = |source: &proto::SocketAddress| ISTIO_MARKERS.contains(&source.address.as_str());
    if message.source_address.as_ref().is_some_and(marks) {
        message.source_address = None;
        // Of the other family.
        message
            .extra_source_addresses
            .retain(|extra| extra.socket_options.is_some() || !extra.address.as_ref().is_some_and(marks));
        report.note_field(
            "source_address",
            "has no effect: connections come from the pod's own address",
        );
    }
    message
}

fn user_timeout(message: proto::BindConfig, report: &mut Report) -> Option<Duration> {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let proto::BindConfig {
        source_address,
        freebind,
        socket_options,
        extra_source_addresses,
        additional_source_addresses,
        local_address_selector,
        validate_network_namespaces,
    } = message;
    refuse_set!(report; source_address, freebind, extra_source_addresses, additional_source_addresses);
    refuse_set!(report; local_address_selector, validate_network_namespaces);
    let mut found = report.each("socket_options", socket_options, socket_option);
    if found.len() > 1 {
        report.refuse_field("socket_options", "TCP_USER_TIMEOUT is there twice");
    }
    found.pop()
}

/// `TCP_USER_TIMEOUT` is the only one that is supported.
fn socket_option(message: proto::SocketOption, report: &mut Report) -> Option<Duration> {
    let proto::SocketOption {
        description: _,
        level,
        name,
        state,
        r#type,
        ip_version,
        value,
    } = message;
    if (level, name) != (TCP_LEVEL, TCP_USER_TIMEOUT) {
        report.refuse(format!("the option {name} of the level {level} is not supported"));
        return None;
    }
    report.refuse_if_set("type", &r#type);
    refuse_set!(report; ip_version);
    if state != SocketState::StatePrebind as i32 {
        report.refuse_field("state", "must be STATE_PREBIND");
    }
    match value {
        // The kernel holds it in an `int`; 0 would be its own default, and no limit.
        Some(Value::IntValue(millis @ 1..=0x7fff_ffff)) => Some(Duration::from_millis(millis.unsigned_abs())),
        Some(Value::IntValue(_) | Value::BufValue(_)) | None => {
            report.refuse_field("int_value", "must be from 1 to 2147483647 milliseconds");
            None
        }
    }
}
