//! An object as it was written, of a kind that comes with a CRD: its fields are read by us, so that one that is of another
//! version of the CRD is told about in its status, field by field.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// An object with its `spec` as it came. Its kind and version are those that were asked for.
#[derive(Clone, Deserialize)]
pub struct Written {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Value,
}

impl fmt::Debug for Written {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = (&self.metadata.namespace, &self.metadata.name);
        formatter.debug_tuple("Written").field(&name).finish()
    }
}

impl Resource for Written {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(asked: &ApiResource) -> Cow<'_, str> {
        asked.kind.as_str().into()
    }

    fn group(asked: &ApiResource) -> Cow<'_, str> {
        asked.group.as_str().into()
    }

    fn version(asked: &ApiResource) -> Cow<'_, str> {
        asked.version.as_str().into()
    }

    fn plural(asked: &ApiResource) -> Cow<'_, str> {
        asked.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
