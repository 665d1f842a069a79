//! Puts updates in force, and says so to everybody who waits for them.

use super::status::{Document, Refusal, Status};
use crate::snapshot::{Answer, Compiler, Snapshot};
use evenkeel_control_api::resource::{Catalog, Update};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// A log is no place for ten thousand faults.
const FAULTS_LOGGED: usize = 20;

/// What is in force, and who is told.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    compiler: Compiler,
    status: watch::Sender<Status>,
}

impl Publisher {
    /// One that has nothing yet, and will have what the mesh document of this name says.
    pub(super) fn of_document(name: &str) -> Self {
        let status = Status {
            document: Some(Document::new(name)),
            ..Status::default()
        };
        Self {
            compiler: Compiler::default(),
            status: watch::Sender::new(status),
        }
    }

    /// One that has nothing yet, whose clusters will be where they are in this one.
    pub(super) fn successor(&self) -> Self {
        Self {
            compiler: self.compiler.successor(),
            status: watch::Sender::default(),
        }
    }

    /// Whether there is no configuration yet.
    pub(super) fn waits(&self) -> bool {
        !self.status.borrow().is_configured()
    }

    /// Puts in force what stands in for a configuration.
    pub(super) fn stand_in(&self, snapshot: &Snapshot) {
        let snapshot = Arc::new(snapshot.standing_in(self.generation() + 1));
        self.status.send_modify(|status| status.snapshot = Some(snapshot));
    }

    /// The resources in force.
    pub(super) fn catalog(&self) -> &Catalog {
        self.compiler.catalog()
    }

    /// Which configuration is in force; 0: none ever was.
    pub(super) fn generation(&self) -> u64 {
        self.status.borrow().generation()
    }

    /// What is in force, now and from now on. A refusal is a change too: compare generations.
    pub(super) fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Puts an update in force.
    pub(super) fn publish(&mut self, update: &Update) {
        self.compiler.apply(update);
        let snapshot = Arc::new(self.compiler.snapshot(self.generation() + 1));
        self.status
            .send_modify(|status| status.put(update, snapshot, SystemTime::now()));
    }

    /// Takes an update in, and leaves it to the next [`Publisher::publish`] to say so.
    pub(super) fn prepare(&mut self, update: &Update) {
        self.compiler.apply(update);
    }

    /// What a control plane said of a destination; `None`: nothing, or what its listener says.
    pub(super) fn answer(&mut self, destination: SocketAddr, answer: Option<Answer>) {
        self.compiler.answer(destination, answer);
    }

    /// What was said last is what is in force.
    pub(super) fn confirm(&self) {
        self.status.send_modify(|status| status.refusal = None);
    }

    /// Leaves in force what is, and says why, aloud.
    pub(super) fn refuse(&self, faults: Vec<String>) {
        let (generation, count) = (self.generation(), faults.len());
        tracing::error!(
            faults = count,
            generation,
            "an update was refused, the last good configuration stays in force"
        );
        for fault in faults.iter().take(FAULTS_LOGGED) {
            tracing::error!("{fault}");
        }
        if count > FAULTS_LOGGED {
            tracing::error!("and {} more faults; /config_dump shows all", count - FAULTS_LOGGED);
        }
        self.status
            .send_modify(|status| status.refuse(Refusal { faults }, SystemTime::now()));
    }
}
