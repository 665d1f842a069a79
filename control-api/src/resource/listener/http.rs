//! `HttpConnectionManager`.

use super::Codec;
use super::ForwardedFor;
use super::HttpConnectionManager;
use super::RouteSource;
use crate::defaults;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::filters;
use crate::resource::filters::Missing;
use crate::resource::filters::Wanted;
use crate::resource::http_options;
use crate::resource::route;
use crate::resource::value;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as proto;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::BoolValue;
use prost::Name;
use proto::http_connection_manager::CodecType;
use proto::http_connection_manager::RouteSpecifier;
use proto::http_connection_manager::ServerHeaderTransformation;
use proto::http_connection_manager::UpgradeConfig;
use proto::http_filter::ConfigType;
use std::num::NonZeroU32;

/// Decodes a connection manager.
#[expect(
    clippy::too_many_lines,
    reason = "a message with 58 fields, of which each is named twice"
)]
pub(super) fn decode(message: proto::HttpConnectionManager, report: &mut Report) -> Option<HttpConnectionManager> {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let proto::HttpConnectionManager {
        codec_type,
        stat_prefix,
        http_filters,
        add_user_agent,
        tracing,
        common_http_protocol_options,
        http1_safe_max_connection_duration,
        http_protocol_options,
        http2_protocol_options,
        http3_protocol_options,
        server_name,
        server_header_transformation,
        scheme_header_transformation,
        max_request_headers_kb,
        stream_idle_timeout,
        stream_flush_timeout,
        request_timeout,
        request_headers_timeout,
        drain_timeout,
        drain_timeout_jitter,
        delayed_close_timeout,
        access_log,
        access_log_flush_interval,
        flush_access_log_on_new_request,
        access_log_options,
        use_remote_address,
        xff_num_trusted_hops,
        original_ip_detection_extensions,
        early_header_mutation_extensions,
        internal_address_config,
        skip_xff_append,
        via,
        generate_request_id,
        preserve_external_request_id,
        always_set_request_id_in_response,
        forward_client_cert_details,
        set_current_client_cert_details,
        forward_client_cert_matcher,
        proxy_100_continue,
        represent_ipv4_remote_address_as_ipv4_mapped_ipv6,
        upgrade_configs,
        normalize_path,
        merge_slashes,
        path_with_escaped_slashes_action,
        request_id_extension,
        local_reply_config,
        strip_matching_host_port,
        stream_error_on_invalid_http_message,
        path_normalization_options,
        strip_trailing_host_dot,
        proxy_status_config,
        typed_header_validation_config,
        append_x_forwarded_port,
        append_local_overload,
        add_proxy_protocol_connection_state,
        forward_proto_config,
        route_specifier,
        strip_port_mode,
    } = message;
    refuse_set!(report; tracing, access_log, http1_safe_max_connection_duration, http3_protocol_options);
    refuse_set!(report; server_name, scheme_header_transformation, xff_num_trusted_hops, via);
    refuse_set!(report; original_ip_detection_extensions, early_header_mutation_extensions, internal_address_config);
    refuse_set!(report; always_set_request_id_in_response, request_id_extension, local_reply_config);
    refuse_set!(report; forward_client_cert_details, set_current_client_cert_details, forward_client_cert_matcher);
    refuse_set!(report; merge_slashes, path_with_escaped_slashes_action, path_normalization_options);
    refuse_set!(report; strip_matching_host_port, strip_trailing_host_dot, strip_port_mode);
    refuse_set!(report; proxy_status_config, typed_header_validation_config, append_x_forwarded_port);
    refuse_set!(report; append_local_overload, forward_proto_config);
    note_set!(report; drain_timeout, drain_timeout_jitter, delayed_close_timeout, proxy_100_continue);
    note_set!(report; access_log_flush_interval, flush_access_log_on_new_request, access_log_options);
    note_set!(report; preserve_external_request_id, represent_ipv4_remote_address_as_ipv4_mapped_ipv6);
    refuse_true("add_user_agent", add_user_agent, report);
    refuse_true("generate_request_id", generate_request_id, report);
    refuse_true("normalize_path", normalize_path, report);
    refuse_true(
        "stream_error_on_invalid_http_message",
        stream_error_on_invalid_http_message,
        report,
    );
    refuse_true(
        "add_proxy_protocol_connection_state",
        add_proxy_protocol_connection_state,
        report,
    );
    value::refuse_limit("stream_idle_timeout", stream_idle_timeout, report);
    value::refuse_limit("stream_flush_timeout", stream_flush_timeout, report);
    value::refuse_limit("request_timeout", request_timeout, report);
    server_header(server_header_transformation, report);
    http_filters_of(http_filters, report);
    report.check_each("upgrade_configs", upgrade_configs, upgrade);
    http_options::http1(http_protocol_options, report);
    let common = http_options::common(common_http_protocol_options, report);
    let http2 = http_options::http2(http2_protocol_options, report);
    let (kib, fields) = ((defaults::HEADER_BYTES >> 10) as u32, defaults::HEADER_FIELDS as u32);
    let kib = value::number(
        "max_request_headers_kb",
        max_request_headers_kb,
        &(1..=8192),
        kib,
        report,
    );
    let fields = value::number(
        "max_headers_count",
        common.max_headers_count,
        &(1..=u32::MAX),
        fields,
        report,
    );
    let head = Some(defaults::HEAD_TIMEOUT);
    let head_timeout = value::limit("request_headers_timeout", request_headers_timeout, head, report);
    let idle = Some(defaults::DOWNSTREAM_IDLE);
    let idle_timeout = value::limit("idle_timeout", common.idle_timeout, idle, report);
    let forwarded_for = forwarded_for(use_remote_address, skip_xff_append, report);
    let stat_prefix = value::required_name("stat_prefix", stat_prefix, report);
    let (codec, routes) = (codec(codec_type, report), routes(route_specifier, report));
    Some(HttpConnectionManager {
        stat_prefix: stat_prefix?,
        codec: codec?,
        routes: routes?,
        forwarded_for,
        max_header_bytes: (kib as usize) << 10,
        max_header_fields: fields as usize,
        // In xDS 0 is no limit.
        max_requests: common
            .max_requests_per_connection
            .and_then(|most| NonZeroU32::new(most.value)),
        head_timeout,
        idle_timeout,
        http2,
    })
}

/// Without `use_remote_address` nothing is appended, whatever the other field says. With it, it is all that we do by it.
fn forwarded_for(use_remote_address: Option<BoolValue>, skip_append: bool, report: &mut Report) -> ForwardedFor {
    if !use_remote_address.is_some_and(|value| value.value) {
        return ForwardedFor::Off;
    }
    if skip_append {
        report.refuse_field("use_remote_address", "cannot be true with skip_xff_append");
    }
    ForwardedFor::Append
}

fn refuse_true(field: &str, value: Option<BoolValue>, report: &mut Report) {
    if value.is_some_and(|value| value.value) {
        report.refuse_field(field, "cannot be true");
    }
}

fn codec(number: i32, report: &mut Report) -> Option<Codec> {
    match CodecType::try_from(number) {
        Ok(CodecType::Auto) => Some(Codec::Auto),
        Ok(CodecType::Http1) => Some(Codec::Http1),
        Ok(CodecType::Http2) => Some(Codec::Http2),
        Ok(CodecType::Http3) | Err(_) => {
            report.refuse_field("codec_type", "must be AUTO, HTTP1 or HTTP2");
            None
        }
    }
}

/// The header passes through; `OVERWRITE` cannot be told from nothing said.
fn server_header(number: i32, report: &mut Report) {
    let allowed = [
        ServerHeaderTransformation::PassThrough as i32,
        ServerHeaderTransformation::Overwrite as i32,
    ];
    if !allowed.contains(&number) {
        report.refuse_field("server_header_transformation", "must be PASS_THROUGH");
    }
}

fn routes(specifier: Option<RouteSpecifier>, report: &mut Report) -> Option<RouteSource> {
    match specifier {
        Some(RouteSpecifier::RouteConfig(message)) => {
            let inline = report.within("route_config", |report| route::decode(message, report));
            Some(RouteSource::Inline(inline))
        }
        Some(RouteSpecifier::Rds(proto::Rds {
            config_source,
            route_config_name,
        })) => report.within("rds", |report| {
            report.within("config_source", |report| value::same_stream(config_source, report));
            value::required_name("route_config_name", route_config_name, report).map(RouteSource::Named)
        }),
        Some(RouteSpecifier::ScopedRoutes(_)) => {
            report.refuse_field("scoped_routes", "is not supported");
            None
        }
        None => {
            report.refuse_field("route_config", "is missing, and so is rds");
            None
        }
    }
}

/// The router ends the list. Before it there may be filters that we do not have, where they may be missing.
fn http_filters_of(filters: Vec<proto::HttpFilter>, report: &mut Report) {
    if filters.is_empty() {
        report.refuse_field("http_filters", "is empty: the router is missing");
    }
    let mut left = filters.len();
    report.check_each("http_filters", filters, |message, report| {
        let proto::HttpFilter {
            name,
            is_optional,
            disabled,
            config_type,
        } = message;
        left -= 1;
        let Some(any) = typed(config_type, report) else { return };
        if left > 0 {
            return absent_filter(&name, &any, Wanted::of(is_optional, disabled), report);
        }
        if disabled {
            report.refuse_field("disabled", "cannot be true of the last filter");
        }
        report.within("typed_config", |report| last_filter(&any, report));
    });
}

fn last_filter(any: &Any, report: &mut Report) {
    if any.type_url != Router::type_url() {
        let found = filters::short(&any.type_url);
        report.refuse(format!("the router must end the list, and this is {found}"));
    } else if let Some(message) = report.open(any) {
        router(message, report);
    }
}

/// A filter that we do not have.
fn absent_filter(name: &str, any: &Any, wanted: Wanted, report: &mut Report) {
    if any.type_url == Router::type_url() {
        report.refuse_field("typed_config", "the router must end the list, and more filters follow");
        return;
    }
    match Missing::of(&any.type_url).verdict(wanted) {
        Ok(note) => report.note_field("typed_config", note),
        Err(reason) => {
            let found = filters::short(&any.type_url);
            report.refuse_field("typed_config", format!("the filter {name:?}, {found}, {reason}"));
        }
    }
}

fn typed(config_type: Option<ConfigType>, report: &mut Report) -> Option<Any> {
    let config = match config_type {
        Some(ConfigType::TypedConfig(any)) => Some(any),
        Some(ConfigType::ConfigDiscovery(_)) | None => None,
    };
    value::typed_config(config, report)
}

fn router(message: Router, report: &mut Report) {
    #[expect(deprecated, reason = "a deprecated field is refused too")]
    let Router {
        dynamic_stats,
        start_child_span,
        upstream_log,
        upstream_log_options,
        // We neither read nor write headers of Envoy's own.
        suppress_envoy_headers: _,
        strict_check_headers,
        respect_expected_rq_timeout,
        suppress_grpc_request_failure_code_stats,
        upstream_http_filters,
        reject_connect_request_early_data,
    } = message;
    refuse_set!(report; start_child_span, upstream_log, upstream_log_options, strict_check_headers);
    refuse_set!(report; respect_expected_rq_timeout, upstream_http_filters);
    note_set!(report; dynamic_stats, suppress_grpc_request_failure_code_stats, reject_connect_request_early_data);
}

/// Every upgrade is passed on, so that a list of them is fine and one that forbids is not.
fn upgrade(message: UpgradeConfig, report: &mut Report) {
    let UpgradeConfig {
        upgrade_type: _,
        filters,
        enabled,
    } = message;
    refuse_set!(report; filters);
    if enabled.is_some_and(|enabled| !enabled.value) {
        report.refuse_field("enabled", "cannot be false");
    }
}
