//! Which traces are recorded of which nobody has decided yet.

use super::context::Decision;
use evenkeel_control_api::mesh::settings::Share;
use opentelemetry::trace::TraceId;

/// The identities below are recorded: every proxy with the same share decides the same about a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    below: u64,
}

impl Sampler {
    pub(super) fn new(share: Share) -> Self {
        let all = u128::from(Share::ALL.millionths());
        Self {
            below: ((u128::from(share.millionths()) << 63) / all) as u64,
        }
    }

    /// By the lower half of the identity, without its lowest bit, as the samplers of OpenTelemetry's libraries do.
    pub(super) fn decide(self, trace: TraceId) -> Decision {
        let number = u128::from_be_bytes(trace.to_bytes()) as u64 >> 1;
        if number < self.below {
            Decision::Sample
        } else {
            Decision::Drop
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::trace::identities::Identities;

    fn sampler(millionths: u32) -> Sampler {
        Sampler::new(Share::of_millionths(millionths).unwrap())
    }

    #[test]
    fn none_and_all_are_what_they_say() {
        for number in [1, u64::MAX, u64::MAX >> 1, 1 << 63] {
            let trace = TraceId::from(u128::from(number));
            assert_eq!(sampler(0).decide(trace), Decision::Drop);
            assert_eq!(sampler(1_000_000).decide(trace), Decision::Sample);
        }
    }

    #[test]
    fn a_share_is_the_share_of_random_identities() {
        let identities = Identities::new();
        let sampler = sampler(10_000);
        let drawn = 100_000;
        let count = (0..drawn)
            .filter(|_| sampler.decide(identities.draw().0).samples())
            .count();
        // 1,000 are expected; six standard deviations of a binomial (31.5 each) are exceeded once in 500 million runs.
        assert!((811..=1_189).contains(&count), "{count}");
    }

    #[test]
    fn a_larger_share_records_what_a_smaller_one_does() {
        let identities = Identities::new();
        let (few, more) = (sampler(100_000), sampler(300_000));
        for _ in 0..10_000 {
            let trace = identities.draw().0;
            assert!(more.decide(trace).samples() || !few.decide(trace).samples());
        }
    }
}
