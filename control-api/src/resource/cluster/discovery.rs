//! `type` and what belongs to each: where the endpoints of a cluster come from.

use super::Discovery;
use super::OriginalDestination;
use super::dns;
use super::dns::Answers;
use super::dns::RESOLVED;
use crate::report::Report;
use crate::report::refuse_set;
use crate::resource::endpoint;
use crate::resource::endpoint::ClusterLoadAssignment;
use crate::resource::value;
use envoy_types::pb::envoy::config::cluster::v3 as proto;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment as ProtoAssignment;
use envoy_types::pb::google::protobuf::UInt32Value;
use std::num::NonZeroU16;
use std::sync::Arc;

/// The field that names an address where the configuration does not say which field does, as in Envoy.
const HEADER: &str = "x-envoy-original-dst-host";

/// What the kinds of discovery need, of which each may have its own only.
pub(super) struct Sources {
    pub(super) eds: Option<proto::cluster::EdsClusterConfig>,
    pub(super) assignment: Option<ProtoAssignment>,
    pub(super) dns: dns::Fields,
    pub(super) original: Option<proto::cluster::OriginalDstLbConfig>,
}

/// Decodes where endpoints come from.
pub(super) fn decode(
    kind: Option<ClusterDiscoveryType>,
    sources: Sources,
    name: Option<&str>,
    report: &mut Report,
) -> Option<Discovery> {
    let kind = match kind {
        Some(ClusterDiscoveryType::Type(number)) => DiscoveryType::try_from(number).ok(),
        Some(ClusterDiscoveryType::ClusterType(message)) => {
            report.refuse_field("cluster_type", format!("{:?} is not supported", message.name));
            return None;
        }
        None => Some(DiscoveryType::Static),
    };
    let Sources {
        eds,
        assignment,
        dns: fields,
        original,
    } = sources;
    if kind != Some(DiscoveryType::Eds) {
        report.refuse_if_set("eds_cluster_config", &eds);
    }
    if matches!(kind, Some(DiscoveryType::Eds | DiscoveryType::OriginalDst)) {
        report.refuse_if_set("load_assignment", &assignment);
    }
    if kind != Some(DiscoveryType::OriginalDst) {
        report.refuse_if_set("original_dst_lb_config", &original);
    }
    if let Some(answers) = answers(kind) {
        let dns = dns::decode(name?, answers, assignment, fields, report)?;
        return Some(Discovery::Dns(Arc::new(dns)));
    }
    fields.note(report);
    match kind {
        Some(DiscoveryType::Eds) => report.within("eds_cluster_config", |report| named(eds, name, report)),
        Some(DiscoveryType::Static) => {
            static_assignment(assignment, report).map(|assignment| Discovery::Static(Arc::new(assignment)))
        }
        Some(DiscoveryType::OriginalDst) => {
            let original = report.within("original_dst_lb_config", |report| {
                original_destination(original, report)
            });
            Some(Discovery::OriginalDestination(original))
        }
        Some(DiscoveryType::StrictDns | DiscoveryType::LogicalDns) | None => {
            report.refuse_field("type", "must be EDS, STATIC, STRICT_DNS, LOGICAL_DNS or ORIGINAL_DST");
            None
        }
    }
}

fn answers(kind: Option<DiscoveryType>) -> Option<Answers> {
    match kind? {
        DiscoveryType::StrictDns => Some(Answers::Every),
        DiscoveryType::LogicalDns => Some(Answers::First),
        DiscoveryType::Static | DiscoveryType::Eds | DiscoveryType::OriginalDst => None,
    }
}

fn named(
    message: Option<proto::cluster::EdsClusterConfig>,
    name: Option<&str>,
    report: &mut Report,
) -> Option<Discovery> {
    let Some(proto::cluster::EdsClusterConfig {
        eds_config,
        service_name,
    }) = message
    else {
        report.refuse("is missing");
        return None;
    };
    report.within("eds_config", |report| value::same_stream(eds_config, report));
    let service = if service_name.is_empty() {
        name?.to_owned()
    } else {
        service_name
    };
    if service.starts_with(RESOLVED) {
        report.refuse_field(
            "service_name",
            format!("names that begin with {RESOLVED:?} are the proxy's own"),
        );
    }
    Some(Discovery::Eds(service))
}

fn static_assignment(message: Option<ProtoAssignment>, report: &mut Report) -> Option<ClusterLoadAssignment> {
    report.within("load_assignment", |report| {
        let Some(message) = message else {
            report.refuse("is missing");
            return None;
        };
        endpoint::decode(message, report)
    })
}

fn original_destination(
    message: Option<proto::cluster::OriginalDstLbConfig>,
    report: &mut Report,
) -> OriginalDestination {
    let Some(message) = message else {
        return OriginalDestination::default();
    };
    let proto::cluster::OriginalDstLbConfig {
        use_http_header,
        http_header_name,
        upstream_port_override,
        metadata_key,
    } = message;
    refuse_set!(report; metadata_key);
    if !use_http_header {
        report.refuse_if_set("http_header_name", &http_header_name);
    }
    if !http_header_name.bytes().all(is_token) {
        report.refuse_field(
            "http_header_name",
            format!("{http_header_name:?} is not the name of a field"),
        );
    }
    let header = if http_header_name.is_empty() {
        HEADER.to_owned()
    } else {
        http_header_name.to_ascii_lowercase()
    };
    let port = upstream_port_override.and_then(|UInt32Value { value }| {
        let port = u16::try_from(value).ok().and_then(NonZeroU16::new);
        if port.is_none() {
            report.refuse_field("upstream_port_override", "must be from 1 to 65535");
        }
        port
    });
    OriginalDestination {
        header: use_http_header.then_some(header),
        port,
    }
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
