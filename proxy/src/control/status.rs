//! The outcome of every update so far: what is in force, and what was refused last.

use crate::snapshot::Snapshot;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::resource::Update;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// What is in force, and how updates went. Published to workers and to the operator's door.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// In force; `None`: no configuration was ever accepted, and nothing stands in for it.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Updates that came into force.
    pub accepted: u64,
    /// When the last of them did.
    pub accepted_at: Option<SystemTime>,
    /// Updates that were refused.
    pub refused: u64,
    /// When the last of them was.
    pub refused_at: Option<SystemTime>,
    /// Why the newest update is not in force; `None`: it is.
    pub refusal: Option<Refusal>,
    /// The mesh document that the resources come from; `None`: they come from a control plane.
    pub document: Option<Document>,
}

/// A mesh document, and when each of its resources came into force.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its path, or what stands for it.
    pub source: Arc<str>,
    /// By type and name.
    pub resources: Arc<BTreeMap<(Kind, Arc<str>), Revision>>,
}

/// The form of a resource that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The configuration that it came with.
    pub generation: u64,
    /// When.
    pub at: SystemTime,
}

/// Why an update was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Every fault, each a line that says where it is.
    pub faults: Vec<String>,
}

impl Status {
    /// Counts from 1; 0: nothing was ever in force.
    pub fn generation(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.generation)
    }

    /// Whether there is a configuration; one that only stands in for it does not count.
    pub fn is_configured(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| !snapshot.stands_in())
    }

    /// Whether everything is passed through meanwhile.
    pub fn passes_through(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.stands_in())
    }

    /// `snapshot` comes into force.
    pub fn accept(&mut self, snapshot: Arc<Snapshot>, now: SystemTime) {
        self.snapshot = Some(snapshot);
        self.accepted += 1;
        self.accepted_at = Some(now);
        self.refusal = None;
    }

    /// The same, with the update that made it: of a mesh document it is remembered when each resource came.
    pub fn put(&mut self, update: &Update, snapshot: Arc<Snapshot>, now: SystemTime) {
        if let Some(document) = &mut self.document {
            let revision = Revision {
                generation: snapshot.generation,
                at: now,
            };
            document.apply(update, revision);
        }
        self.accept(snapshot, now);
    }

    /// An update does not; what was in force stays.
    pub fn refuse(&mut self, refusal: Refusal, now: SystemTime) {
        self.refused += 1;
        self.refused_at = Some(now);
        self.refusal = Some(refusal);
    }
}

impl Document {
    /// One of which nothing is in force yet.
    pub fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            resources: Arc::default(),
        }
    }

    fn apply(&mut self, update: &Update, revision: Revision) {
        // Copied only while a page is drawn.
        let resources = Arc::make_mut(&mut self.resources);
        for removed in &update.removed {
            resources.remove(removed);
        }
        for set in &update.set {
            resources.insert((set.kind(), set.name().into()), revision);
        }
    }
}
