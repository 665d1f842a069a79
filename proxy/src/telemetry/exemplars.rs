//! A recorded request for each bucket of a histogram: who sees that something is slow finds its trace.
//!
//! Nothing is kept of requests that are not recorded, and of those that are the newest of each bucket.

use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::SystemTime;

use crate::telemetry::histogram::BUCKETS;
use crate::telemetry::histogram::Taken;
use crate::telemetry::trace::SpanId;
use crate::telemetry::trace::TraceId;

/// The requests by bucket. Without one it is a pointer.
#[derive(Debug, Default)]
pub(super) struct Exemplars(OnceLock<Box<Mutex<Kept>>>);

type Kept = [Option<Exemplar>; BUCKETS];

/// A request whose span the collector gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exemplar {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    /// How long it took.
    pub(super) nanos: u64,
    /// When it ended.
    pub(super) at: SystemTime,
}

impl Exemplars {
    /// A request that took so long has ended now.
    pub(super) fn keep(&self, taken: Taken, trace: TraceId, span: SpanId) {
        let kept = self.0.get_or_init(Box::default);
        // A worker does not wait for who reads: the one before is an example as well.
        if let Ok(mut kept) = kept.try_lock() {
            kept[taken.bucket()] = Some(Exemplar {
                trace,
                span,
                nanos: taken.nanos(),
                at: SystemTime::now(),
            });
        }
    }

    /// All of them as they are now.
    pub(super) fn kept(&self) -> Kept {
        self.0.get().map_or([None; BUCKETS], |kept| {
            *kept.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn keep(exemplars: &Exemplars, micros: u64, trace: u128) {
        let taken = Taken::of(Duration::from_micros(micros));
        exemplars.keep(taken, TraceId::from(trace), SpanId::from(1));
    }

    #[test]
    fn the_newest_of_each_bucket_is_kept() {
        let exemplars = Exemplars::default();
        assert_eq!(exemplars.kept(), [None; BUCKETS]);
        for (micros, trace) in [(100, 1), (700, 2), (200, 3), (90_000_000, 4)] {
            keep(&exemplars, micros, trace);
        }
        let kept = exemplars.kept();
        let traces = kept.map(|one| one.map(|one| u128::from_be_bytes(one.trace.to_bytes())));
        assert_eq!((traces[0], traces[1], traces[BUCKETS - 1]), (Some(3), Some(2), Some(4)));
        assert_eq!(kept[0].unwrap().nanos, 200_000);
        assert_eq!(kept.iter().flatten().count(), 3);
    }

    #[test]
    fn a_worker_does_not_wait_for_who_reads() {
        let exemplars = Exemplars::default();
        keep(&exemplars, 100, 1);
        let reading = exemplars.0.get().unwrap().lock().unwrap();
        keep(&exemplars, 100, 2);
        assert_eq!(reading[0].unwrap().trace, TraceId::from(1));
    }
}
