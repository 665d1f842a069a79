//! The configuration in force in one worker: a snapshot and the live clusters for it.

use super::Upstreams;
use super::cluster::Cluster;
use crate::snapshot::{Cluster as Configuration, Snapshot};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

/// A snapshot and the live clusters for it, each at its place.
#[derive(Debug, Default)]
pub struct Live {
    /// `None` until the first configuration is in place.
    pub snapshot: Option<Arc<Snapshot>>,
    clusters: Vec<Option<Rc<Cluster>>>,
}

impl Live {
    /// The cluster at this place of the snapshot.
    pub fn cluster(&self, place: usize) -> Option<&Rc<Cluster>> {
        self.clusters.get(place)?.as_ref()
    }

    /// Every cluster.
    pub fn clusters(&self) -> impl Iterator<Item = &Rc<Cluster>> {
        self.clusters.iter().flatten()
    }

    /// For comparison; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.generation)
    }
}

impl Upstreams {
    /// Puts a snapshot in force. What is unchanged stays as it is; endpoints keep their pools, load and health by address;
    /// those that are gone finish what is in flight, and their idle connections close.
    pub fn apply(&self, snapshot: Arc<Snapshot>) {
        let before = self.live();
        let mut clusters = vec![None; snapshot.places()];
        for (place, configuration) in snapshot.clusters() {
            let known = before.cluster(place);
            clusters[place] = Some(match known {
                Some(cluster) if same(&cluster.configuration, configuration) => Rc::clone(cluster),
                known => Cluster::build(
                    Arc::clone(configuration),
                    known.map(|cluster| &**cluster),
                    &self.nursery,
                    &mut self.dice.borrow_mut(),
                ),
            });
        }
        let live = Rc::new(Live {
            snapshot: Some(snapshot),
            clusters,
        });
        release(&before, &live);
        *self.live.borrow_mut() = live;
    }
}

/// Most clusters of an update are the very ones of the last.
fn same(one: &Arc<Configuration>, other: &Arc<Configuration>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Endpoints that `after` does not have any more keep nothing.
fn release(before: &Live, after: &Live) {
    for (place, old) in before.clusters.iter().enumerate() {
        let Some(old) = old else { continue };
        let new = after.cluster(place);
        if new.is_some_and(|new| Rc::ptr_eq(old, new)) {
            continue;
        }
        let mut kept = HashSet::new();
        if let Some(new) = new {
            new.each_endpoint(|endpoint| {
                kept.insert(Rc::as_ptr(endpoint));
            });
        }
        old.each_endpoint(|endpoint| {
            if !kept.contains(&Rc::as_ptr(endpoint)) {
                endpoint.retire();
            }
        });
    }
}
