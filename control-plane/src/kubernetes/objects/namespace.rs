//! Namespace: what its labels say to us.

use super::{OURS, Object};
use k8s_openapi::api::core::v1;
use std::collections::BTreeMap;

const POD_SECURITY: &str = "pod-security.kubernetes.io/";

/// What is kept of a Namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Those of `evenkeel.io/` and `pod-security.kubernetes.io/`.
    pub labels: BTreeMap<String, String>,
}

/// Keeps what is used.
pub(crate) fn keep(namespace: v1::Namespace) -> Object {
    let mut labels = namespace.metadata.labels.unwrap_or_default();
    labels.retain(|key, _| key.starts_with(OURS) || key.starts_with(POD_SECURITY));
    Object::Namespace(Namespace { labels })
}
