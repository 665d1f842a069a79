//! Pod: where it runs, and what its annotations say to us.

use super::{Object, ours};
use k8s_openapi::api::core::v1;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is kept of a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// The node that it was given to.
    pub node: Option<Arc<str>>,
    /// `spec.serviceAccountName`.
    pub service_account: Option<Box<str>>,
    /// Those of `evenkeel.io/`.
    pub annotations: BTreeMap<String, String>,
}

/// Keeps what is used.
pub(crate) fn keep(pod: v1::Pod) -> Object {
    let spec = pod.spec.unwrap_or_default();
    Object::Pod(Pod {
        uid: pod.metadata.uid.unwrap_or_default().into(),
        node: spec.node_name.map(Arc::from),
        service_account: spec.service_account_name.map(Box::from),
        annotations: ours(pod.metadata.annotations),
    })
}
