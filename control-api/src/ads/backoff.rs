//! How long to leave a server alone. Pure: chance is an argument.

use std::time::Duration;

/// The first pause, and the shortest one after a stream that answered.
const BASE: Duration = Duration::from_millis(500);
/// The longest pause.
const CEILING: Duration = Duration::from_secs(30);

/// The pauses between attempts at one server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A stream had its first response: the server works.
    pub(crate) fn answered(&mut self) {
        self.failures = 0;
    }

    /// After an attempt without a response: anything up to a bound that doubles ("full jitter"), so that the clients of a
    /// server that comes back do not come all at once.
    pub(crate) fn failed(&mut self, dice: u64) -> Duration {
        let bound = BASE.saturating_mul(1 << self.failures.min(16)).min(CEILING);
        self.failures = self.failures.saturating_add(1);
        part(bound, dice)
    }

    /// After a stream that answered and ended, which is no failure (gRFC A57). It still waits at least the base: a server
    /// that sends one response and dies must not be hammered.
    pub(crate) fn ended(dice: u64) -> Duration {
        BASE + part(BASE, dice)
    }
}

/// A part of `whole` between nothing and all of it.
fn part(whole: Duration, dice: u64) -> Duration {
    whole.mul_f64(dice as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_half_a_minute() {
        let mut backoff = Backoff::default();
        let bounds: Vec<_> = (0..8).map(|_| backoff.failed(u64::MAX).as_millis()).collect();
        assert_eq!(bounds, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        for _ in 0..100 {
            assert!(backoff.failed(u64::MAX) <= CEILING);
        }
    }

    #[test]
    fn the_whole_range_is_used() {
        assert_eq!(Backoff::default().failed(0), Duration::ZERO);
        assert_eq!(Backoff::default().failed(u64::MAX / 2).as_millis(), 250);
    }

    #[test]
    fn an_answer_resets_it() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.failed(0);
        }
        backoff.answered();
        assert_eq!(backoff.failed(u64::MAX), BASE);
    }

    #[test]
    fn a_stream_that_answered_and_ended_is_followed_by_a_pause() {
        assert_eq!(Backoff::ended(0), BASE);
        assert_eq!(Backoff::ended(u64::MAX), 2 * BASE);
    }
}
