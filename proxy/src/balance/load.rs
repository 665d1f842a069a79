//! What workers share about one endpoint: the requests in flight and how long answers take.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Milliseconds on a clock that all workers share, from any origin. It wraps after 49 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Millis(pub u32);

impl Millis {
    /// Milliseconds since `earlier`; none where another worker's clock was a little ahead of ours.
    pub fn since(self, earlier: Self) -> u32 {
        let distance = self.0.wrapping_sub(earlier.0);
        if distance > u32::MAX / 2 { 0 } else { distance }
    }
}

/// How fast an estimate fades that nothing confirms.
const DECAY_MILLIS: f32 = 10_000.0;
/// The part of an estimate that one quicker answer leaves. Evidence counts, not only time: after a stall of 20 ms an
/// endpoint is as good as its neighbours again within a dozen answers instead of 30 s.
const KEPT: f32 = 0.75;
/// One answer raises an estimate fourfold at most. A single stall of the scheduler is no evidence; an endpoint that is
/// slow indeed is at its peak after four answers, and its requests in flight speak against it before the first.
const BELIEVED: f32 = 4.0;
/// The least that an estimate counts for when it is to rise, in seconds.
const QUIET: f32 = 0.000_25;
/// What takes longer is as bad as this, in seconds.
const LONGEST: f32 = 86_400.0;
/// What a failure to connect counts for, in seconds.
const PENALTY: f32 = 1.0;

/// The load of one endpoint. It has cache lines of its own (two, because processors fetch them in pairs), as
/// several workers write it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Load {
    in_flight: AtomicU32,
    /// Seconds as an `f32` above the `Millis` of the answer that gave them: one word, so that no thread ever sees
    /// the one without the other. Zero: nothing observed yet.
    latency: AtomicU64,
}

impl Load {
    /// A request begins.
    pub fn started(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that `started` is over, however it ended.
    pub fn finished(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests in flight from all workers.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// An answer took this long.
    pub fn observe(&self, now: Millis, latency: Duration) {
        // Something was observed, even if it took no time: zero is for nothing.
        let sample = latency.as_secs_f32().clamp(f32::MIN_POSITIVE, LONGEST);
        self.revise(now, |before| match before {
            None => sample,
            Some(before) if sample >= before.seconds => sample.min(BELIEVED * before.seconds.max(QUIET)),
            Some(before) => {
                let kept = fade(now, before.at).min(KEPT);
                before.seconds * kept + sample * (1.0 - kept)
            }
        });
    }

    /// A failure to connect: quick as it was, it is not low latency.
    pub fn penalise(&self, now: Millis) {
        self.revise(now, |before| {
            before.map_or(PENALTY, |before| before.seconds.max(PENALTY))
        });
    }

    /// The peak of what was observed, faded since. `None`: nothing was observed.
    pub fn latency(&self, now: Millis) -> Option<Duration> {
        self.latency_seconds(now).map(Duration::from_secs_f32)
    }

    /// As `latency`, in the unit that costs are computed in.
    pub(super) fn latency_seconds(&self, now: Millis) -> Option<f32> {
        let estimate = Estimate::unpack(self.latency.load(Ordering::Relaxed))?;
        Some(estimate.seconds * fade(now, estimate.at))
    }

    fn revise(&self, now: Millis, revised: impl Fn(Option<Estimate>) -> f32) {
        let mut word = self.latency.load(Ordering::Relaxed);
        loop {
            let next = Estimate {
                seconds: revised(Estimate::unpack(word)),
                at: now,
            }
            .pack();
            match self
                .latency
                .compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(newer) => word = newer,
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Estimate {
    seconds: f32,
    at: Millis,
}

impl Estimate {
    fn pack(self) -> u64 {
        u64::from(self.seconds.to_bits()) << 32 | u64::from(self.at.0)
    }

    fn unpack(word: u64) -> Option<Self> {
        let seconds = f32::from_bits((word >> 32) as u32);
        (seconds > 0.0).then_some(Self {
            seconds,
            at: Millis(word as u32),
        })
    }
}

/// What is left of an estimate after the time between.
fn fade(now: Millis, at: Millis) -> f32 {
    let age = now.since(at);
    // Most endpoints answered a moment ago, and an exponential costs more than the rest of a pick.
    if age < 64 {
        1.0 - age as f32 / DECAY_MILLIS
    } else {
        (-(age as f32) / DECAY_MILLIS).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(load: &Load, now: Millis) -> u32 {
        (load.latency(now).unwrap().as_secs_f64() * 1e6).round() as u32
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        assert_eq!(Load::default().latency(Millis(5)), None);
    }

    #[test]
    fn the_first_answer_is_believed_as_it_is() {
        let load = Load::default();
        load.observe(Millis(5), Duration::from_millis(40));
        assert_eq!(micros(&load, Millis(5)), 40_000);
    }

    #[test]
    fn an_answer_without_any_delay_is_an_observation_too() {
        let load = Load::default();
        load.observe(Millis(5), Duration::ZERO);
        assert!(load.latency(Millis(5)).is_some());
    }

    #[test]
    fn one_stall_is_no_evidence_and_four_slow_answers_are() {
        let load = Load::default();
        load.observe(Millis(0), Duration::from_micros(300));
        load.observe(Millis(0), Duration::from_millis(200));
        assert!(micros(&load, Millis(0)) <= 1_200);
        for _ in 0..4 {
            load.observe(Millis(0), Duration::from_millis(200));
        }
        assert_eq!(micros(&load, Millis(0)), 200_000);
    }

    #[test]
    fn quick_answers_bring_an_endpoint_back_before_time_does() {
        let load = Load::default();
        load.observe(Millis(0), Duration::from_millis(20));
        for _ in 0..12 {
            load.observe(Millis(0), Duration::from_micros(300));
        }
        assert!(micros(&load, Millis(0)) < 1_000);
    }

    #[test]
    fn an_estimate_that_nothing_confirms_fades() {
        let load = Load::default();
        load.observe(Millis(0), Duration::from_millis(100));
        assert!((36_700..36_900).contains(&micros(&load, Millis(10_000))));
        assert!((13_500..13_600).contains(&micros(&load, Millis(20_000))));
    }

    #[test]
    fn a_failure_to_connect_counts_as_a_second() {
        let load = Load::default();
        load.observe(Millis(0), Duration::from_micros(300));
        load.penalise(Millis(0));
        assert_eq!(micros(&load, Millis(0)), 1_000_000);
    }

    #[test]
    fn the_clock_may_wrap_or_be_a_little_behind() {
        let load = Load::default();
        load.observe(Millis(u32::MAX - 4_999), Duration::from_millis(100));
        assert!((36_700..36_900).contains(&micros(&load, Millis(5_000))));
        assert_eq!(micros(&load, Millis(u32::MAX - 5_001)), 100_000);
    }
}
