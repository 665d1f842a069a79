//! Which control plane to turn to, and when: the first that can be reached, and back to a better one when that can
//! (gRFC A71). Pure: time and chance are arguments.

use crate::ads::backoff::Backoff;
use crate::ads::message::Mode;
use tokio::time::Instant;

/// The servers in their order of preference.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    attempts: Vec<Attempts>,
    /// What is spoken first.
    preferred: Mode,
    /// A stream to this one ended in order; it is given the time to come back before another is tried.
    faithful: Option<usize>,
}

/// What happened with one server.
#[derive(Clone, Copy, Debug)]
struct Attempts {
    backoff: Backoff,
    /// Not before.
    due: Instant,
    mode: Mode,
}

impl Servers {
    /// So many servers, none of which was tried.
    pub(crate) fn new(count: usize, preferred: Mode, now: Instant) -> Self {
        let attempts = Attempts {
            backoff: Backoff::default(),
            due: now,
            mode: preferred,
        };
        Self {
            attempts: vec![attempts; count],
            preferred,
            faithful: None,
        }
    }

    /// Which to try next, and when.
    pub(crate) fn next(&self, now: Instant) -> (usize, Instant) {
        if let Some(index) = self.faithful {
            return (index, self.attempts[index].due);
        }
        // Of those that are due the first counts, else the one that is due first.
        let due = |index: &usize| self.attempts[*index].due.max(now);
        let index = (0..self.attempts.len()).min_by_key(due).unwrap_or_default();
        (index, self.attempts[index].due)
    }

    /// Which of those that are better than `index` to try next, and when.
    pub(crate) fn better(&self, index: usize) -> Option<(usize, Instant)> {
        let better = self.attempts[..index].iter().enumerate();
        better
            .map(|(index, attempts)| (index, attempts.due))
            .min_by_key(|(_, due)| *due)
    }

    /// What a server speaks, as far as is known.
    pub(crate) fn mode(&self, index: usize) -> Mode {
        self.attempts[index].mode
    }

    /// A stream had its first response.
    pub(crate) fn answered(&mut self, index: usize) {
        self.attempts[index].backoff.answered();
    }

    /// A stream that had a response has ended.
    pub(crate) fn ended(&mut self, index: usize, now: Instant, dice: u64) {
        let attempts = &mut self.attempts[index];
        attempts.due = now + Backoff::ended(dice);
        self.faithful = Some(index);
    }

    /// There was no connection, or no response.
    pub(crate) fn failed(&mut self, index: usize, now: Instant, dice: u64) {
        let attempts = &mut self.attempts[index];
        attempts.due = now + attempts.backoff.failed(dice);
        self.faithful = None;
    }

    /// The server does not know what we speak. The other protocol is tried at once; when it knows neither, it has failed.
    pub(crate) fn unimplemented(&mut self, index: usize, now: Instant, dice: u64) {
        if self.attempts[index].mode == Mode::Delta {
            self.attempts[index].mode = Mode::Sotw;
            self.attempts[index].due = now;
            self.faithful = Some(index);
        } else {
            // It may be another server the next time.
            self.attempts[index].mode = self.preferred;
            self.failed(index, now, dice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_next_server_is_tried_when_one_cannot_be_reached() {
        let now = Instant::now();
        let mut servers = Servers::new(3, Mode::Delta, now);
        assert_eq!(servers.next(now).0, 0);
        servers.failed(0, now, u64::MAX);
        assert_eq!(servers.next(now), (1, now));
        servers.failed(1, now, u64::MAX);
        servers.failed(2, now, u64::MAX / 2);
        // Nobody is due: the first that will be.
        assert_eq!(servers.next(now), (2, now + Duration::from_millis(250)));
        assert_eq!(servers.next(now + Duration::from_secs(1)).0, 0);
    }

    #[test]
    fn a_server_whose_stream_ended_in_order_is_given_time_to_come_back() {
        let now = Instant::now();
        let mut servers = Servers::new(2, Mode::Delta, now);
        servers.answered(0);
        servers.ended(0, now, 0);
        assert_eq!(servers.next(now), (0, now + Duration::from_millis(500)));
        servers.failed(0, now, u64::MAX);
        assert_eq!(servers.next(now).0, 1);
    }

    #[test]
    fn only_better_servers_are_looked_for() {
        let now = Instant::now();
        let mut servers = Servers::new(2, Mode::Delta, now);
        servers.failed(0, now, u64::MAX);
        assert_eq!(servers.better(0), None);
        assert_eq!(servers.better(1), Some((0, now + Duration::from_millis(500))));
    }

    #[test]
    fn a_server_without_delta_is_asked_for_the_state_of_the_world_at_once() {
        let now = Instant::now();
        let mut servers = Servers::new(2, Mode::Delta, now);
        servers.unimplemented(0, now, u64::MAX);
        assert_eq!((servers.next(now), servers.mode(0)), ((0, now), Mode::Sotw));
        servers.unimplemented(0, now, u64::MAX);
        assert_eq!((servers.next(now).0, servers.mode(0)), (1, Mode::Delta));
    }
}
