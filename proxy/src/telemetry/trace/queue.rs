//! From the workers, who never wait, to the control thread.

use super::span::Finished;
use crate::telemetry::otlp::Counts;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::mpsc;

/// Spans that wait, each about a KiB.
const MOST: usize = 4_096;
/// Spans of one message to the collector.
pub(super) const BATCH: usize = 512;

/// The workers' end.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<Finished>,
    full_batch: Arc<Notify>,
    counts: Arc<Counts>,
}

/// The other end.
#[derive(Debug)]
pub(super) struct Spans {
    spans: mpsc::Receiver<Finished>,
    full_batch: Arc<Notify>,
}

/// Both ends.
pub(super) fn new() -> (Queue, Spans) {
    let (sender, receiver) = mpsc::channel(MOST);
    let full_batch = Arc::new(Notify::new());
    let queue = Queue {
        spans: sender,
        full_batch: Arc::clone(&full_batch),
        counts: Arc::default(),
    };
    let spans = Spans {
        spans: receiver,
        full_batch,
    };
    (queue, spans)
}

impl Queue {
    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Takes a span, or counts it.
    pub(super) fn send(&self, span: Finished) {
        if self.spans.try_send(span).is_err() {
            self.counts.overflow();
        } else if self.spans.capacity() == MOST - BATCH {
            self.full_batch.notify_one();
        }
    }
}

impl Spans {
    /// Waits for a span.
    pub(super) async fn first(&mut self) -> Option<Finished> {
        self.spans.recv().await
    }

    /// Waits until a batch is there.
    pub(super) async fn full_batch(&self) {
        self.full_batch.notified().await;
    }

    /// What is there, up to a batch.
    pub(super) fn take(&mut self, batch: &mut Vec<Finished>) {
        while batch.len() < BATCH
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }
}
