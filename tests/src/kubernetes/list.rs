//! Lists, in pages of the size that the client wants. Later pages are of the version of the first, as long as it was not
//! compacted.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use super::path::Query;
use super::path::Target;
use super::selector::Selector;
use super::status::Refusal;
use super::world::World;

/// What lists that were begun still have to say, by continue token.
#[derive(Debug, Default)]
pub(super) struct Pages {
    begun: u64,
    rest: BTreeMap<String, Rest>,
}

#[derive(Debug)]
struct Rest {
    version: u64,
    items: Vec<Value>,
}

// === impl Pages ===

impl Pages {
    /// What was begun cannot be finished.
    pub(super) fn forget(&mut self) {
        self.rest.clear();
    }

    fn keep(&mut self, rest: Rest) -> String {
        self.begun += 1;
        let token = format!("page-{}", self.begun);
        self.rest.insert(token.clone(), rest);
        token
    }
}

/// A list, or a page of one.
pub(super) fn list(world: &mut World, target: &Target, query: &Query, metadata_only: bool) -> Result<Value, Refusal> {
    let token = query.value("continue");
    let mut rest = if token.is_empty() {
        Rest {
            version: world.store.version(),
            items: matching(world, target, query).cloned().collect(),
        }
    } else {
        world.pages.rest.remove(token).ok_or_else(Refusal::gone)?
    };
    let limit = query.number("limit").filter(|&limit| limit > 0);
    let limit = limit.map_or(rest.items.len(), |limit| limit as usize);
    let mut items: Vec<_> = rest.items.drain(..limit.min(rest.items.len())).collect();
    let mut metadata = json!({"resourceVersion": rest.version.to_string()});
    if !rest.items.is_empty() {
        metadata["remainingItemCount"] = json!(rest.items.len());
        metadata["continue"] = json!(world.pages.keep(rest));
    }
    if metadata_only {
        let items: Vec<_> = items.iter().map(only_metadata).collect();
        return Ok(json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": metadata, "items": items,
        }));
    }
    if !target.kind.is_custom() {
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.remove("apiVersion");
            item.remove("kind");
        }
    }
    let kind = format!("{}List", target.kind.name);
    Ok(json!({"apiVersion": target.kind.api_version(), "kind": kind, "metadata": metadata, "items": items}))
}

/// The objects that a list or a watch begins with.
pub(super) fn matching<'a>(world: &'a World, target: &Target, query: &Query) -> impl Iterator<Item = &'a Value> {
    let selector = Selector::parse(query.value("labelSelector"), query.value("fieldSelector"));
    let (kind, namespace) = (target.kind, target.namespace.clone());
    let objects = world.store.objects().filter(move |(key, object)| {
        key.kind == kind
            && namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && selector.fits(object)
    });
    objects.map(|(_, object)| object)
}

/// What clients get that want no more of an object than its metadata.
pub(super) fn only_metadata(object: &Value) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]})
}
