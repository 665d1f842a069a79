//! Resources of one type by name, in buckets that versions share: the next version costs what has changed, and so does
//! finding out what that was.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// With 10,000 resources a bucket has 40, and a version copies as many pointers for each change, and 256 once.
const BUCKETS: usize = 256;

type Bucket = BTreeMap<Arc<str>, Arc<Entry>>;

/// A resource as it is sent.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    /// The hash of its content.
    pub(super) version: u64,
    /// The field `resources` of a delta response.
    pub(super) delta: Bytes,
    /// The field `resources` of a response of the state of the world: the end of the same bytes.
    pub(super) sotw: Bytes,
}

impl Entry {
    /// What it adds to the version of all.
    pub(super) fn digest(&self) -> u64 {
        hash(&(&*self.name, self.version))
    }
}

/// Cloning one copies 256 pointers; changing the clone copies the buckets that it touches.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    buckets: Vec<Arc<Bucket>>,
    digest: u64,
}

impl Default for Stock {
    fn default() -> Self {
        Self {
            buckets: vec![Arc::default(); BUCKETS],
            digest: 0,
        }
    }
}

impl Stock {
    pub(super) fn entry(&self, name: &str) -> Option<&Arc<Entry>> {
        self.buckets[bucket(name)].get(name)
    }

    /// In an order that depends on the names alone.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.buckets.iter().flat_map(|bucket| bucket.values())
    }

    /// The version of all: equal where the contents are.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn set(&mut self, entry: Entry) {
        self.share(Arc::new(entry));
    }

    /// An entry that another stock may have, too.
    pub(super) fn share(&mut self, entry: Arc<Entry>) {
        let bucket = Arc::make_mut(&mut self.buckets[bucket(&entry.name)]);
        self.digest = self.digest.wrapping_add(entry.digest());
        // With the name of the new entry: nothing may keep the old one's bytes alive, and both are equal.
        if let Some(old) = bucket.insert(Arc::clone(&entry.name), entry) {
            self.digest = self.digest.wrapping_sub(old.digest());
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        let bucket = &mut self.buckets[bucket(name)];
        if bucket.contains_key(name)
            && let Some(old) = Arc::make_mut(bucket).remove(name)
        {
            self.digest = self.digest.wrapping_sub(old.digest());
        }
    }

    /// Tells everything that `after` has in another version, or not, or alone: before and after.
    pub(super) fn difference<'a>(
        &'a self,
        after: &'a Self,
        mut tell: impl FnMut(Option<&'a Arc<Entry>>, Option<&'a Arc<Entry>>),
    ) {
        for (old, new) in self.buckets.iter().zip(&after.buckets) {
            if Arc::ptr_eq(old, new) {
                continue;
            }
            for (name, entry) in &**old {
                let now = new.get(name);
                if now.is_none_or(|now| now.version != entry.version) {
                    tell(Some(entry), now);
                }
            }
            for (_, entry) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                tell(None, Some(entry));
            }
        }
    }
}

/// The same in every process of the same build, so that servers agree on versions.
pub(super) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn bucket(name: &str) -> usize {
    hash(&name) as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, version: u64) -> Entry {
        Entry {
            name: name.into(),
            version,
            delta: Bytes::new(),
            sotw: Bytes::new(),
        }
    }

    type Told = Vec<(Option<(String, u64)>, Option<u64>)>;

    fn told(before: &Stock, after: &Stock) -> Told {
        let mut told = Vec::new();
        before.difference(after, |old, new| {
            told.push((
                old.map(|old| (old.name.to_string(), old.version)),
                new.map(|new| new.version),
            ));
        });
        told.sort();
        told
    }

    #[test]
    fn a_difference_is_what_has_changed() {
        let mut before = Stock::default();
        for number in 0..1_000 {
            before.set(entry(&number.to_string(), 1));
        }
        let mut after = before.clone();
        assert_eq!(told(&before, &after), []);
        after.set(entry("7", 2));
        after.set(entry("8", 1));
        after.set(entry("new", 5));
        after.remove("9");
        after.remove("missing");
        assert_eq!(
            told(&before, &after),
            [
                (None, Some(5)),
                (Some(("7".to_owned(), 1)), Some(2)),
                (Some(("9".to_owned(), 1)), None),
            ]
        );
        let shared = before.buckets.iter().zip(&after.buckets);
        let copied = shared.filter(|(old, new)| !Arc::ptr_eq(old, new)).count();
        assert!(copied <= 4, "{copied} buckets were copied");
    }

    #[test]
    fn the_version_of_all_depends_on_the_content_alone() {
        let (mut one, mut other) = (Stock::default(), Stock::default());
        for name in ["a", "b", "c"] {
            one.set(entry(name, 1));
        }
        for (name, version) in [("c", 9), ("d", 3), ("b", 1), ("a", 1), ("c", 1)] {
            other.set(entry(name, version));
        }
        assert_ne!(one.digest(), other.digest());
        other.remove("d");
        assert_eq!(one.digest(), other.digest());
    }
}
