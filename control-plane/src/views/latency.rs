//! How long changes take, as a histogram.

use std::time::Duration;

/// Upper bounds, in milliseconds.
const BOUNDS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000];

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Of each bound, and beyond.
    counts: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Latencies {
    pub(super) fn record(&mut self, latency: Duration) {
        let place = BOUNDS.partition_point(|bound| Duration::from_millis(*bound) < latency);
        self.counts[place] += 1;
        self.sum += latency;
    }

    /// The bounds, and how many took no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        BOUNDS.into_iter().zip(self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((Duration::from_millis(bound), *sum))
        })
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All together.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_longer_than_every_bound_is_counted_in_all_only() {
        let mut latencies = Latencies::default();
        for millis in [1, 3, 2_000] {
            latencies.record(Duration::from_millis(millis));
        }
        let counts: Vec<u64> = latencies.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!((latencies.count(), latencies.sum()), (3, Duration::from_millis(2_004)));
    }
}
