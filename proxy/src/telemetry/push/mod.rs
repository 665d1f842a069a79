//! The metrics, pushed to a collector over OTLP: the same that a scrape gets.
//!
//! A thread that has nothing else to do writes messages, and the control thread sends one after the other: of a large mesh two
//! are in memory. What a collector does not take is not kept, for the next push says all that has been counted.

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

use crate::telemetry::otlp::METRICS;
use crate::telemetry::otlp::Sender;
use crate::telemetry::otlp::resource;
use crate::telemetry::otlp::wire;

/// What became of pushes.
#[derive(Debug, Default)]
pub struct Pushes {
    accepted: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
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
            let count = match self.push(Arc::clone(&write)).await {
                Ok(()) => &self.pushes.accepted,
                // The sender has told it.
                Err(_) => &self.pushes.failed,
            };
            count.fetch_add(1, Ordering::Relaxed);
            if ends {
                return;
            }
        }
    }

    async fn push(&mut self, write: Write) -> Result<(), String> {
        let (sender, mut messages) = mpsc::channel(1);
        let points = Points::new(sender, self.resource.clone(), self.started);
        let writing = tokio::task::spawn_blocking(move || write(points));
        while let Some(message) = messages.recv().await {
            self.sender.send(message).await?;
        }
        writing.await.map_err(|error| error.to_string())
    }
}
