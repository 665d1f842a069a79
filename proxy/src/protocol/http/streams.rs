//! The streams of one client's HTTP/2 connection: how many there are, and what that says of the client.

use std::cell::Cell;
use std::time::Duration;
use tokio::time::Instant;

/// A stream that its client resets sooner, and without an answer, may have been opened for the work alone that it makes
/// ("rapid reset", CVE-2023-44487). Clients that give up on a slow answer wait longer; Envoy draws the line here, too.
const EARLY: Duration = Duration::from_secs(1);

/// Counts of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    open: Cell<usize>,
    /// Since when there is none.
    since: Cell<Instant>,
    begun: Cell<u32>,
    reset_early: Cell<u32>,
}

impl Streams {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            open: Cell::new(0),
            since: Cell::new(now),
            begun: Cell::new(0),
            reset_early: Cell::new(0),
        }
    }

    /// Another stream; how many there were with it.
    pub(super) fn begin(&self) -> u32 {
        self.open.set(self.open.get() + 1);
        self.begun.set(self.begun.get().saturating_add(1));
        self.begun.get()
    }

    /// One of them has ended.
    pub(super) fn end(&self) {
        self.open.set(self.open.get() - 1);
        if self.open.get() == 0 {
            self.since.set(Instant::now());
        }
    }

    /// One that was opened at `started` was reset by its client before anything of an answer was there.
    pub(super) fn reset(&self, started: Instant, now: Instant) {
        if now.saturating_duration_since(started) < EARLY {
            self.reset_early.set(self.reset_early.get().saturating_add(1));
        }
    }

    /// Since when there has been no stream.
    pub(super) fn idle_since(&self) -> Instant {
        if self.open.get() > 0 {
            Instant::now()
        } else {
            self.since.get()
        }
    }

    /// Whether more than `most` were reset early, and most of all were. A client that gives up on single ones for good
    /// reasons, on however many in the end, is none.
    pub(super) fn are_flood(&self, most: u32) -> bool {
        let early = self.reset_early.get();
        early > most && early > self.begun.get() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_early_resets_that_outnumber_the_rest_are_a_flood() {
        let now = Instant::now();
        let streams = Streams::new(now);
        for _ in 0..10 {
            streams.begin();
            streams.reset(now, now + EARLY);
        }
        assert!(!streams.are_flood(5), "clients may give up");
        for _ in 0..10 {
            streams.begin();
            streams.reset(now, now);
        }
        assert!(!streams.are_flood(5), "no more than half");
        streams.begin();
        streams.reset(now, now);
        assert!(streams.are_flood(5));
        assert!(!streams.are_flood(11), "not many");
    }
}
