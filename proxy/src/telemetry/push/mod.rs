//! The metrics, pushed to a collector over OTLP: the same that a scrape gets.
//!
//! A thread that has nothing else to do writes messages, and the control thread sends one after the other: of a large mesh two
//! are in memory. What a collector does not take is not kept, for the next push says all that has been counted. A message that it refuses is followed by
//! the others, unless it is away.

mod points;

pub use points::Points;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use evenkeel_control_api::mesh::settings::ControlPlane;
use evenkeel_control_api::mesh::settings::Push;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use tokio::time::interval_at;

use crate::telemetry::otlp::Counts;
use crate::telemetry::otlp::METRICS;
use crate::telemetry::otlp::Sender;
use crate::telemetry::otlp::Sent;
use crate::telemetry::otlp::resource;
use crate::telemetry::otlp::wire;
use points::Message;

/// What became of pushes.
#[derive(Debug, Default)]
pub struct Pushes {
    accepted: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    points: Counts,
}

impl Pushes {
    /// Those that the collector has taken.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Those that it has not, or not all of.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Those that were not tried, because the one before took longer than the interval.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// What became of their points.
    pub fn points(&self) -> &Counts {
        &self.points
    }
}

/// Writes all metrics.
pub type Write = Arc<dyn Fn(Points) + Send + Sync>;

/// Pushes at an interval.
#[derive(Debug)]
pub struct Pusher {
    sender: Sender,
    resource: Vec<u8>,
    every: Duration,
    /// When the counters began.
    started: SystemTime,
    pushes: Arc<Pushes>,
}

impl Pusher {
    /// As configured, for counters that begin now. Where `push` has no name for us, `service` is it.
    ///
    /// # Errors
    /// Why there is no way to the collector, in words.
    pub fn new(push: &Push, service: Option<&String>, control_plane: Option<&ControlPlane>) -> Result<Self, String> {
        let service = push.service.as_ref().or(service).cloned();
        Ok(Self {
            sender: Sender::new(&push.collector, METRICS)?,
            resource: wire::resource(&resource(service, control_plane)),
            every: push.interval,
            started: SystemTime::now(),
            pushes: Arc::default(),
        })
    }

    /// What became of them.
    pub fn pushes(&self) -> Arc<Pushes> {
        Arc::clone(&self.pushes)
    }

    /// Pushes until it is told to end; then once more, and it ends.
    pub async fn run(mut self, write: Write, mut end: oneshot::Receiver<()>) {
        let mut last = Instant::now();
        let mut ticks = interval_at(last + self.every, self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let ends = tokio::select! {
                tick = ticks.tick() => {
                    let passed = (tick - last).as_nanos() / self.every.as_nanos().max(1);
                    let skipped = u64::try_from(passed).unwrap_or(u64::MAX).saturating_sub(1);
                    self.pushes.skipped.fetch_add(skipped, Ordering::Relaxed);
                    last = tick;
                    false
                }
                _ = &mut end => true,
            };
            let count = if self.push(Arc::clone(&write)).await {
                &self.pushes.accepted
            } else {
                &self.pushes.failed
            };
            count.fetch_add(1, Ordering::Relaxed);
            if ends {
                return;
            }
        }
    }

    /// Says whether the collector has taken all of it; the sender has told why not.
    async fn push(&mut self, write: Write) -> bool {
        let (sender, mut messages) = mpsc::channel(1);
        let points = Points::new(sender, self.resource.clone(), self.started, Arc::clone(&self.pushes));
        let writing = tokio::task::spawn_blocking(move || write(points));
        let mut whole = true;
        while let Some(Message { points, bytes }) = messages.recv().await {
            let sent = self.sender.send(bytes).await;
            self.pushes.points.deliver(points, &sent);
            whole &= matches!(&sent, Sent::Taken(rejected) if rejected.things == 0);
            // It may want the others, unless it is away: then no more are written, and what is lost with them is counted.
            if let Sent::Away(_) = sent {
                messages.close();
                while let Some(Message { points, .. }) = messages.recv().await {
                    self.pushes.points.lose(points);
                }
                break;
            }
            // A large mesh is many messages, and others wait for this thread.
            tokio::task::yield_now().await;
        }
        drop(messages);
        writing.await.is_ok() && whole
    }
}
