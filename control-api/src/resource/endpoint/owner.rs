//! Whose an endpoint is, in its metadata: what our control plane says of it there, and is used in metrics alone.

use crate::report::Report;
use crate::report::note_set;
use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::Value;
use envoy_types::pb::google::protobuf::value::Kind;
use std::collections::HashMap;

/// Whose metadata it is.
const NAMESPACE: &str = "evenkeel";
/// What the endpoint is part of.
const WORKLOAD: &str = "workload";
/// As long as names of objects are.
const LONGEST: usize = 253;

/// The metadata of an endpoint of this workload; `None`: nothing is known of it.
pub(crate) fn metadata(workload: Option<&str>) -> Option<Metadata> {
    let value = Value {
        kind: Some(Kind::StringValue(workload?.to_owned())),
    };
    let fields = HashMap::from([(WORKLOAD.to_owned(), value)]);
    Some(Metadata {
        filter_metadata: HashMap::from([(NAMESPACE.to_owned(), Struct { fields })]),
        ..Metadata::default()
    })
}

/// The workload that metadata names; empty where it names none. The rest has no effect: what is chosen by it, transport sockets
/// and subsets, is refused where it stands.
pub(super) fn workload(message: Metadata, report: &mut Report) -> String {
    let Metadata {
        filter_metadata,
        typed_filter_metadata,
    } = message;
    note_set!(report; typed_filter_metadata);
    let mut filter_metadata = filter_metadata;
    let ours = filter_metadata.remove(NAMESPACE);
    report.note_if_set("filter_metadata", &filter_metadata);
    let Some(value) = ours.and_then(|mut ours| ours.fields.remove(WORKLOAD)) else {
        return String::new();
    };
    match value.kind {
        Some(Kind::StringValue(workload)) if workload.len() <= LONGEST => workload,
        _ => {
            report.note_field(
                "filter_metadata.evenkeel.workload",
                "has no effect: it is no text of up to 253 letters",
            );
            String::new()
        }
    }
}
