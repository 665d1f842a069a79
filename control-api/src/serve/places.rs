//! Places for those who may do nothing: so many at once, and when one more comes, the one that has been idle the longest has to
//! go. A newcomer never waits for one that does nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The places. Cloning them makes another handle.
#[derive(Clone, Debug)]
pub struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// In the order of their last sign of life.
    places: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A place that is taken, until this is dropped.
#[derive(Debug)]
pub struct Place {
    taken: Arc<Mutex<Taken>>,
    /// Where it stands in the order; written under the lock.
    turn: AtomicU64,
}

/// Comes when a place is wanted for another.
#[derive(Debug)]
pub struct Notice(oneshot::Receiver<()>);

impl Places {
    /// For so many at once.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            taken: Arc::default(),
        }
    }

    /// Takes a place, which is there at once: where all are taken, who has been idle the longest is given notice.
    pub fn enter(&self) -> (Place, Notice) {
        let (held, notice) = oneshot::channel();
        let mut taken = lock(&self.taken);
        if taken.places.len() >= self.most {
            // What is dropped is the notice.
            taken.places.pop_first();
        }
        let place = Place {
            taken: Arc::clone(&self.taken),
            turn: AtomicU64::new(taken.last(held)),
        };
        (place, Notice(notice))
    }
}

impl Taken {
    /// Puts one at the end of the order.
    fn last(&mut self, held: oneshot::Sender<()>) -> u64 {
        self.next += 1;
        self.places.insert(self.next, held);
        self.next
    }
}

impl Place {
    /// A sign of life: all others have been idle for longer.
    pub fn stirs(&self) {
        let mut taken = lock(&self.taken);
        // Whoever was given notice is not there any more.
        if let Some(held) = taken.places.remove(&self.turn.load(Ordering::Relaxed)) {
            self.turn.store(taken.last(held), Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.taken).places.remove(self.turn.get_mut());
    }
}

impl Notice {
    /// Waits for it; to be waited for as long as the place is held.
    pub async fn given(self) {
        // An error is the sign.
        let _ = self.0.await;
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    // Each change is whole before the next begins.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot::error::TryRecvError;

    fn is_given((_, notice): &mut (Place, Notice)) -> bool {
        notice.0.try_recv() == Err(TryRecvError::Closed)
    }

    #[test]
    fn the_longest_idle_makes_room_and_those_who_are_through_do_not_count() {
        let places = Places::new(2);
        drop(places.enter());
        let [mut first, mut second] = [places.enter(), places.enter()];
        assert!(!is_given(&mut first) && !is_given(&mut second));
        first.0.stirs();
        let mut third = places.enter();
        assert!(is_given(&mut second), "the first has stirred since");
        assert!(!is_given(&mut first) && !is_given(&mut third));
        second.0.stirs();
        drop(second);
        let mut fourth = places.enter();
        assert!(is_given(&mut first), "who was given notice has no place");
        assert!(!is_given(&mut third) && !is_given(&mut fourth));
    }
}
