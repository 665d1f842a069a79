//! Tap: whoever listens is told of requests and opaque connections as they end.
//!
//! ```text
//! wish     which of them, and how                 event    what is told of one
//! listener one who listens: a limit, a queue      counts   what became of all that
//! ```
//!
//! While nobody listens it costs a worker one look at a number for each request. A listener who is slow costs events, which are
//! counted, and never a worker's time.

mod counts;
mod event;
mod listener;
#[cfg(test)]
mod tests;
mod wish;

pub use counts::Counts;
pub use listener::Events;

use crate::telemetry::access_log::Entry;
use crate::telemetry::access_log::Outcome;
use crate::telemetry::access_log::Wanted;
use evenkeel_control_api::tap::Refused;
use evenkeel_control_api::tap::WatchRequest;
use listener::Listener;
use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use wish::Wish;

/// Each costs every worker something.
const MOST_LISTENERS: usize = 16;

/// Who listens.
#[derive(Debug, Default)]
pub struct Tap {
    /// Changes with the list.
    generation: AtomicU64,
    listeners: Mutex<Vec<Arc<Listener>>>,
    counts: Arc<Counts>,
}

/// Who listens, as a worker knows it.
#[derive(Debug)]
pub struct WorkerTap {
    tap: Arc<Tap>,
    generation: Cell<u64>,
    listening: RefCell<Option<Rc<Listening>>>,
    /// What the access log tells of heads.
    logged: Arc<Wanted>,
}

/// Those who are told of a request, because they listened when it began.
#[derive(Debug)]
pub struct Listening {
    listeners: Vec<Arc<Listener>>,
    /// What they and the access log want of heads.
    wanted: Arc<Wanted>,
}

// === impl Tap ===

impl Tap {
    /// Listens from now on.
    ///
    /// # Errors
    /// The request makes no sense, or as many listen as may.
    pub fn listen(self: &Arc<Self>, request: WatchRequest) -> Result<Events, Refused> {
        let wish = Wish::read(request).map_err(Refused::Malformed)?;
        let mut listeners = self.listeners();
        if listeners.len() >= MOST_LISTENERS {
            return Err(Refused::Full);
        }
        let (listener, events) = Listener::new(wish, self);
        listeners.push(listener);
        self.generation.fetch_add(1, Ordering::Relaxed);
        Ok(events)
    }

    fn leave(&self, listener: &Arc<Listener>) {
        let mut listeners = self.listeners();
        listeners.retain(|other| !Arc::ptr_eq(other, listener));
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// What became of what was to be told.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many listen.
    pub fn count(&self) -> usize {
        self.listeners().len()
    }

    /// Who panics with the lock leaves the list whole.
    fn listeners(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl WorkerTap ===

impl WorkerTap {
    /// For a worker whose access log tells of these fields.
    pub fn new(tap: Arc<Tap>, logged: Arc<Wanted>) -> Self {
        Self {
            tap,
            generation: Cell::new(0),
            listening: RefCell::default(),
            logged,
        }
    }

    /// Who listens now; mostly nobody.
    pub fn listening(&self) -> Option<Rc<Listening>> {
        // Whoever has just begun to listen is known a moment later: nothing else hangs on this number.
        let generation = self.tap.generation.load(Ordering::Relaxed);
        if generation != self.generation.get() {
            self.generation.set(generation);
            self.learn();
        }
        self.listening.borrow().clone()
    }

    #[cold]
    fn learn(&self) {
        let listeners = self.tap.listeners().clone();
        let listening = (!listeners.is_empty()).then(|| {
            let wanted = Arc::new(self.logged.and_all());
            Rc::new(Listening { listeners, wanted })
        });
        *self.listening.borrow_mut() = listening;
    }
}

// === impl Listening ===

impl Listening {
    /// What they and the access log want of heads.
    pub(in crate::telemetry) fn wanted(&self) -> &Arc<Wanted> {
        &self.wanted
    }

    /// Tells of what has ended.
    pub(in crate::telemetry) fn tell(&self, entry: &Entry, outcome: &Outcome) {
        for listener in &self.listeners {
            listener.tell(entry, outcome);
        }
    }
}
