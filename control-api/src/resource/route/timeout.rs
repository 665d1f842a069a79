//! How long a request may take.

use crate::report::Report;
use crate::resource::value;
use envoy_types::pb::envoy::config::route::v3::route_action as proto;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use std::time::Duration;

/// How long a request may take. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// `timeout`: from the end of the request to the end of the answer.
    pub answer: Option<Duration>,
    /// `max_grpc_timeout`: what gRPC's `grpc-timeout` says instead; `None`: nothing.
    pub grpc_answer: Option<GrpcTimeout>,
    /// `max_stream_duration`: from the head of the request to the end of both messages.
    pub stream: Option<Duration>,
    /// `max_stream_duration.grpc_timeout_header_max`: what `grpc-timeout` says instead; `None`: nothing.
    pub grpc_stream: Option<GrpcTimeout>,
    /// `idle_timeout`: without a byte in either direction.
    pub idle: Option<Duration>,
}

/// What is made of `grpc-timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcTimeout {
    /// No more than this.
    pub most: Option<Duration>,
    /// So much sooner than the client gives up.
    pub sooner: Duration,
}

/// The fields of a route's action that are times.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub(super) timeout: Option<ProtoDuration>,
    pub(super) idle_timeout: Option<ProtoDuration>,
    pub(super) max_grpc_timeout: Option<ProtoDuration>,
    pub(super) grpc_timeout_offset: Option<ProtoDuration>,
    pub(super) max_stream_duration: Option<proto::MaxStreamDuration>,
}

/// Decodes them.
pub(super) fn timeouts(fields: Fields, report: &mut Report) -> Timeouts {
    let Fields {
        timeout,
        idle_timeout,
        max_grpc_timeout,
        grpc_timeout_offset,
        max_stream_duration,
    } = fields;
    let (stream, grpc_stream) = max_stream_duration.map_or((None, None), |message| {
        report.within("max_stream_duration", |report| stream(message, report))
    });
    Timeouts {
        answer: value::limit("timeout", timeout, None, report),
        grpc_answer: grpc(
            ("max_grpc_timeout", max_grpc_timeout),
            ("grpc_timeout_offset", grpc_timeout_offset),
            report,
        ),
        stream,
        grpc_stream,
        idle: value::limit("idle_timeout", idle_timeout, None, report),
    }
}

fn stream(message: proto::MaxStreamDuration, report: &mut Report) -> (Option<Duration>, Option<GrpcTimeout>) {
    let proto::MaxStreamDuration {
        max_stream_duration,
        grpc_timeout_header_max,
        grpc_timeout_header_offset,
    } = message;
    let grpc = grpc(
        ("grpc_timeout_header_max", grpc_timeout_header_max),
        ("grpc_timeout_header_offset", grpc_timeout_header_offset),
        report,
    );
    let most = value::limit("max_stream_duration", max_stream_duration, None, report);
    (most, grpc)
}

/// Only the first field makes the header heeded.
fn grpc(
    (most_field, most): (&str, Option<ProtoDuration>),
    (sooner_field, sooner): (&str, Option<ProtoDuration>),
    report: &mut Report,
) -> Option<GrpcTimeout> {
    let heeded = most.is_some();
    let most = value::limit(most_field, most, None, report);
    let sooner = value::limit(sooner_field, sooner, None, report).unwrap_or_default();
    heeded.then_some(GrpcTimeout { most, sooner })
}
