//! How the watches are doing, for metrics and `/ready`; and the log's one line where a failure begins or ends.

use super::failure::Failure;
use crate::kubernetes::kind::{Kind, Need};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// How the watch of a kind is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Now.
    pub condition: Condition,
    /// Whether there was ever a whole list.
    pub listed: bool,
    /// Lists since the start.
    pub lists: u64,
    /// Watches that were begun.
    pub watches: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// When the API server last said something: a list, an event, a bookmark.
    pub heard: Option<Instant>,
}

/// Whether a watch works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It has not come to anything yet.
    #[default]
    Starting,
    /// It does.
    Watching,
    /// The cluster has no such kind.
    Missing,
    /// It does not, and why.
    Failing(String),
}

/// All watches.
#[derive(Debug, Default)]
pub struct Watches {
    kinds: Mutex<BTreeMap<Kind, Status>>,
}

impl Watches {
    /// Of each kind that is watched.
    pub fn status(&self) -> BTreeMap<Kind, Status> {
        self.lock().clone()
    }

    /// A whole list was told.
    pub(super) fn listed(&self, kind: Kind) {
        let mut kinds = self.lock();
        let status = kinds.entry(kind).or_default();
        status.listed = true;
        status.lists += 1;
        status.heard = Some(Instant::now());
    }

    /// A watch has begun.
    pub(super) fn watching(&self, kind: Kind) {
        let mut kinds = self.lock();
        let status = kinds.entry(kind).or_default();
        status.watches += 1;
        status.heard = Some(Instant::now());
        let before = std::mem::replace(&mut status.condition, Condition::Watching);
        drop(kinds);
        match before {
            Condition::Starting => tracing::debug!(%kind, "watching"),
            Condition::Failing(_) | Condition::Missing => tracing::info!(%kind, "watching again"),
            Condition::Watching => {}
        }
    }

    /// The API server has said something.
    pub(super) fn heard(&self, kind: Kind) {
        self.lock().entry(kind).or_default().heard = Some(Instant::now());
    }

    /// An attempt has failed. Says so where that is news.
    pub(super) fn failed(&self, kind: Kind, failure: Failure) {
        let mut kinds = self.lock();
        let status = kinds.entry(kind).or_default();
        let condition = match failure {
            // Neither is out of order.
            Failure::Ended | Failure::Closed => return,
            Failure::Gone => {
                status.failures += 1;
                drop(kinds);
                tracing::info!(%kind, "the API server has forgotten where we were: listing anew");
                return;
            }
            Failure::Missing => Condition::Missing,
            Failure::Forbidden(reason) | Failure::Other(reason) => Condition::Failing(reason),
        };
        status.failures += 1;
        let before = std::mem::replace(&mut status.condition, condition.clone());
        drop(kinds);
        match condition {
            Condition::Missing if before != Condition::Missing && kind.need() == Need::IfInstalled => {
                tracing::info!(%kind, "the cluster has no such kind; asked again every minute");
            }
            Condition::Missing if before != Condition::Missing => {
                tracing::error!(%kind, "the cluster has no such kind, and there is no mesh without it");
            }
            // The words of one failure may differ from attempt to attempt: a line for each would be a storm.
            Condition::Failing(reason) if !matches!(before, Condition::Failing(_)) => {
                tracing::warn!(%kind, reason, "cannot watch; what was seen last stays in force");
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Kind, Status>> {
        // Each change is whole before the next begins.
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
