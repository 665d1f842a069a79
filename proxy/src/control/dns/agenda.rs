//! When which name is due. Pure: `now` and `dice` are arguments.

use crate::balance::Dice;
use evenkeel_control_api::resource::cluster::{FailureBackoff, Timing};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// The longest pause: a configured one may be longer than the clock can count.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// What is due when, the earliest first.
#[derive(Debug)]
pub(super) struct Agenda<K>(BTreeSet<(Instant, K)>);

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Ord> Agenda<K> {
    pub(super) fn plan(&mut self, at: Instant, what: K) {
        self.0.insert((at, what));
    }

    /// When there is something to do again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// One that is due.
    pub(super) fn take(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, what)| what)
    }
}

/// How long to wait after an answer, or after so many failures in a row.
pub(super) fn pause(timing: &Timing, failures: u32, dice: &mut Dice) -> Duration {
    let pause = match (failures, timing.failure) {
        (0, _) | (_, None) => timing.refresh.saturating_add(timing.jitter.mul_f32(dice.unit())),
        (failures, Some(FailureBackoff { first, most })) => {
            let ceiling = first.saturating_mul(1 << (failures - 1).min(20)).min(most);
            // Half of it by chance, so that many names that failed together are not asked for together again.
            ceiling.mul_f32(0.5 + dice.unit() / 2.0)
        }
    };
    pause.min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_comes_first_and_nothing_before_its_time() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        agenda.plan(now + seconds(2), "two");
        agenda.plan(now + seconds(1), "one");
        assert_eq!((agenda.take(now), agenda.next()), (None, Some(now + seconds(1))));
        let later = now + seconds(2);
        let taken = [agenda.take(later), agenda.take(later), agenda.take(later)];
        assert_eq!(taken, [Some("one"), Some("two"), None]);
    }

    #[test]
    fn answers_are_refreshed_with_jitter_and_failures_back_off() {
        let mut dice = Dice::seeded(1);
        let mut timing = Timing {
            refresh: seconds(5),
            jitter: seconds(1),
            failure: None,
        };
        for failures in [0, 1, 9] {
            let pause = pause(&timing, failures, &mut dice);
            assert!(pause >= seconds(5) && pause < seconds(6), "{pause:?}");
        }
        timing.failure = Some(FailureBackoff {
            first: seconds(2),
            most: seconds(10),
        });
        for (failures, ceiling) in [(1, 2), (2, 4), (3, 8), (4, 10), (u32::MAX, 10)] {
            let pause = pause(&timing, failures, &mut dice);
            assert!(
                pause >= seconds(ceiling) / 2 && pause <= seconds(ceiling),
                "{failures}: {pause:?}"
            );
        }
    }

    #[test]
    fn the_longest_times_are_survived() {
        let mut dice = Dice::seeded(1);
        let timing = Timing {
            refresh: Duration::MAX,
            jitter: Duration::MAX,
            failure: Some(FailureBackoff {
                first: Duration::MAX,
                most: Duration::MAX,
            }),
        };
        for failures in [0, 1, u32::MAX] {
            assert_eq!(pause(&timing, failures, &mut dice), LONGEST);
        }
    }
}
