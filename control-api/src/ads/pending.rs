//! What has changed since the consumer looked last, however often it changed.

use crate::ads::message::Text;
use crate::resource::Kind;
use crate::resource::Resource;
use crate::resource::Update;
use std::collections::BTreeMap;

/// Changes by name: the last one counts, so that a slow consumer holds one version of each resource and no queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending(BTreeMap<(Kind, Text), Option<Resource>>);

impl Pending {
    /// This is in force now.
    pub(crate) fn set(&mut self, name: Text, resource: Resource) {
        self.0.insert((resource.kind(), name), Some(resource));
    }

    /// It is not in force any more.
    pub(crate) fn remove(&mut self, kind: Kind, name: Text) {
        self.0.insert((kind, name), None);
    }

    /// Whether there is nothing to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes everything.
    pub(crate) fn take(&mut self) -> Update {
        let mut update = Update::default();
        for ((kind, name), resource) in std::mem::take(&mut self.0) {
            match resource {
                Some(resource) => update.set.push(resource),
                None => update.removed.push((kind, name)),
            }
        }
        update
    }
}
