//! How much a cluster may be tried again: a fifth of its active requests, and ten a second besides.
//!
//! While few requests fail, another attempt helps. When most do, attempts are what keeps the servers down: every request
//! would come three times. So retries are bound to the traffic that there is, and not to each request alone; the ten a
//! second are for services that are asked rarely. No request pays for this but one that is to be tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Active requests for each retry in flight.
const ACTIVE: u32 = 5;
/// How long it takes to earn one retry more, in milliseconds.
const EARN: u64 = 100;
/// The same for all that can be saved: ten.
const SAVED: u64 = 10 * EARN;

/// One cluster's retries, shared by all workers.
#[derive(Debug, Default)]
pub struct Budget {
    /// Retries in flight within the fifth.
    in_flight: AtomicU32,
    /// When all savings will be there again, in milliseconds: how much is spent, and since when, in one word.
    saved_at: AtomicU64,
}

/// Leave for one retry; one within the fifth is in flight until this is dropped.
#[derive(Debug)]
pub struct Permit {
    within: Option<Arc<Budget>>,
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Retries in flight within the fifth.
    pub used: u32,
    /// Retries that could begin now.
    pub left: u32,
}

impl Budget {
    /// Leave for one more retry, where `active` requests are in flight; `None` when there are too many already. `now` is
    /// since the start of the process.
    pub fn permit(self: &Arc<Self>, active: u32, now: Duration) -> Option<Permit> {
        if self.takes_share(active) {
            return Some(Permit {
                within: Some(Arc::clone(self)),
            });
        }
        self.takes_saved(now).then_some(Permit { within: None })
    }

    /// Retries in flight within the fifth, and how many could begin now, where `active` requests are in flight.
    pub fn stand(&self, active: u32, now: Duration) -> Stand {
        let used = self.in_flight.load(Ordering::Relaxed);
        let spent = self
            .saved_at
            .load(Ordering::Relaxed)
            .saturating_sub(now.as_millis() as u64);
        let saved = SAVED.saturating_sub(spent) / EARN;
        Stand {
            used,
            left: (active / ACTIVE).saturating_sub(used).saturating_add(saved as u32),
        }
    }

    fn takes_share(&self, active: u32) -> bool {
        let one_more = |retries: u32| (retries < active / ACTIVE).then(|| retries + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
    }

    fn takes_saved(&self, now: Duration) -> bool {
        let now = now.as_millis() as u64;
        let one_less = |saved_at: u64| {
            let later = saved_at.max(now) + EARN;
            (later <= now + SAVED).then_some(later)
        };
        self.saved_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(budget) = &self.within {
            budget.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn granted(budget: &Arc<Budget>, active: u32, now: Duration) -> Vec<Permit> {
        std::iter::from_fn(|| budget.permit(active, now)).collect()
    }

    #[test]
    fn a_service_that_is_asked_rarely_has_ten_retries_at_once() {
        let budget = Arc::default();
        assert_eq!(granted(&budget, 1, START).len(), 10);
        assert_eq!(granted(&budget, ACTIVE - 1, START).len(), 0);
    }

    #[test]
    fn ten_a_second_come_back_and_no_more_than_ten_are_saved() {
        let budget = Arc::default();
        granted(&budget, 1, START);
        let mut now = Duration::from_millis(99);
        assert!(granted(&budget, 1, now).is_empty());
        for _ in 0..50 {
            now += Duration::from_millis(100);
            assert_eq!(granted(&budget, 1, now).len(), 1, "at {now:?}");
        }
        now += Duration::from_hours(1);
        assert_eq!(granted(&budget, 1, now).len(), 10);
    }

    #[test]
    fn a_fifth_of_the_active_requests_may_be_retries_and_what_has_ended_makes_room() {
        let budget = Arc::default();
        granted(&budget, 1, START);
        let mut within = granted(&budget, 100, START);
        assert_eq!(within.len(), 20);
        within.truncate(13);
        assert_eq!(granted(&budget, 100, START).len(), 7);
        assert_eq!(granted(&budget, 60, START).len(), 0, "there are 13, and a fifth are 12");
    }

    #[test]
    fn what_is_left_is_what_would_be_granted() {
        let budget = Arc::default();
        assert_eq!(budget_stand(&budget, 100), (0, 30));
        let mut within = granted(&budget, 100, START);
        assert_eq!(budget_stand(&budget, 100), (20, 0));
        within.truncate(15);
        assert_eq!(budget_stand(&budget, 100), (15, 5));
        assert_eq!(granted(&budget, 100, START).len(), 5);
        let later = budget.stand(0, Duration::from_millis(250));
        assert_eq!((later.used, later.left), (15, 2));
    }

    fn budget_stand(budget: &Budget, active: u32) -> (u32, u32) {
        let Stand { used, left } = budget.stand(active, START);
        (used, left)
    }

    #[test]
    fn what_is_saved_is_not_spent_while_the_fifth_has_room() {
        let budget = Arc::default();
        let within = granted(&budget, 100, START);
        assert_eq!(within.len(), 20 + 10);
        drop(within);
        assert_eq!(granted(&budget, 100, START).len(), 20);
    }

    #[test]
    fn a_clock_that_is_a_little_behind_earns_nothing_and_loses_nothing() {
        let budget = Arc::default();
        granted(&budget, 1, Duration::from_secs(5));
        assert!(budget.permit(1, Duration::from_millis(4_950)).is_none());
        assert!(budget.permit(1, Duration::from_millis(5_100)).is_some());
    }

    #[test]
    fn workers_that_ask_at_once_are_granted_no_more_together() {
        for _ in 0..20 {
            let budget: Arc<Budget> = Arc::default();
            let permits: Vec<_> = std::thread::scope(|scope| {
                let workers: Vec<_> = (0..2).map(|_| scope.spawn(|| granted(&budget, 1_000, START))).collect();
                workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
            });
            assert_eq!(permits.len(), 200 + 10);
            drop(permits);
            assert_eq!(budget.in_flight.load(Ordering::Relaxed), 0);
        }
    }
}
