//! The bytes that a worker holds for readers which do not take them, and the bound on them.
//!
//! A direction that cannot go on says how much it holds ([`Backlog::poll_hold`]), and says so again whenever it is looked
//! through: every second, and when the bound is passed. What waited already when the bound was passed is cut, oldest
//! first, until the rest fits. Nothing here is touched by a direction that goes on.

use std::cell::Cell;
use std::cell::RefCell;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

/// Of a thread.
struct Held {
    bytes: Cell<usize>,
    most: Cell<usize>,
    /// How often everybody was looked through.
    round: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

thread_local! {
    static HELD: Held = const {
        Held {
            bytes: Cell::new(0),
            most: Cell::new(usize::MAX),
            round: Cell::new(0),
            waiting: RefCell::new(Vec::new()),
        }
    };
}

/// Bounds what this thread holds, from now on.
pub fn limit(bytes: usize) {
    HELD.with(|held| held.most.set(bytes));
}

/// What this thread holds.
pub fn held() -> usize {
    HELD.with(|held| held.bytes.get())
}

/// Looks through everything that waits: it says anew what it holds, and is cut where that is too much.
pub fn review() {
    HELD.with(Held::review);
}

impl Held {
    fn review(&self) {
        self.round.set(self.round.get() + 1);
        for waiting in self.waiting.take() {
            waiting.wake();
        }
    }
}

/// What one direction holds, until it is dropped.
#[derive(Debug, Default)]
pub struct Backlog {
    bytes: usize,
    /// The round in which it was put among those that wait.
    since: Option<u64>,
}

impl Backlog {
    /// It holds so many bytes, and cannot go on. Ready when it is to be cut.
    pub fn poll_hold(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<()> {
        HELD.with(|held| {
            held.bytes.set(held.bytes.get() - self.bytes + bytes);
            self.bytes = bytes;
            let round = held.round.get();
            if bytes > 0 && held.bytes.get() > held.most.get() {
                if self.since.is_some_and(|since| since < round) {
                    return Poll::Ready(());
                }
                // Those who waited before it go first.
                held.review();
            }
            let round = held.round.get();
            if self.since.replace(round) != Some(round) {
                held.waiting.borrow_mut().push(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// It can go on.
    pub fn release(&mut self) {
        if self.since.take().is_some() {
            // Connections are dropped with their thread too, when the count may already be gone.
            let _ = HELD.try_with(|held| held.bytes.set(held.bytes.get() - self.bytes));
            self.bytes = 0;
        }
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(backlog: &mut Backlog, bytes: usize) -> bool {
        backlog
            .poll_hold(&mut Context::from_waker(Waker::noop()), bytes)
            .is_ready()
    }

    #[test]
    fn what_waited_before_the_bound_was_passed_is_cut_until_the_rest_fits() {
        limit(100);
        let (mut first, mut second, mut third) = (Backlog::default(), Backlog::default(), Backlog::default());
        assert!(!hold(&mut first, 40) && !hold(&mut second, 40));
        assert!(!hold(&mut third, 40), "it has just come");
        assert_eq!(held(), 120);
        assert!(hold(&mut first, 40), "it was woken to be looked at");
        drop(first);
        assert!(!hold(&mut second, 40), "now it fits");
        third.release();
        assert_eq!(held(), 40);
        drop(second);
        assert_eq!(held(), 0);
    }

    #[test]
    fn a_direction_that_grows_is_seen_when_it_is_looked_through() {
        limit(100);
        let mut one = Backlog::default();
        assert!(!hold(&mut one, 60) && !hold(&mut one, 60));
        HELD.with(|held| assert_eq!(held.waiting.borrow().len(), 1));
        review();
        HELD.with(|held| assert_eq!(held.waiting.borrow().len(), 0));
        assert!(hold(&mut one, 120));
    }

    #[test]
    fn who_goes_on_holds_nothing() {
        limit(100);
        let (mut one, mut other) = (Backlog::default(), Backlog::default());
        for _ in 0..10 {
            assert!(!hold(&mut one, 90));
            one.release();
            assert!(!hold(&mut other, 90));
            other.release();
        }
        assert_eq!(held(), 0);
    }
}
