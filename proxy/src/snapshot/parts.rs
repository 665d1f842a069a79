//! A map that is cheap to change: two versions share what is alike, so that an update of one endpoint among 100,000
//! copies some hundred entries.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Parts; a change copies one. With 100,000 entries a part has 400.
const PARTS: usize = 256;

/// A map in parts. A clone shares all of them until one of both is changed.
#[derive(Clone, Debug)]
pub(super) struct Parts<K, V> {
    /// Empty while the map is.
    parts: Vec<Arc<HashMap<K, V>>>,
}

impl<K, V> Default for Parts<K, V> {
    fn default() -> Self {
        Self { parts: Vec::new() }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Parts<K, V> {
    /// What is there for this key.
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.parts.get(part(key))?.get(key)
    }

    /// Puts something there, in the place of what was.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.parts.is_empty() {
            self.parts = std::iter::repeat_with(Arc::default).take(PARTS).collect();
        }
        Arc::make_mut(&mut self.parts[part(&key)]).insert(key, value);
    }

    /// Leaves nothing there.
    pub(super) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some(part) = self.parts.get_mut(part(key))
            && part.contains_key(key)
        {
            Arc::make_mut(part).remove(key);
        }
    }

    /// Everything, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|part| part.iter())
    }
}

fn part<Q: Hash + ?Sized>(key: &Q) -> usize {
    // Without a seed: a key must be in the same part in every version of the map.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() as usize % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_not_seen_in_the_version_before_it() {
        let mut before = Parts::default();
        (0..1_000).for_each(|number| before.insert(number, number));
        let mut after = before.clone();
        after.insert(7, 70);
        after.remove(&8);
        assert_eq!((before.get(&7), after.get(&7)), (Some(&7), Some(&70)));
        assert_eq!((before.get(&8), after.get(&8)), (Some(&8), None));
        assert_eq!(before.iter().count(), 1_000);
    }

    #[test]
    fn a_change_copies_one_part() {
        let mut before = Parts::default();
        (0..10_000).for_each(|number| before.insert(number, ()));
        let mut after = before.clone();
        after.remove(&5);
        let shared = before.parts.iter().zip(&after.parts);
        assert_eq!(shared.filter(|(one, other)| !Arc::ptr_eq(one, other)).count(), 1);
    }

    #[test]
    fn what_is_not_there_can_be_removed() {
        let mut empty = Parts::<u8, ()>::default();
        empty.remove(&1);
        assert!(empty.get(&1).is_none());
    }
}
