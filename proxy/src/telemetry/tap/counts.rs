//! What became of what was to be told, to all who ever listened.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Nobody changes it while nobody listens.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) told: AtomicU64,
    pub(super) limited: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) redacted: AtomicU64,
}

impl Counts {
    /// Events that a listener got.
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Events above the limit of a listener.
    pub fn limited(&self) -> u64 {
        self.limited.load(Ordering::Relaxed)
    }

    /// Events that a listener was too slow for.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Values of headers that were not told.
    pub fn redacted(&self) -> u64 {
        self.redacted.load(Ordering::Relaxed)
    }
}
