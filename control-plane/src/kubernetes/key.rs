//! What an object is called.

use kube::ResourceExt;
use std::fmt;
use std::sync::Arc;

/// The namespace and the name of an object; the namespace is empty for objects of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Such as `shop`.
    pub namespace: Arc<str>,
    /// Such as `web`.
    pub name: Arc<str>,
}

impl Key {
    /// In these words.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Of this object.
    pub fn of(object: &impl ResourceExt) -> Self {
        Self::new(
            object.meta().namespace.as_deref().unwrap_or_default(),
            &object.name_any(),
        )
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(formatter, "{}/", self.namespace)?;
        }
        formatter.write_str(&self.name)
    }
}
