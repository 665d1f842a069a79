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

/// A configuration that was in force, and what of it is to be let go.
#[derive(Debug)]
#[must_use]
pub struct Replaced {
    before: Rc<Live>,
    after: Rc<Live>,
}

/// Clusters that are built before others get their turn.
const TURN: usize = 64;

impl Upstreams {
    /// Puts a snapshot in force. What is unchanged stays as it is; endpoints keep their pools, load and health by address;
    /// those that are gone finish what is in flight, and their idle connections close with the release. Where many clusters are
    /// new, requests get their turn in each `pause`, still by the configuration before.
    pub async fn apply(&self, snapshot: Arc<Snapshot>, mut pause: impl AsyncFnMut()) -> Replaced {
        let before = self.live();
        let mut clusters = vec![None; snapshot.places()];
        let mut built = 0;
        for (place, configuration) in snapshot.clusters() {
            let known = before.cluster(place);
            if let Some(cluster) = known
                && same(&cluster.configuration, configuration)
            {
                clusters[place] = Some(Rc::clone(cluster));
                continue;
            }
            clusters[place] = Some(Cluster::build(
                Arc::clone(configuration),
                known.map(|cluster| &**cluster),
                &self.nursery,
                &mut self.dice.borrow_mut(),
            ));
            built += 1;
            if built % TURN == 0 {
                pause().await;
            }
        }
        let live = Rc::new(Live {
            snapshot: Some(snapshot),
            clusters,
        });
        *self.live.borrow_mut() = Rc::clone(&live);
        Replaced { before, after: live }
    }
}

/// Most clusters of an update are the very ones of the last.
fn same(one: &Arc<Configuration>, other: &Arc<Configuration>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

impl Replaced {
    /// Endpoints that are gone keep nothing. Clusters are freed here, in turns as well, but for those that requests still have.
    pub async fn release(self, mut pause: impl AsyncFnMut()) {
        let mut retired = 0;
        for (place, old) in self.before.clusters.iter().enumerate() {
            let Some(old) = old else { continue };
            let new = self.after.cluster(place);
            if new.is_some_and(|new| Rc::ptr_eq(old, new)) {
                continue;
            }
            retire(old, new);
            retired += 1;
            if retired % TURN == 0 {
                pause().await;
            }
        }
        let clusters = Rc::into_inner(self.before).map(|before| before.clusters);
        let mut freed = 0;
        for cluster in clusters.into_iter().flatten().flatten() {
            freed += usize::from(Rc::into_inner(cluster).is_some());
            if freed == TURN {
                freed = 0;
                pause().await;
            }
        }
    }
}

/// The endpoints that a cluster had, and has no more.
fn retire(old: &Rc<Cluster>, new: Option<&Rc<Cluster>>) {
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
