//! How long things take, in buckets.

use std::time::Duration;

use crate::telemetry::Counter;
use crate::telemetry::exemplars::Exemplar;
use crate::telemetry::exemplars::Exemplars;

/// Upper bounds in nanoseconds, inclusive, and as the `le` label says them in seconds.
pub(super) const BOUNDS: [(u64, &str); 16] = [
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
    (30_000_000_000, "30"),
    (60_000_000_000, "60"),
];

/// With the one of what exceeds every bound.
pub(super) const BUCKETS: usize = BOUNDS.len() + 1;

/// A duration, and the bucket that it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    bucket: usize,
    nanos: u64,
}

impl Taken {
    pub(super) fn of(duration: Duration) -> Self {
        // Whole nanoseconds: a bound is exact, and no float is compared. 584 years fit.
        let nanos = duration
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(duration.subsec_nanos().into());
        let bucket = BOUNDS.partition_point(|(bound, _)| *bound < nanos);
        Self { bucket, nanos }
    }

    pub(super) fn bucket(self) -> usize {
        self.bucket
    }

    pub(super) fn nanos(self) -> u64 {
        self.nanos
    }
}

/// Durations from half a millisecond to a minute, and all above. One thread writes it.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Not cumulative; the last is what exceeds every bound.
    buckets: [Counter; BUCKETS],
    nanos: Counter,
}

impl Histogram {
    /// Counts one that took this long.
    pub fn observe(&self, duration: Duration) {
        self.count(Taken::of(duration));
    }

    /// The same of one whose bucket was looked up already, for another histogram.
    pub(super) fn count(&self, Taken { bucket, nanos }: Taken) {
        self.buckets[bucket].increment();
        self.nanos.add(nanos);
    }

    /// Whether nothing was counted yet.
    pub(super) fn is_empty(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.value() == 0)
    }

    /// Counts a bucket, not cumulative; the last one is what exceeds every bound.
    pub(super) fn bucket(&self, index: usize) -> u64 {
        self.buckets[index].value()
    }

    /// The sum of all that was observed.
    pub(super) fn nanos(&self) -> u64 {
        self.nanos.value()
    }
}

/// What several histograms have together.
#[derive(Debug, Default)]
pub(super) struct Durations {
    /// Not cumulative.
    pub(super) buckets: [u64; BUCKETS],
    pub(super) nanos: u64,
    /// The newest of each bucket.
    pub(super) exemplars: [Option<Exemplar>; BUCKETS],
}

impl Durations {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (index, bucket) in self.buckets.iter_mut().enumerate() {
            *bucket += histogram.bucket(index);
        }
        self.nanos += histogram.nanos();
    }

    pub(super) fn add_exemplars(&mut self, exemplars: &Exemplars) {
        for (newest, other) in self.exemplars.iter_mut().zip(exemplars.kept()) {
            *newest = other.into_iter().chain(*newest).max_by_key(|exemplar| exemplar.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket_of(duration: Duration) -> usize {
        let histogram = Histogram::default();
        histogram.observe(duration);
        (0..=BOUNDS.len()).find(|index| histogram.bucket(*index) == 1).unwrap()
    }

    #[test]
    fn a_bound_belongs_to_its_bucket_and_a_nanosecond_more_to_the_next() {
        for (index, (bound, _)) in BOUNDS.into_iter().enumerate() {
            assert_eq!(bucket_of(Duration::from_nanos(bound)), index);
            assert_eq!(bucket_of(Duration::from_nanos(bound + 1)), index + 1);
        }
    }

    #[test]
    fn labels_say_in_seconds_what_the_bounds_are() {
        for (bound, label) in BOUNDS {
            assert_eq!(
                Duration::from_nanos(bound),
                Duration::from_secs_f64(label.parse().unwrap())
            );
        }
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_bucket() {
        assert_eq!(bucket_of(Duration::ZERO), 0);
        assert_eq!(bucket_of(Duration::MAX), BOUNDS.len());
    }
}
