//! Shares over priorities, health and localities are those that Envoy's rules give, whatever the algorithm.

use super::{Health, Rules, Shape, Spread, Standing};
use crate::balance::{Algorithm, Dice, Key, Member, Millis, Name};
use std::num::NonZeroU32;
use std::sync::Arc;

const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
const ALL: [Algorithm; 5] = [
    Algorithm::PeakEwma,
    Algorithm::LeastRequest { choices: TWO },
    Algorithm::RoundRobin,
    Algorithm::Random,
    Algorithm::Hashed,
];
const PICKS: u32 = 20_000;
use Health::{Degraded, Healthy, Unhealthy};

const IN_LOCALITIES: Rules = Rules {
    overprovisioning: 140,
    by_weight: false,
    panic_below: 0,
    by_locality: true,
};

fn at(priority: u8, health: Health) -> Standing {
    Standing {
        priority,
        health,
        locality: 0,
        locality_weight: 0,
    }
}

fn of(locality: u32, locality_weight: u32, health: Health) -> Standing {
    Standing {
        locality,
        locality_weight,
        ..at(0, health)
    }
}

fn spread(algorithm: Algorithm, rules: Rules, standings: &[Standing]) -> Spread {
    let member = || Member {
        weight: NonZeroU32::MIN,
        load: Arc::default(),
        name: Name::default(),
    };
    let members = standings.iter().map(|standing| (member(), *standing)).collect();
    Spread::new(algorithm, rules, members, &mut Dice::seeded(1))
}

fn seen(spread: &mut Spread, count: usize, usable: impl Fn(usize) -> bool) -> Vec<u32> {
    let (mut dice, mut seen) = (Dice::seeded(7), vec![0; count]);
    for _ in 0..PICKS {
        seen[spread.pick(Millis(0), None, &mut dice, &usable).unwrap()] += 1;
    }
    seen
}

/// Holds the picks of every algorithm to these percents.
#[track_caller]
fn assert_percents(rules: Rules, standings: &[Standing], percents: &[u32]) {
    for algorithm in ALL {
        let seen = seen(&mut spread(algorithm, rules, standings), standings.len(), |_| true);
        let mut chi_square = 0.0;
        for (count, percent) in seen.iter().zip(percents) {
            if *percent == 0 {
                assert_eq!(*count, 0, "{algorithm:?}: {seen:?}");
                continue;
            }
            let expected = f64::from(PICKS * percent) / 100.0;
            chi_square += (f64::from(*count) - expected).powi(2) / expected;
        }
        // Of at most four degrees of freedom: a fair die exceeds this once in a thousand times.
        assert!(
            chi_square < 18.47,
            "{algorithm:?}: {seen:?}, chi-square {chi_square:.1}"
        );
    }
}

#[test]
fn equals_are_chosen_from_without_a_look_at_anything_else() {
    let alike = spread(Algorithm::Random, Rules::default(), &[at(3, Healthy), at(3, Healthy)]);
    assert!(matches!(alike.shape, Shape::Flat(_)));
    assert_eq!(alike.places().collect::<Vec<_>>(), [0, 1]);
    let none = spread(Algorithm::Random, Rules::default(), &[]);
    assert!(matches!(none.shape, Shape::Flat(_)));
}

#[test]
fn who_is_unhealthy_is_not_chosen() {
    let standings = [at(0, Healthy), at(0, Unhealthy), at(0, Healthy)];
    assert_percents(Rules::default(), &standings, &[50, 0, 50]);
    let mut nobody = spread(Algorithm::RoundRobin, Rules::default(), &[at(0, Unhealthy)]);
    assert_eq!(nobody.pick(Millis(0), None, &mut Dice::seeded(1), |_| true), None);
    assert_eq!(nobody.places().count(), 0);
}

#[test]
fn a_priority_that_is_well_leaves_nothing_for_the_next() {
    let standings = [at(0, Healthy), at(0, Healthy), at(1, Healthy)];
    assert_percents(Rules::default(), &standings, &[50, 50, 0]);
}

#[test]
fn a_priority_that_is_half_well_leaves_the_next_what_it_lacks() {
    let standings = [at(0, Healthy), at(0, Unhealthy), at(7, Healthy), at(7, Healthy)];
    assert_percents(Rules::default(), &standings, &[70, 0, 15, 15]);
}

#[test]
fn the_degraded_take_what_nobody_healthy_can() {
    assert_percents(Rules::default(), &[at(0, Healthy), at(0, Degraded)], &[70, 30]);
    assert_percents(Rules::default(), &[at(0, Degraded), at(1, Healthy)], &[0, 100]);
    assert_percents(Rules::default(), &[at(0, Degraded), at(0, Unhealthy)], &[100, 0]);
}

#[test]
fn in_a_panic_everybody_is_chosen() {
    let rules = Rules {
        panic_below: 50,
        ..Rules::default()
    };
    let standings = [at(0, Healthy), at(0, Unhealthy), at(0, Unhealthy), at(0, Degraded)];
    assert_percents(rules, &standings[..3], &[34, 33, 33]);
    // Half of them are well: no panic, and 35 of 100 for each of both.
    assert_percents(rules, &standings, &[50, 0, 0, 50]);
}

#[test]
fn localities_share_by_their_weights_and_not_by_their_sizes() {
    let standings = [
        of(0, 1, Healthy),
        of(0, 1, Healthy),
        of(0, 1, Healthy),
        of(1, 3, Healthy),
    ];
    for algorithm in ALL {
        let seen = seen(&mut spread(algorithm, IN_LOCALITIES, &standings), 4, |_| true);
        let first: u32 = seen[..3].iter().sum();
        assert!(
            (PICKS * 24 / 100..=PICKS * 26 / 100).contains(&first),
            "{algorithm:?}: {seen:?}"
        );
    }
}

#[test]
fn a_locality_of_which_less_is_well_counts_for_less() {
    // 70 % of a weight of 10 against all of a weight of 3.
    let standings = [of(0, 10, Healthy), of(0, 10, Unhealthy), of(1, 3, Healthy)];
    // Three quarters of all are well with 140 %, so that the priority is.
    assert_percents(IN_LOCALITIES, &standings, &[70, 0, 30]);
}

#[test]
fn localities_without_a_weight_get_nothing_while_another_has_one() {
    let standings = [of(0, 0, Healthy), of(1, 5, Healthy)];
    assert_percents(IN_LOCALITIES, &standings, &[0, 100]);
    let none = [of(0, 0, Healthy), of(1, 0, Healthy)];
    assert_percents(IN_LOCALITIES, &none, &[50, 50]);
}

#[test]
fn who_backs_off_is_followed_by_the_others_of_the_locality_then_the_priority_then_the_next() {
    let standings = [
        of(0, 1, Healthy),
        of(0, 1, Healthy),
        of(1, 1, Healthy),
        at(1, Degraded),
        at(1, Unhealthy),
    ];
    for algorithm in ALL {
        let mut spread = spread(algorithm, IN_LOCALITIES, &standings);
        let mut left = |out: &[usize]| {
            let seen = seen(&mut spread, 5, |place| !out.contains(&place));
            (0..5).filter(|place| seen[*place] > 0).collect::<Vec<_>>()
        };
        assert_eq!(left(&[]), [0, 1, 2], "{algorithm:?}");
        assert_eq!(left(&[0]), [1, 2], "{algorithm:?}");
        assert_eq!(left(&[0, 1]), [2], "{algorithm:?}");
        assert_eq!(left(&[0, 1, 2]), [3], "{algorithm:?}");
        let all = spread.pick(Millis(0), None, &mut Dice::seeded(1), |place| place > 3);
        assert_eq!(all, None, "{algorithm:?}: who is unhealthy is not asked");
    }
}

#[test]
fn a_client_keeps_its_endpoint_through_priorities_and_localities_and_clients_have_their_shares() {
    let standings = [
        of(0, 1, Healthy),
        of(0, 1, Healthy),
        of(1, 3, Healthy),
        of(1, 3, Unhealthy),
        at(1, Healthy),
    ];
    let members = standings.iter().enumerate().map(|(number, standing)| {
        let member = Member {
            weight: NonZeroU32::MIN,
            load: Arc::default(),
            name: std::net::SocketAddr::from(([10, 0, 0, number as u8], 80)).into(),
        };
        (member, *standing)
    });
    let mut spread = Spread::new(
        Algorithm::Hashed,
        IN_LOCALITIES,
        members.collect(),
        &mut Dice::seeded(1),
    );
    let (mut dice, mut seen) = (Dice::seeded(7), [0; 5]);
    for client in 0..PICKS {
        let key = Some(Key::of_client(std::net::Ipv4Addr::from_bits(client).into()));
        let first = spread.pick(Millis(0), key, &mut dice, |_| true).unwrap();
        for _ in 0..3 {
            assert_eq!(spread.pick(Millis(0), key, &mut dice, |_| true), Some(first));
        }
        seen[first] += 1;
    }
    assert_eq!((seen[3], seen[4]), (0, 0), "{seen:?}");
    // The second locality counts for 1.4 halves of its weight.
    let second = f64::from(seen[2]) / f64::from(PICKS);
    assert!((second - 2.1 / 3.1).abs() < 0.02, "{seen:?}");
    assert!((f64::from(seen[0]) / f64::from(seen[1]) - 1.0).abs() < 0.1, "{seen:?}");
}

#[test]
fn a_key_says_nothing_to_an_algorithm_that_does_not_hash() {
    let key = Some(Key::of_client(std::net::Ipv4Addr::LOCALHOST.into()));
    for standings in [[at(0, Healthy), at(0, Healthy)], [at(0, Healthy), at(0, Degraded)]] {
        let mut spread = spread(Algorithm::Random, Rules::default(), &standings);
        let mut dice = Dice::seeded(3);
        let picks: Vec<_> = (0..200)
            .map(|_| spread.pick(Millis(0), key, &mut dice, |_| true).unwrap())
            .collect();
        if standings[1].health == Healthy {
            assert!(picks.contains(&0) && picks.contains(&1));
        }
    }
}
