//! The configuration in force in one worker: a snapshot and the live clusters for it.

use super::Upstreams;
use super::cluster::Cluster;
use crate::snapshot::Snapshot;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// A snapshot and the live clusters for it, in the order of its clusters.
#[derive(Debug, Default)]
pub struct Live {
    /// `None` until the first configuration is in place.
    pub snapshot: Option<Arc<Snapshot>>,
    clusters: Vec<Rc<Cluster>>,
}

impl Live {
    /// The cluster at this place of the snapshot.
    pub fn cluster(&self, place: usize) -> Option<&Rc<Cluster>> {
        self.clusters.get(place)
    }

    /// Every cluster.
    pub fn clusters(&self) -> impl Iterator<Item = &Rc<Cluster>> {
        self.clusters.iter()
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
        let known: HashMap<_, _> = before
            .clusters()
            .map(|cluster| (&*cluster.configuration.name, cluster))
            .collect();
        let clusters = snapshot
            .clusters
            .iter()
            .map(|configuration| match known.get(&*configuration.name) {
                Some(cluster) if *cluster.configuration == **configuration => Rc::clone(cluster),
                same_name => Cluster::build(
                    Arc::clone(configuration),
                    same_name.map(|cluster| &***cluster),
                    &self.nursery,
                    &mut self.dice.borrow_mut(),
                ),
            })
            .collect();
        let live = Rc::new(Live {
            snapshot: Some(snapshot),
            clusters,
        });
        release(&before, &live);
        *self.live.borrow_mut() = live;
        self.nursery.registry.prune();
    }
}

/// Endpoints that `after` does not have any more keep nothing.
fn release(before: &Live, after: &Live) {
    let mut kept = HashSet::new();
    for cluster in after.clusters() {
        cluster.each_endpoint(|endpoint| {
            kept.insert(Rc::as_ptr(endpoint));
        });
    }
    for cluster in before.clusters() {
        cluster.each_endpoint(|endpoint| {
            if !kept.contains(&Rc::as_ptr(endpoint)) {
                endpoint.retire();
            }
        });
    }
}
