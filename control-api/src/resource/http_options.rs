//! HTTP options that clients' connections and connections to endpoints have in common.

use super::listener::Http2Options;
use super::value;
use crate::defaults;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use envoy_types::pb::envoy::config::core::v3 as proto;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use envoy_types::pb::google::protobuf::UInt32Value;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

/// RFC 9113 6.9.1; HTTP/2 begins with 65,535, so that less could not be enforced from the first byte.
const WINDOW: RangeInclusive<u32> = 65_535..=(1 << 31) - 1;

/// Longer than any connection waits.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

/// What is used of `HttpProtocolOptions`.
#[derive(Default)]
pub(super) struct CommonOptions {
    pub(super) idle_timeout: Option<ProtoDuration>,
    pub(super) max_headers_count: Option<UInt32Value>,
    pub(super) max_requests_per_connection: Option<UInt32Value>,
}

/// Decodes `common_http_protocol_options`.
pub(super) fn common(message: Option<proto::HttpProtocolOptions>, report: &mut Report) -> CommonOptions {
    let Some(message) = message else {
        return CommonOptions::default();
    };
    report.within("common_http_protocol_options", |report| {
        let proto::HttpProtocolOptions {
            idle_timeout,
            max_connection_duration,
            max_connection_duration_jitter,
            max_headers_count,
            max_response_headers_kb,
            max_stream_duration,
            headers_with_underscores_action,
            max_requests_per_connection,
        } = message;
        value::refuse_limit("max_connection_duration", max_connection_duration, report);
        value::refuse_limit("max_stream_duration", max_stream_duration, report);
        refuse_set!(report; max_connection_duration_jitter, max_response_headers_kb, headers_with_underscores_action);
        CommonOptions {
            idle_timeout,
            max_headers_count,
            max_requests_per_connection,
        }
    })
}

/// What is used of `HttpProtocolOptions` towards endpoints.
pub(super) struct UpstreamOptions {
    /// Of a connection that waits in the pool.
    pub(super) idle_timeout: Duration,
    /// Over one connection; `None`: any number.
    pub(super) max_requests: Option<NonZeroU32>,
}

/// Decodes the `common_http_protocol_options` of a cluster.
pub(super) fn towards_endpoints(message: Option<proto::HttpProtocolOptions>, report: &mut Report) -> UpstreamOptions {
    let message = message.unwrap_or_default();
    report.within("common_http_protocol_options", |report| {
        let proto::HttpProtocolOptions {
            idle_timeout,
            max_connection_duration,
            max_connection_duration_jitter,
            max_headers_count,
            max_response_headers_kb,
            max_stream_duration,
            headers_with_underscores_action,
            max_requests_per_connection,
        } = message;
        // Of one that is taken from the pool its age is not asked; heads of answers have limits of their own; names of
        // fields are judged where clients send them.
        note_set!(report; max_connection_duration, max_connection_duration_jitter, max_headers_count);
        note_set!(report; max_response_headers_kb, headers_with_underscores_action);
        value::refuse_limit("max_stream_duration", max_stream_duration, report);
        let idle_timeout = value::limit("idle_timeout", idle_timeout, Some(defaults::UPSTREAM_IDLE), report);
        UpstreamOptions {
            idle_timeout: idle_timeout.unwrap_or(FOR_EVER),
            max_requests: max_requests_per_connection.and_then(|max| NonZeroU32::new(max.value)),
        }
    })
}

/// Checks `http_protocol_options`: what it may say is what we do in any case.
pub(super) fn http1(message: Option<proto::Http1ProtocolOptions>, report: &mut Report) {
    let Some(message) = message else { return };
    report.within("http_protocol_options", |report| {
        #[expect(deprecated, reason = "a deprecated field is refused too")]
        let proto::Http1ProtocolOptions {
            allow_absolute_url,
            // We serve HTTP/1.0 and pass trailers on whether this is set or not.
            accept_http_10: _,
            enable_trailers: _,
            default_host_for_http_10,
            header_key_format,
            allow_chunked_length,
            override_stream_error_on_invalid_http_message,
            send_fully_qualified_url,
            use_balsa_parser,
            allow_custom_methods,
            ignore_http_11_upgrade,
        } = message;
        if allow_absolute_url.is_some_and(|allow| !allow.value) {
            report.refuse_field("allow_absolute_url", "cannot be false");
        }
        refuse_set!(report; default_host_for_http_10, header_key_format, allow_chunked_length);
        refuse_set!(report; override_stream_error_on_invalid_http_message, send_fully_qualified_url);
        refuse_set!(report; ignore_http_11_upgrade);
        note_set!(report; use_balsa_parser, allow_custom_methods);
    });
}

/// Decodes `http2_protocol_options`.
pub(super) fn http2(message: Option<proto::Http2ProtocolOptions>, report: &mut Report) -> Http2Options {
    let Some(message) = message else { return defaults::HTTP2 };
    report.within("http2_protocol_options", |report| {
        #[expect(deprecated, reason = "a deprecated field is refused too")]
        let proto::Http2ProtocolOptions {
            hpack_table_size,
            max_concurrent_streams,
            initial_stream_window_size,
            initial_connection_window_size,
            // Any method is passed on, CONNECT included.
            allow_connect: _,
            allow_metadata,
            max_outbound_frames,
            max_outbound_control_frames,
            max_consecutive_inbound_frames_with_empty_payload,
            max_inbound_priority_frames_per_stream,
            max_inbound_window_update_frames_per_data_frame_sent,
            stream_error_on_invalid_http_messaging,
            override_stream_error_on_invalid_http_message,
            custom_settings_parameters,
            connection_keepalive,
            use_oghttp2_codec,
            max_metadata_size,
            enable_huffman_encoding,
            max_header_field_size_kb,
            disallow_obs_text,
            stream_reset_burst,
            stream_reset_rate,
        } = message;
        refuse_set!(report; hpack_table_size, allow_metadata, max_outbound_frames, max_outbound_control_frames);
        refuse_set!(report; max_consecutive_inbound_frames_with_empty_payload, max_inbound_priority_frames_per_stream);
        refuse_set!(report; max_inbound_window_update_frames_per_data_frame_sent, custom_settings_parameters);
        refuse_set!(report; stream_error_on_invalid_http_messaging, override_stream_error_on_invalid_http_message);
        refuse_set!(report; connection_keepalive, max_metadata_size, max_header_field_size_kb, disallow_obs_text);
        refuse_set!(report; stream_reset_burst, stream_reset_rate);
        note_set!(report; use_oghttp2_codec, enable_huffman_encoding);
        let default = defaults::HTTP2;
        let streams = (max_concurrent_streams, default.max_concurrent_streams);
        let stream = (initial_stream_window_size, default.stream_window);
        let connection = (initial_connection_window_size, default.connection_window);
        Http2Options {
            max_concurrent_streams: number("max_concurrent_streams", streams, &(1..=(1 << 31) - 1), report),
            stream_window: number("initial_stream_window_size", stream, &WINDOW, report),
            connection_window: number("initial_connection_window_size", connection, &WINDOW, report),
        }
    })
}

fn number(field: &str, given: (Option<UInt32Value>, u32), range: &RangeInclusive<u32>, report: &mut Report) -> u32 {
    value::number(field, given.0, range, given.1, report)
}
