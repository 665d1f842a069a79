//! Who asks.

use crate::mesh::Reader;
use envoy_types::pb::envoy::config::core::v3::Node as ProtoNode;
use envoy_types::pb::google::protobuf::value::Kind;

/// A client, as it says of itself in the first request of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique among clients; never empty.
    pub id: String,
    /// What the client belongs to.
    pub cluster: String,
    /// Which fields it understands.
    pub reader: Reader,
}

impl From<ProtoNode> for Node {
    fn from(node: ProtoNode) -> Self {
        let said = node
            .metadata
            .and_then(|mut metadata| metadata.fields.remove(Reader::KEY));
        let reader = match said.and_then(|value| value.kind) {
            // Numbers in metadata are floating point; what is no version at all saturates.
            Some(Kind::NumberValue(version)) => Reader::Evenkeel(version as u32),
            // As in "gRPC C-core linux", "gRPC Go" and "grpc-node-js".
            _ if node.user_agent_name.to_ascii_lowercase().starts_with("grpc") => Reader::Grpc,
            _ => Reader::Other,
        };
        Self {
            id: node.id,
            cluster: node.cluster,
            reader,
        }
    }
}
