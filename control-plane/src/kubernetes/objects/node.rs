//! Node: where it is.

use super::Object;
use k8s_openapi::api::core::v1;
use std::sync::Arc;

const ZONE: &str = "topology.kubernetes.io/zone";

/// What is kept of a Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Of its label.
    pub zone: Option<Arc<str>>,
}

/// Keeps what is used.
pub(crate) fn keep(node: v1::Node) -> Object {
    let zone = node.metadata.labels.and_then(|mut labels| labels.remove(ZONE));
    let zone = zone.filter(|zone| !zone.is_empty()).map(Arc::from);
    Object::Node(Node { zone })
}
