//! Who uses what: an index that goes with the configuration, so that a change finds those that it concerns.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// The users of each thing, by name and in order.
#[derive(Debug)]
pub(super) struct Uses<K>(HashMap<K, BTreeSet<Arc<str>>>);

impl<K> Default for Uses<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> Uses<K> {
    /// `user` uses `thing` from now on.
    pub(super) fn begin(&mut self, thing: K, user: &Arc<str>) {
        self.0.entry(thing).or_default().insert(Arc::clone(user));
    }

    /// `user` does not use `thing` any more.
    pub(super) fn end(&mut self, thing: &K, user: &str) {
        if let Some(users) = self.0.get_mut(thing) {
            users.remove(user);
            if users.is_empty() {
                self.0.remove(thing);
            }
        }
    }

    /// Everybody who uses `thing`.
    pub(super) fn of(&self, thing: &K) -> impl Iterator<Item = &Arc<str>> {
        self.0.get(thing).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_and_go() {
        let (mut uses, name) = (Uses::default(), Arc::from("user"));
        uses.begin(1, &name);
        uses.begin(1, &name);
        assert_eq!(uses.of(&1).count(), 1);
        uses.end(&2, "user");
        uses.end(&1, "user");
        assert_eq!(uses.of(&1).count(), 0);
        assert!(uses.0.is_empty(), "nothing is kept of what nobody uses");
    }
}
