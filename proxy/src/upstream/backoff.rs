//! The pause after failures to connect: an endpoint that does not answer is probed, not flooded.
//!
//! ```text
//! open --failed--> paused --time--> probe (one caller) --failed--> paused, twice as long
//!   ^---------------------- succeeded ------------------------------------/
//! ```

use crate::balance::{Dice, Millis};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long pauses are.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// After the first failure.
    pub first: Duration,
    /// Doubling ends here.
    pub most: Duration,
}

/// A probe whose result has not come by then is overdue, and another may be sent: it was cancelled, or it rode a
/// connection that was open already. As long as a connection attempt may take.
const OVERDUE: Duration = Duration::from_secs(2);
/// Set among the failures while a probe is under way.
const PROBING: u32 = 1 << 31;

/// One endpoint's state, shared by all workers: failures in a row and the end of the pause, in one word.
#[derive(Debug, Default)]
pub struct Backoff(AtomicU64);

/// Which failure one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booked {
    /// It began a pause, or prolonged one as its probe.
    Counted,
    /// It is one with the failure that had begun a pause already.
    Joined,
}

/// What a caller may do with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is well.
    Open,
    /// It failed before and its pause is over: whoever wins [`Backoff::claim_probe`] may try.
    Probe,
    /// Not now.
    Paused,
}

impl Backoff {
    /// What a caller may do now.
    pub fn admission(&self, now: Millis) -> Admission {
        let (failures, until) = unpack(self.0.load(Ordering::Relaxed));
        match failures {
            0 => Admission::Open,
            _ if is_past(until, now) => Admission::Probe,
            _ => Admission::Paused,
        }
    }

    /// Takes the one probe after a pause; the others see a pause until its result is known or it is overdue.
    pub fn claim_probe(&self, now: Millis) -> bool {
        let state = self.0.load(Ordering::Relaxed);
        let (failures, until) = unpack(state);
        if failures == 0 || !is_past(until, now) {
            return failures == 0;
        }
        let overdue = now.0.wrapping_add(OVERDUE.as_millis() as u32);
        self.0
            .compare_exchange(
                state,
                pack(failures | PROBING, overdue),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Books a failure: full jitter over a pause that doubles. Attempts that fail during a pause were begun before it, and
    /// are one failure with the one that began it: fifty requests at once do not make a pause of ten seconds.
    pub fn failed(&self, now: Millis, dice: &mut Dice, pauses: Pauses) -> Booked {
        let chance = dice.unit();
        let updated = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
            let (failures, until) = unpack(state);
            if failures & PROBING == 0 && failures > 0 && !is_past(until, now) {
                return None;
            }
            let failures = ((failures & !PROBING) + 1).min(PROBING - 1);
            let ceiling = pauses
                .first
                .saturating_mul(1 << (failures - 1).min(20))
                .min(pauses.most);
            // Never nothing: an endpoint that has just refused must not be the next choice as well.
            let pause = ceiling.mul_f32(chance).max(pauses.first / 10);
            Some(pack(failures, now.0.wrapping_add(pause.as_millis() as u32)))
        });
        // No update is needed where the closure has none.
        updated.map_or(Booked::Joined, |_| Booked::Counted)
    }

    /// Books a success.
    pub fn succeeded(&self) {
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        unpack(self.0.load(Ordering::Relaxed)).0 & !PROBING
    }
}

fn pack(failures: u32, until: u32) -> u64 {
    u64::from(failures) << 32 | u64::from(until)
}

fn unpack(state: u64) -> (u32, u32) {
    ((state >> 32) as u32, state as u32)
}

/// Wrapping: a difference of more than half the range is the past.
fn is_past(until: u32, now: Millis) -> bool {
    now.0.wrapping_sub(until) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses {
        first: Duration::from_millis(100),
        most: Duration::from_secs(10),
    };

    #[test]
    fn an_endpoint_that_failed_is_left_alone_and_then_probed_by_one_caller() {
        let (backoff, mut dice) = (Backoff::default(), Dice::seeded(7));
        assert_eq!(backoff.admission(Millis(0)), Admission::Open);
        backoff.failed(Millis(0), &mut dice, PAUSES);
        assert_eq!(backoff.admission(Millis(1)), Admission::Paused);
        assert_eq!(backoff.admission(Millis(101)), Admission::Probe);
        assert!(backoff.claim_probe(Millis(101)));
        assert!(!backoff.claim_probe(Millis(101)));
        assert_eq!(backoff.admission(Millis(2_000)), Admission::Paused);
        backoff.succeeded();
        assert_eq!(backoff.admission(Millis(5_000)), Admission::Open);
    }

    #[test]
    fn a_probe_whose_result_never_came_does_not_close_the_endpoint_for_ever() {
        let (backoff, mut dice) = (Backoff::default(), Dice::seeded(7));
        backoff.failed(Millis(0), &mut dice, PAUSES);
        assert!(backoff.claim_probe(Millis(200)));
        assert_eq!(backoff.admission(Millis(200 + 2_000)), Admission::Probe);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_never_vanish() {
        let (backoff, mut dice, mut now) = (Backoff::default(), Dice::seeded(3), Millis(0));
        for round in 1..60 {
            backoff.failed(now, &mut dice, PAUSES);
            assert_eq!((backoff.admission(now), backoff.failures()), (Admission::Paused, round));
            now = Millis(now.0 + 10_000);
            assert!(backoff.claim_probe(now));
        }
    }

    #[test]
    fn attempts_that_fail_together_are_one_failure() {
        let (backoff, mut dice) = (Backoff::default(), Dice::seeded(3));
        for _ in 0..50 {
            backoff.failed(Millis(0), &mut dice, PAUSES);
        }
        assert_eq!(backoff.failures(), 1);
        assert_ne!(backoff.admission(Millis(100)), Admission::Paused);
    }

    #[test]
    fn the_wrap_of_the_clock_is_survived() {
        let (backoff, mut dice) = (Backoff::default(), Dice::seeded(3));
        let now = Millis(u32::MAX - 5);
        backoff.failed(now, &mut dice, PAUSES);
        assert_eq!(backoff.admission(now), Admission::Paused);
        assert_ne!(backoff.admission(Millis(200)), Admission::Paused);
    }

    #[test]
    fn failures_that_were_under_way_together_are_one() {
        let (backoff, mut dice) = (Backoff::default(), Dice::seeded(7));
        assert_eq!(backoff.failed(Millis(1), &mut dice, PAUSES), Booked::Counted);
        for _ in 0..100 {
            assert_eq!(backoff.failed(Millis(1), &mut dice, PAUSES), Booked::Joined);
        }
        assert!(backoff.claim_probe(Millis(500)));
        assert_eq!(backoff.failed(Millis(501), &mut dice, PAUSES), Booked::Counted);
        assert_eq!(backoff.failures(), 2);
    }
}
