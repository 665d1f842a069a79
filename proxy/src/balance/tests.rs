//! What holds for every algorithm: shares, exclusion, and answers that come back in their own time.
//!
//! A closed loop of `concurrency` clients is simulated: each sends its next request when its last was answered. Seeds
//! are fixed, so a share is the same in every run; the thresholds say how far from its ideal it may lie.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::balance::Algorithm;
use crate::balance::Balancer;
use crate::balance::Dice;
use crate::balance::Member;
use crate::balance::Millis;
use crate::balance::Name;

const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
const ALL: [Algorithm; 5] = [
    Algorithm::PeakEwma,
    Algorithm::LeastRequest { choices: TWO },
    Algorithm::RoundRobin,
    Algorithm::Random,
    Algorithm::Hashed,
];

fn members(weights: &[u32]) -> Vec<Member> {
    let member = |weight: &u32| Member {
        weight: NonZeroU32::new(*weight).unwrap(),
        load: Arc::default(),
        name: Name::default(),
    };
    weights.iter().map(member).collect()
}

struct Simulation {
    balancer: Balancer,
    dice: Dice,
    micros: u64,
    sent: u64,
    answers: BinaryHeap<Reverse<(u64, u64, u64, usize)>>,
    seen: Vec<u32>,
}

impl Simulation {
    fn new(algorithm: Algorithm, weights: &[u32]) -> Self {
        let mut dice = Dice::seeded(42);
        let balancer = Balancer::new(algorithm, members(weights), &mut dice);
        Self {
            balancer,
            dice,
            micros: 0,
            sent: 0,
            answers: BinaryHeap::new(),
            seen: vec![0; weights.len()],
        }
    }

    fn now(&self) -> Millis {
        Millis((self.micros / 1_000) as u32)
    }

    /// Sends this many requests; `micros` says how long a member takes for one.
    fn run(&mut self, requests: u32, concurrency: usize, micros: impl Fn(usize, &mut Dice) -> u64) -> Vec<f64> {
        self.seen.fill(0);
        for _ in 0..requests {
            while self.answers.len() >= concurrency {
                self.answer();
            }
            let index = self.balancer.pick(self.now(), None, &mut self.dice, |_| true).unwrap();
            self.seen[index] += 1;
            self.balancer.members()[index].load.started();
            let took = micros(index, &mut self.dice);
            self.sent += 1;
            self.answers.push(Reverse((self.micros + took, self.sent, took, index)));
        }
        self.seen
            .iter()
            .map(|count| f64::from(*count) / f64::from(requests))
            .collect()
    }

    fn answer(&mut self) {
        let Reverse((at, _, took, index)) = self.answers.pop().unwrap();
        self.micros = at;
        let load = &self.balancer.members()[index].load;
        load.finished();
        load.observe(Millis((at / 1_000) as u32), Duration::from_micros(took));
    }
}

/// Log-normal about 0.3 ms; one standard deviation is a factor of two.
fn jittery(_: usize, dice: &mut Dice) -> u64 {
    let normal = (0..12).map(|_| dice.unit()).sum::<f32>() - 6.0;
    (300.0 * normal.exp2()) as u64
}

fn steady(_: usize, _: &mut Dice) -> u64 {
    300
}

#[track_caller]
fn assert_shares(shares: &[f64], ideal: &[f64], tolerance: f64, of: impl std::fmt::Debug) {
    let near = shares
        .iter()
        .zip(ideal)
        .all(|(share, ideal)| (share - ideal).abs() <= tolerance);
    assert!(near, "{of:?}: {shares:.3?} is not {ideal:.3?} within {tolerance}");
}

#[test]
fn weights_are_respected_by_requests_one_after_the_other() {
    for algorithm in ALL {
        for micros in [steady, jittery] {
            let shares = Simulation::new(algorithm, &[1, 3, 6]).run(30_000, 1, micros);
            assert_shares(&shares, &[0.1, 0.3, 0.6], 0.01, algorithm);
        }
    }
}

#[test]
fn weights_are_respected_with_thirty_requests_in_flight() {
    for algorithm in ALL {
        for micros in [steady, jittery] {
            let shares = Simulation::new(algorithm, &[1, 3, 6]).run(30_000, 30, micros);
            assert_shares(&shares, &[0.1, 0.3, 0.6], 0.02, algorithm);
        }
    }
}

#[test]
fn weights_are_nearly_respected_with_few_requests_in_flight() {
    for algorithm in ALL {
        for concurrency in 2..=10 {
            let shares = Simulation::new(algorithm, &[1, 3, 6]).run(30_000, concurrency, jittery);
            assert_shares(&shares, &[0.1, 0.3, 0.6], 0.05, (algorithm, concurrency));
        }
    }
}

#[test]
fn equals_get_a_third_each_within_the_chance_of_a_fair_die() {
    for algorithm in ALL {
        let shares = Simulation::new(algorithm, &[1, 1, 1]).run(30_000, 1, jittery);
        let deviation = |share: &f64| (share * 30_000.0 - 10_000.0).powi(2) / 10_000.0;
        let chi_square: f64 = shares.iter().map(deviation).sum();
        // Two degrees of freedom: a fair die exceeds this once in a thousand times.
        assert!(
            chi_square < 13.82,
            "{algorithm:?}: {shares:.3?}, chi-square {chi_square:.1}"
        );
    }
}

#[test]
fn noise_does_not_skew_any_thousand_of_requests() {
    let mut simulation = Simulation::new(Algorithm::PeakEwma, &[1, 1, 1]);
    for thousand in 0..30 {
        let shares = simulation.run(1_000, 1, jittery);
        // Four standard deviations of a fair die.
        assert_shares(&shares, &[1.0 / 3.0; 3], 0.06, thousand);
    }
}

#[test]
fn a_stall_costs_an_endpoint_nothing_of_its_share() {
    let mut simulation = Simulation::new(Algorithm::PeakEwma, &[1, 1, 1]);
    simulation.run(1_000, 1, jittery);
    simulation.balancer.members()[0]
        .load
        .observe(simulation.now(), Duration::from_millis(200));
    let shares = simulation.run(1_000, 1, jittery);
    assert_shares(&shares, &[1.0 / 3.0; 3], 0.06, "after the stall");
}

#[test]
fn a_replica_two_hundred_milliseconds_slower_gets_under_a_tenth() {
    let slow = |index: usize, dice: &mut Dice| 700 + jittery(index, dice) + if index == 0 { 200_000 } else { 0 };
    let slower = [
        (Algorithm::PeakEwma, 10),
        (Algorithm::PeakEwma, 1),
        (Algorithm::LeastRequest { choices: TWO }, 10),
    ];
    for (algorithm, concurrency) in slower {
        for weights in [&[1, 1, 1][..], &[1, 1]] {
            let mut simulation = Simulation::new(algorithm, weights);
            let first = simulation.run(1_000, concurrency, slow);
            let later = simulation.run(10_000, concurrency, slow);
            assert!(first[0] < 0.1, "{algorithm:?}: {first:.3?}");
            assert!(later[0] < 0.02, "{algorithm:?}: {later:.3?}");
        }
    }
}

#[test]
fn a_replica_that_was_slow_gets_its_share_back() {
    let mut simulation = Simulation::new(Algorithm::PeakEwma, &[1, 1, 1]);
    simulation.run(1_000, 10, |index, _| if index == 0 { 200_000 } else { 1_000 });
    simulation.run(60_000, 10, jittery);
    let shares = simulation.run(10_000, 10, jittery);
    assert_shares(&shares, &[1.0 / 3.0; 3], 0.02, "recovered");
}

#[test]
fn a_refused_connection_does_not_make_an_endpoint_look_quick() {
    let mut simulation = Simulation::new(Algorithm::PeakEwma, &[1, 1, 1]);
    simulation.run(1_000, 1, jittery);
    simulation.balancer.members()[0].load.penalise(simulation.now());
    let shares = simulation.run(1_000, 1, jittery);
    assert!(shares[0] < 0.05, "{shares:.3?}");
}

#[test]
fn a_new_endpoint_is_neither_stormed_nor_shunned() {
    let mut simulation = Simulation::new(Algorithm::PeakEwma, &[1, 1, 1]);
    for load in simulation.balancer.members()[1..].iter().map(|member| &member.load) {
        load.observe(Millis(0), Duration::from_millis(50));
    }
    // Nobody has answered yet: thirty requests go out at once.
    let shares = simulation.run(30, 30, |_, _| 50_000);
    assert_shares(&shares, &[1.0 / 3.0; 3], 0.1, "first thirty");
    let shares = simulation.run(10_000, 30, |_, _| 50_000);
    assert_shares(&shares, &[1.0 / 3.0; 3], 0.02, "from then on");
}

#[test]
fn what_is_not_usable_is_never_chosen() {
    for algorithm in ALL {
        let mut dice = Dice::seeded(1);
        let mut balancer = Balancer::new(algorithm, members(&[1, 3, 6, 1_000_000, 2]), &mut dice);
        let mut seen = [0_u32; 5];
        for _ in 0..10_000 {
            seen[balancer
                .pick(Millis(0), None, &mut dice, |index| index != 3 && index != 1)
                .unwrap()] += 1;
        }
        assert_eq!((seen[1], seen[3]), (0, 0), "{algorithm:?}");
        let shares = [0, 2, 4].map(|index: usize| f64::from(seen[index]) / 10_000.0);
        assert_shares(&shares, &[1.0 / 9.0, 6.0 / 9.0, 2.0 / 9.0], 0.02, algorithm);
    }
}

#[test]
fn the_last_usable_one_of_a_thousand_is_found() {
    for algorithm in ALL {
        let mut dice = Dice::seeded(1);
        let mut balancer = Balancer::new(algorithm, members(&[7; 1_000]), &mut dice);
        assert_eq!(
            balancer.pick(Millis(0), None, &mut dice, |index| index == 617),
            Some(617),
            "{algorithm:?}"
        );
    }
}

#[test]
fn nothing_usable_is_none() {
    for algorithm in ALL {
        let mut dice = Dice::seeded(1);
        for weights in [&[][..], &[1], &[1, 3, 6]] {
            let mut balancer = Balancer::new(algorithm, members(weights), &mut dice);
            assert_eq!(
                balancer.pick(Millis(0), None, &mut dice, |_| false),
                None,
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn the_largest_weights_are_respected() {
    for algorithm in ALL {
        let shares = Simulation::new(algorithm, &[u32::MAX / 3, u32::MAX]).run(10_000, 1, steady);
        assert_shares(&shares, &[0.25, 0.75], 0.02, algorithm);
    }
}

#[test]
fn two_workers_share_loads_and_lose_no_request() {
    let shared = members(&[1, 1, 1]);
    let work = |seed: u32| {
        let mut dice = Dice::seeded(seed.into());
        let mut balancer = Balancer::new(Algorithm::PeakEwma, shared.clone(), &mut dice);
        for round in 0..20_000 {
            // The clocks are far apart, so that each worker finds the other's estimates faded or from the future.
            let now = Millis(seed * 1_000_000);
            let index = balancer.pick(now, None, &mut dice, |_| true).unwrap();
            let load = &balancer.members()[index].load;
            load.started();
            load.observe(now, Duration::from_secs(seed.into()));
            let known = load.latency(Millis(0)).unwrap();
            assert!((0.9..=2.1).contains(&known.as_secs_f32()), "round {round}: {known:?}");
            load.finished();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(1));
        scope.spawn(|| work(2));
    });
    for member in &shared {
        assert_eq!(member.load.in_flight(), 0);
    }
}
