//! Where clusters are: a number for each name, the same in every snapshot of one compiler.

use std::collections::HashMap;
use std::sync::Arc;

/// Numbers for the names of clusters. A name has its number from the first time that anything names it, be it a route
/// that came before its cluster, and keeps it.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(HashMap<Arc<str>, usize>);

impl Places {
    /// The number of this name.
    pub(super) fn of(&mut self, name: &str) -> usize {
        if let Some(place) = self.0.get(name) {
            return *place;
        }
        let place = self.0.len();
        self.0.insert(Arc::from(name), place);
        place
    }
}
