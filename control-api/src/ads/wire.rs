//! Between the plain values of [`crate::ads::message`] and the generated types of the discovery service.

use crate::ads::bootstrap::Node;
use crate::ads::message::Introduction;
use crate::ads::message::Request;
use crate::ads::message::RequestBody;
use crate::ads::message::Response;
use crate::ads::message::Text;
use crate::ads::message::Wrapped;
use crate::mesh::FIELDS;
use crate::mesh::Reader;
use crate::resource::endpoint::Locality;
use crate::xds::Packed;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use envoy_types::pb::envoy::service::discovery::v3 as proto;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use envoy_types::pb::google::protobuf::ListValue;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::Value;
use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
use envoy_types::pb::google::rpc::Status;
use prost::Message;
use serde_json::Map;
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;

/// What the protocol lets a client say of itself: it takes resources with a lifetime in the state of the world, too.
const FEATURES: [&str; 1] = ["xds.config.resource-in-sotw"];
/// The type URL of `Resource`, which is looked for in every resource of a response.
const WRAPPER: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";
/// `google.rpc.Code.INVALID_ARGUMENT`.
const INVALID_ARGUMENT: i32 = 3;

/// What a server is told of us.
pub(crate) fn node(node: &Node) -> core::Node {
    let mut metadata = structure(&node.metadata);
    let fields = ValueKind::NumberValue(f64::from(FIELDS));
    metadata
        .fields
        .insert(Reader::KEY.to_owned(), Value { kind: Some(fields) });
    let Locality { region, zone, sub_zone } = node.locality.clone();
    core::Node {
        id: node.id.clone(),
        cluster: node.cluster.clone(),
        metadata: Some(metadata),
        locality: Some(core::Locality { region, zone, sub_zone }),
        user_agent_name: "evenkeel".to_owned(),
        user_agent_version_type: Some(UserAgentVersionType::UserAgentVersion(
            env!("CARGO_PKG_VERSION").to_owned(),
        )),
        client_features: FEATURES.map(str::to_owned).to_vec(),
        ..core::Node::default()
    }
}

/// A request of a delta stream.
pub(crate) fn delta_request(request: Request, node: &core::Node) -> proto::DeltaDiscoveryRequest {
    let (subscribe, unsubscribe, versions) = match request.body {
        RequestBody::Delta {
            subscribe,
            unsubscribe,
            initial_versions,
        } => (subscribe, unsubscribe, initial_versions),
        RequestBody::Sotw { names, .. } => (names.to_vec(), Vec::new(), Vec::new()),
    };
    let versions = versions
        .iter()
        .map(|(name, version)| (name.to_string(), version.to_string()));
    proto::DeltaDiscoveryRequest {
        node: (request.node == Introduction::First).then(|| node.clone()),
        type_url: request.type_url,
        resource_names_subscribe: strings(&subscribe),
        resource_names_unsubscribe: strings(&unsubscribe),
        initial_resource_versions: versions.collect(),
        response_nonce: request.nonce.to_string(),
        error_detail: request.refusal.map(invalid),
        ..proto::DeltaDiscoveryRequest::default()
    }
}

/// A request of a stream for the state of the world.
pub(crate) fn sotw_request(request: Request, node: &core::Node) -> proto::DiscoveryRequest {
    let (version, names) = match request.body {
        RequestBody::Sotw { version, names } => (version, names),
        RequestBody::Delta { subscribe, .. } => (Text::default(), subscribe.into()),
    };
    proto::DiscoveryRequest {
        version_info: version.to_string(),
        node: (request.node == Introduction::First).then(|| node.clone()),
        resource_names: strings(&names),
        type_url: request.type_url,
        response_nonce: request.nonce.to_string(),
        error_detail: request.refusal.map(invalid),
        ..proto::DiscoveryRequest::default()
    }
}

/// A response of a delta stream.
pub(crate) fn delta_response(response: proto::DeltaDiscoveryResponse) -> Response {
    Response {
        type_url: response.type_url,
        version: response.system_version_info.into(),
        nonce: response.nonce.into(),
        resources: response.resources.into_iter().map(wrapped).collect(),
        removed: response.removed_resources.into_iter().map(Text::from).collect(),
    }
}

/// A response of a stream for the state of the world.
pub(crate) fn sotw_response(response: proto::DiscoveryResponse) -> Response {
    Response {
        type_url: response.type_url,
        version: response.version_info.into(),
        nonce: response.nonce.into(),
        resources: response.resources.into_iter().map(bare).collect(),
        removed: Vec::new(),
    }
}

/// A resource with a lifetime comes in a wrapper even here.
fn bare(any: Any) -> Wrapped {
    let wrapper = (any.type_url == WRAPPER)
        .then(|| proto::Resource::decode(any.value.as_slice()).ok())
        .flatten();
    match wrapper {
        Some(resource) => wrapped(resource),
        None => Wrapped {
            body: Some(packed(any)),
            ..Wrapped::default()
        },
    }
}

fn wrapped(resource: proto::Resource) -> Wrapped {
    Wrapped {
        name: Some(resource.name),
        version: Some(resource.version).filter(|version| !version.is_empty()),
        ttl: resource.ttl.as_ref().map(lifetime),
        body: resource.resource.map(packed),
    }
}

fn packed(any: Any) -> Packed {
    Packed {
        type_url: any.type_url,
        value: any.value,
    }
}

/// A lifetime that is negative is over at once.
fn lifetime(ttl: &ProtoDuration) -> Duration {
    let seconds = u64::try_from(ttl.seconds).unwrap_or(0);
    let nanos = u32::try_from(ttl.nanos).unwrap_or(0).min(999_999_999);
    Duration::new(seconds, nanos)
}

fn strings(names: &[Text]) -> Vec<String> {
    names.iter().map(Arc::as_ref).map(str::to_owned).collect()
}

fn invalid(message: String) -> Status {
    Status {
        code: INVALID_ARGUMENT,
        message,
        details: Vec::new(),
    }
}

fn structure(members: &Map<String, Json>) -> Struct {
    let fields = members.iter().map(|(name, json)| (name.clone(), value(json)));
    Struct {
        fields: fields.collect(),
    }
}

fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => ValueKind::NullValue(0),
        Json::Bool(truth) => ValueKind::BoolValue(*truth),
        // Numbers of JSON and of `Value` are doubles; what is beyond is no number in either.
        Json::Number(number) => ValueKind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => ValueKind::StringValue(text.clone()),
        Json::Array(items) => ValueKind::ListValue(ListValue {
            values: items.iter().map(value).collect(),
        }),
        Json::Object(members) => ValueKind::StructValue(structure(members)),
    };
    Value { kind: Some(kind) }
}
