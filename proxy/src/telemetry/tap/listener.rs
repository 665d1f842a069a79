//! One who listens.

use super::Tap;
use super::counts::Counts;
use super::event;
use super::wish::Wish;
use crate::telemetry::access_log::Entry;
use crate::telemetry::access_log::Outcome;
use evenkeel_control_api::tap::Event;
use evenkeel_control_api::tap::WatchResponse;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;

/// Events that wait for a listener: of a slow one the next are lost.
const WAITING: usize = 1_024;
/// How often counts are told that no event brings along.
const COUNTS: Duration = Duration::from_secs(1);

/// What the workers know of one who listens.
#[derive(Debug)]
pub(super) struct Listener {
    wish: Wish,
    since: Instant,
    /// The second since then, in the upper half, and the events that it had.
    second: AtomicU64,
    queue: mpsc::Sender<Event>,
    /// Of all who ever listened.
    counts: Arc<Counts>,
    limited: AtomicU64,
    lost: AtomicU64,
}

/// The events that one who listens is told of. Dropped, nobody listens any more.
#[derive(Debug)]
pub struct Events {
    tap: Arc<Tap>,
    listener: Arc<Listener>,
    queue: mpsc::Receiver<Event>,
    counts: Interval,
    /// The counts that were told last.
    told: (u64, u64),
}

impl Listener {
    pub(super) fn new(wish: Wish, tap: &Arc<Tap>) -> (Arc<Self>, Events) {
        let (sender, queue) = mpsc::channel(WAITING);
        let listener = Arc::new(Self {
            wish,
            since: Instant::now(),
            second: AtomicU64::new(0),
            queue: sender,
            counts: Arc::clone(&tap.counts),
            limited: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let mut counts = interval(COUNTS);
        counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let events = Events {
            tap: Arc::clone(tap),
            listener: Arc::clone(&listener),
            queue,
            counts,
            told: (0, 0),
        };
        (listener, events)
    }

    pub(super) fn tell(&self, entry: &Entry, outcome: &Outcome) {
        if !self.wish.holds(entry, outcome) {
            return;
        }
        if !self.takes_place() {
            self.limited.fetch_add(1, Ordering::Relaxed);
            self.counts.limited.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match self.queue.try_reserve() {
            Ok(place) => place.send(event::event(entry, outcome, &self.wish.headers, &self.counts)),
            Err(TrySendError::Full(())) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
            }
            // Whoever listened has just gone.
            Err(TrySendError::Closed(())) => {}
        }
    }

    /// Whether the second has a place for one more.
    fn takes_place(&self) -> bool {
        let now = self.since.elapsed().as_secs() << 32;
        let place = |counted: u64| {
            let had = if counted & !u64::from(u32::MAX) == now {
                counted as u32
            } else {
                0
            };
            (had < self.wish.per_second).then_some(now | u64::from(had + 1))
        };
        self.second
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, place)
            .is_ok()
    }

    fn counts(&self) -> (u64, u64) {
        (self.limited.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }
}

impl Events {
    /// The next message: an event, or counts that have changed. There is always another.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<WatchResponse> {
        let event = match self.queue.poll_recv(cx) {
            Poll::Ready(event) => event,
            Poll::Pending => {
                while self.counts.poll_tick(cx).is_ready() {
                    if self.listener.counts() != self.told {
                        return Poll::Ready(self.message(None));
                    }
                }
                return Poll::Pending;
            }
        };
        Poll::Ready(self.message(event))
    }

    /// The next message.
    pub async fn next(&mut self) -> WatchResponse {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn message(&mut self, event: Option<Event>) -> WatchResponse {
        self.told = self.listener.counts();
        let (limited, lost) = self.told;
        let told = u64::from(event.is_some());
        self.tap.counts.told.fetch_add(told, Ordering::Relaxed);
        WatchResponse { event, limited, lost }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.tap.leave(&self.listener);
    }
}
