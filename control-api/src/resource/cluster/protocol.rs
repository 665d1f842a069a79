//! `typed_extension_protocol_options`: which HTTP is spoken to the endpoints.

use super::UpstreamHttp;
use super::UpstreamVersion;
use crate::defaults;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::http_options;
use crate::resource::listener::Http2Options;
use envoy_types::pb::envoy::extensions::filters::http::upstream_codec::v3::UpstreamCodec;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as proto;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::UInt32Value;
use prost::Name;
use proto::http_protocol_options::ExplicitHttpConfig;
use proto::http_protocol_options::UpstreamProtocolOptions;
use proto::http_protocol_options::UseDownstreamHttpConfig;
use proto::http_protocol_options::explicit_http_config::ProtocolConfig;
use std::collections::HashMap;
use std::num::NonZeroU32;

/// The key of the options, which is also the name of their type.
pub(crate) const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Which HTTP is spoken to the endpoints; where nothing is said, what the client speaks.
pub(super) fn decode(
    mut options: HashMap<String, Any>,
    max_requests: Option<UInt32Value>,
    report: &mut Report,
) -> Option<UpstreamHttp> {
    let max_requests = max_requests.and_then(|max| NonZeroU32::new(max.value));
    let any = options.remove(PROTOCOL_OPTIONS);
    report.within("typed_extension_protocol_options", |report| {
        for key in options.keys() {
            report.refuse_field(key, "is not supported");
        }
        let unset = UpstreamHttp {
            version: UpstreamVersion::SameAsDownstream,
            idle_timeout: defaults::UPSTREAM_IDLE,
            max_requests,
            http2: defaults::HTTP2,
        };
        let Some(any) = any else { return Some(unset) };
        let chosen = report.within(PROTOCOL_OPTIONS, |report| protocol_options(report.open(&any)?, report))?;
        Some(UpstreamHttp {
            max_requests: chosen.max_requests.or(max_requests),
            ..chosen
        })
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
    refuse_set!(report; header_validation_config);
    note_set!(report; outlier_detection, request_mirror_policies, hash_policy, retry_policy);
    // Without TLS there is no server name.
    note_set!(report; upstream_http_protocol_options);
    http_filters_of(http_filters, report);
    let common = http_options::towards_endpoints(common_http_protocol_options, report);
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
            report.refuse_field("auto_config", "needs ALPN, and connections are plain");
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
        idle_timeout: common.idle_timeout,
        max_requests: common.max_requests,
        http2,
    })
}

/// Accepts the filter that does what is done in any case.
fn http_filters_of(messages: Vec<HttpFilter>, report: &mut Report) {
    report.check_each("http_filters", messages, |message, report| {
        let HttpFilter {
            name,
            is_optional: _,
            disabled: _,
            config_type,
        } = message;
        match config_type {
            Some(ConfigType::TypedConfig(any)) if any.type_url == UpstreamCodec::type_url() => {
                report.within("typed_config", |report| {
                    report.open::<UpstreamCodec>(&any);
                });
            }
            Some(ConfigType::TypedConfig(_) | ConfigType::ConfigDiscovery(_)) | None => {
                report.refuse(format!("the filter {name:?} is not supported"));
            }
        }
    });
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
