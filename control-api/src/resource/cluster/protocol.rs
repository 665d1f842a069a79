//! `typed_extension_protocol_options`: which HTTP is spoken to the endpoints.

use super::UpstreamHttp;
use super::UpstreamVersion;
use crate::defaults;
use crate::report::Report;
use crate::report::refuse_set;
use crate::resource::http_options;
use crate::resource::listener::Http2Options;
use crate::resource::value;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as proto;
use envoy_types::pb::google::protobuf::Any;
use proto::http_protocol_options::ExplicitHttpConfig;
use proto::http_protocol_options::UpstreamProtocolOptions;
use proto::http_protocol_options::UseDownstreamHttpConfig;
use proto::http_protocol_options::explicit_http_config::ProtocolConfig;
use std::collections::HashMap;

/// The key of the options, which is also the name of their type.
pub(crate) const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Which HTTP is spoken to the endpoints; where nothing is said, what the client speaks.
pub(super) fn decode(mut options: HashMap<String, Any>, report: &mut Report) -> Option<UpstreamHttp> {
    let any = options.remove(PROTOCOL_OPTIONS);
    report.within("typed_extension_protocol_options", |report| {
        for key in options.keys() {
            report.refuse_field(key, "is not supported");
        }
        let unset = UpstreamHttp {
            version: UpstreamVersion::SameAsDownstream,
            idle_timeout: defaults::UPSTREAM_IDLE,
            http2: defaults::HTTP2,
        };
        let Some(any) = any else { return Some(unset) };
        report.within(PROTOCOL_OPTIONS, |report| protocol_options(report.open(&any)?, report))
    })
}

fn protocol_options(message: proto::HttpProtocolOptions, report: &mut Report) -> Option<UpstreamHttp> {
    let proto::HttpProtocolOptions {
        common_http_protocol_options,
        upstream_http_protocol_options,
        http_filters,
        header_validation_config,
        outlier_detection,
        request_mirror_policies,
        hash_policy,
        retry_policy,
        upstream_protocol_options,
    } = message;
    refuse_set!(report; upstream_http_protocol_options, http_filters, header_validation_config, outlier_detection);
    refuse_set!(report; request_mirror_policies, hash_policy, retry_policy);
    let common = http_options::common(common_http_protocol_options, report);
    refuse_max_headers(common.max_headers_count.is_some(), report);
    let idle_timeout = value::positive("idle_timeout", common.idle_timeout, defaults::UPSTREAM_IDLE, report);
    let chosen = match upstream_protocol_options {
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(message)) => {
            report.within("explicit_http_config", |report| explicit(message, report))
        }
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(message)) => {
            Some(report.within("use_downstream_protocol_config", |report| {
                same_as_downstream(message, report)
            }))
        }
        Some(UpstreamProtocolOptions::AutoConfig(_)) => {
            report.refuse_field("auto_config", "is not supported");
            None
        }
        None => {
            report.refuse_field(
                "explicit_http_config",
                "is missing, and so is use_downstream_protocol_config",
            );
            None
        }
    };
    chosen.map(|(version, http2)| UpstreamHttp {
        version,
        idle_timeout,
        http2,
    })
}

fn refuse_max_headers(set: bool, report: &mut Report) {
    if set {
        report.refuse_field(
            "common_http_protocol_options.max_headers_count",
            "is not supported towards endpoints",
        );
    }
}

fn explicit(message: ExplicitHttpConfig, report: &mut Report) -> Option<(UpstreamVersion, Http2Options)> {
    let ExplicitHttpConfig { protocol_config } = message;
    match protocol_config {
        Some(ProtocolConfig::HttpProtocolOptions(options)) => {
            http_options::http1(Some(options), report);
            Some((UpstreamVersion::Http1, defaults::HTTP2))
        }
        Some(ProtocolConfig::Http2ProtocolOptions(options)) => {
            Some((UpstreamVersion::Http2, http_options::http2(Some(options), report)))
        }
        Some(ProtocolConfig::Http3ProtocolOptions(_)) | None => {
            report.refuse("must hold http_protocol_options or http2_protocol_options");
            None
        }
    }
}

fn same_as_downstream(message: UseDownstreamHttpConfig, report: &mut Report) -> (UpstreamVersion, Http2Options) {
    let UseDownstreamHttpConfig {
        http_protocol_options,
        http2_protocol_options,
        http3_protocol_options,
    } = message;
    refuse_set!(report; http3_protocol_options);
    http_options::http1(http_protocol_options, report);
    (
        UpstreamVersion::SameAsDownstream,
        http_options::http2(http2_protocol_options, report),
    )
}
