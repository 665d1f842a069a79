//! Values that must be unique.

use crate::fault::Position;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// Values that must be unique, and where each was met first.
pub(super) struct Seen<T>(HashMap<T, Position>);

impl<T: Eq + Hash> Seen<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Where the same was met before.
    pub(super) fn before(&mut self, value: T, at: Position) -> Option<Position> {
        match self.0.entry(value) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(at);
                None
            }
        }
    }
}
