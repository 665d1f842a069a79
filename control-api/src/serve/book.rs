//! What is known of all streams: for metrics and pages. Nothing here is on a data plane's request path.

use super::peer::Denial;
use super::session::Heard;
use crate::resource::Kind;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Nodes whose last refusal is remembered; beyond, the oldest is forgotten.
const MOST_REFUSALS: usize = 1_024;
/// Characters of a refusal that are remembered.
const LONGEST_REASON: usize = 4_096;

/// Of denials of one kind the log has the first and then every thousandth.
const LOGGED: u64 = 1_000;

/// How the streams are doing, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Streams that are open.
    pub streams: usize,
    /// Streams that were ever opened.
    pub opened: u64,
    /// Requests for types of resources that are not served.
    pub unserved: u64,
    /// Clients that were not served, in the order of [`Denial::ALL`].
    pub denials: [u64; 6],
    /// By type, in the order of [`Kind::ALL`].
    pub kinds: [KindStatus; 4],
    /// The last refusal of each node that has not accepted anything of that type since, by the node's id.
    pub refusals: BTreeMap<String, Refusal>,
}

/// How one type of resource is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindStatus {
    /// Responses sent.
    pub pushes: u64,
    /// ACKs.
    pub accepted: u64,
    /// NACKs.
    pub refused: u64,
    /// Requests that answered a response which was not the last one.
    pub stale: u64,
}

/// Why a node did not take what it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of the resources in the response.
    pub kind: Kind,
    /// As the node says it, at most 4,096 characters.
    pub reason: String,
    /// When it came.
    pub at: SystemTime,
}

/// Counts for all streams.
#[derive(Clone, Debug, Default)]
pub(super) struct Book(Arc<Mutex<Status>>);

/// A stream that is open, until it is dropped.
#[derive(Debug)]
pub(super) struct Open(Book);

impl Book {
    pub(super) fn status(&self) -> Status {
        self.lock().clone()
    }

    pub(super) fn open(&self) -> Open {
        let mut status = self.lock();
        status.streams += 1;
        status.opened += 1;
        Open(self.clone())
    }

    pub(super) fn pushed(&self, kind: Kind) {
        self.lock().kinds[kind as usize].pushes += 1;
    }

    pub(super) fn heard(&self, node: &str, heard: Heard) {
        let mut status = self.lock();
        match heard {
            Heard::Nothing => {}
            Heard::Unserved => status.unserved += 1,
            Heard::Stale(kind) => status.kinds[kind as usize].stale += 1,
            Heard::Accepted(kind) => {
                status.kinds[kind as usize].accepted += 1;
                if status.refusals.get(node).is_some_and(|refusal| refusal.kind == kind) {
                    status.refusals.remove(node);
                }
            }
            Heard::Refused(kind, reason) => {
                status.kinds[kind as usize].refused += 1;
                status.refuse(node, kind, &reason);
            }
        }
    }

    /// A client was not served. The log has few of each kind: what comes without end must not fill it.
    pub(super) fn denied(&self, denial: Denial, reason: &str) {
        let before = {
            let count = &mut self.lock().denials[denial as usize];
            *count += 1;
            *count - 1
        };
        if before.is_multiple_of(LOGGED) {
            tracing::warn!(%denial, reason, before, "a client was not served");
        } else {
            tracing::debug!(%denial, reason, "a client was not served");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // Counters are right, whoever panicked while holding them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().streams -= 1;
    }
}

impl Status {
    fn refuse(&mut self, node: &str, kind: Kind, reason: &str) {
        if self.refusals.len() >= MOST_REFUSALS && !self.refusals.contains_key(node) {
            let oldest = self.refusals.iter().min_by_key(|(_, refusal)| refusal.at);
            if let Some(oldest) = oldest.map(|(node, _)| node.clone()) {
                self.refusals.remove(&oldest);
            }
        }
        let refusal = Refusal {
            kind,
            reason: reason.chars().take(LONGEST_REASON).collect(),
            at: SystemTime::now(),
        };
        self.refusals.insert(node.to_owned(), refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_until_the_node_takes_what_it_refused() {
        let book = Book::default();
        book.heard("a", Heard::Refused(Kind::Listener, "x".repeat(5_000)));
        book.heard("a", Heard::Accepted(Kind::Cluster));
        assert_eq!(book.status().refusals["a"].reason.len(), LONGEST_REASON);
        book.heard("a", Heard::Accepted(Kind::Listener));
        assert!(book.status().refusals.is_empty());
        assert_eq!(book.status().kinds[Kind::Listener as usize].refused, 1);
    }

    #[test]
    fn refusals_are_bounded_and_the_oldest_goes_first() {
        let book = Book::default();
        for node in 0..=MOST_REFUSALS {
            book.heard(&format!("{node:04}"), Heard::Refused(Kind::Route, String::new()));
        }
        let refusals = book.status().refusals;
        assert_eq!(refusals.len(), MOST_REFUSALS);
        assert!(!refusals.contains_key("0000"));
    }

    #[test]
    fn a_stream_is_open_until_it_is_dropped() {
        let book = Book::default();
        let open = book.open();
        assert_eq!((book.status().streams, book.status().opened), (1, 1));
        drop(open);
        assert_eq!((book.status().streams, book.status().opened), (0, 1));
    }
}
