//! What became of what was to go to a collector.

use super::Sent;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Spans, or records.
#[derive(Debug, Default)]
pub struct Counts {
    exported: AtomicU64,
    overflowed: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
}

impl Counts {
    /// Those that the collector has.
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Those for which there was no room, because the collector was slow.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Those in a message that the collector did not take, or that nobody could send it.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Those that it has dropped out of a message that it took.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// So many were in a message that went so.
    pub(in crate::telemetry) fn deliver(&self, things: u64, sent: &Sent) {
        let rejected = match sent {
            Sent::Taken(rejected) => rejected.things.min(things),
            Sent::Refused(_) | Sent::Away(_) => 0,
        };
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.send(things - rejected, &sent.outcome());
    }

    /// So many were in a message that the collector took, or did not.
    pub(in crate::telemetry) fn send(&self, things: u64, outcome: &Result<(), String>) {
        let counter = if outcome.is_ok() { &self.exported } else { &self.failed };
        counter.fetch_add(things, Ordering::Relaxed);
    }

    /// So many were in a message that was not even sent.
    pub(in crate::telemetry) fn lose(&self, things: u64) {
        self.failed.fetch_add(things, Ordering::Relaxed);
    }

    /// There was no room for one.
    pub(in crate::telemetry) fn overflow(&self) {
        self.overflowed.fetch_add(1, Ordering::Relaxed);
    }
}
