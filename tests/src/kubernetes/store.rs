//! Objects by key, and the log of what became of them, which watches follow. Versions are counted over all kinds, as etcd
//! counts its revisions.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use super::kind::Kind;

/// Where an object lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: &'static Kind,
    /// Empty where the kind has none.
    pub(super) namespace: String,
    pub(super) name: String,
}

/// What an entry of the log says, as watches spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Modified,
    Deleted,
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) kind: &'static Kind,
    pub(super) change: Change,
    pub(super) before: Option<Value>,
    pub(super) object: Value,
}

/// What a client has not seen is not in the log any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// The objects and the log.
#[derive(Debug, Default)]
pub(super) struct Store {
    version: u64,
    compacted: u64,
    made: u64,
    objects: BTreeMap<Key, Value>,
    log: Vec<Entry>,
}

// === impl Key ===

impl Key {
    /// Where this object belongs, if it says what it is and has a name.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let kind = Kind::of(object)?;
        let metadata = &object["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        Some(Self {
            kind,
            namespace: if kind.namespaced {
                namespace.to_owned()
            } else {
                String::new()
            },
            name: metadata["name"].as_str()?.to_owned(),
        })
    }
}

// === impl Change ===

impl Change {
    /// As a watch spells it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

// === impl Store ===

impl Store {
    /// The version of the last change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// An object.
    pub(super) fn find(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// All objects, in the order of their keys.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter()
    }

    /// Stores an object under the next version, in place of what was there. What does not differ from that changes nothing,
    /// and has no new version.
    pub(super) fn write(&mut self, key: Key, mut object: Value) -> Value {
        let before = self.objects.get(&key).cloned();
        object["apiVersion"] = json!(key.kind.api_version());
        object["kind"] = json!(key.kind.name);
        self.complete(&mut object, before.as_ref());
        if before.as_ref() == Some(&object) {
            return object;
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let change = if before.is_some() {
            Change::Modified
        } else {
            Change::Added
        };
        self.log.push(Entry {
            version: self.version,
            kind: key.kind,
            change,
            before,
            object: object.clone(),
        });
        self.objects.insert(key, object.clone());
        object
    }

    /// Removes an object, if it is there.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Value> {
        let mut object = self.objects.remove(key)?;
        self.version += 1;
        let before = Some(object.clone());
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.log.push(Entry {
            version: self.version,
            kind: key.kind,
            change: Change::Deleted,
            before,
            object: object.clone(),
        });
        Some(object)
    }

    /// Tells watches of this object again, as it is, though nothing of it has changed.
    pub(super) fn repeat(&mut self, key: &Key) {
        let Some(object) = self.objects.get(key).cloned() else {
            return;
        };
        self.version += 1;
        self.log.push(Entry {
            version: self.version,
            kind: key.kind,
            change: Change::Modified,
            before: Some(object.clone()),
            object,
        });
    }

    /// What happened after this version.
    pub(super) fn since(&self, version: u64) -> Result<&[Entry], Gone> {
        if version < self.compacted {
            return Err(Gone);
        }
        let first = self.log.partition_point(|entry| entry.version <= version);
        Ok(&self.log[first..])
    }

    /// Forgets what happened, but for whoever has seen it all.
    pub(super) fn compact(&mut self) {
        self.compact_until(self.version);
    }

    /// Forgets what happened up to this version.
    pub(super) fn compact_until(&mut self, version: u64) {
        self.compacted = version;
        self.log.retain(|entry| entry.version > version);
    }

    /// What the server gives to an object.
    fn complete(&mut self, object: &mut Value, before: Option<&Value>) {
        if let Some(before) = before {
            let same = before.get("spec") == object.get("spec");
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(1);
            let metadata = &mut object["metadata"];
            for field in ["uid", "creationTimestamp", "resourceVersion"] {
                metadata[field] = before["metadata"][field].clone();
            }
            metadata["generation"] = json!(generation + u64::from(!same));
            return;
        }
        self.made += 1;
        let metadata = &mut object["metadata"];
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", self.made));
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        metadata["generation"] = json!(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(selector: &str) -> (Key, Value) {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"selector": {"app": selector}},
        });
        (Key::of(&object).unwrap(), object)
    }

    #[test]
    fn what_does_not_change_has_no_new_version() {
        let mut store = Store::default();
        let (key, object) = service("web");
        let first = store.write(key.clone(), object.clone());
        assert_eq!(store.write(key.clone(), object), first);
        assert_eq!((store.version(), store.since(0).unwrap().len()), (1, 1));
        let changed = store.write(key, service("other").1);
        assert_eq!(changed["metadata"]["generation"], 2);
        assert_eq!(changed["metadata"]["resourceVersion"], "2");
    }

    #[test]
    fn what_was_compacted_is_gone_for_whoever_has_not_seen_it() {
        let mut store = Store::default();
        let (key, object) = service("web");
        store.write(key.clone(), object);
        store.write(key.clone(), service("other").1);
        store.compact();
        assert!(matches!(store.since(1), Err(Gone)));
        store.remove(&key);
        let changes: Vec<_> = store.since(2).unwrap().iter().map(|entry| entry.change).collect();
        assert_eq!(changes, [Change::Deleted]);
    }
}
