//! What is left to chance.

use super::{Request, die, everything, forward, route, table};
use crate::route::{Decision, Forward, Table, Target};
use evenkeel_control_api::resource::route::{
    ClusterName, Destination, Fraction, Mutations, RouteMatch, WeightedCluster,
};

/// How often each of these places is taken in so many requests.
fn shares<const N: usize>(table: &Table, requests: usize) -> [usize; N] {
    let mut shares = [0; N];
    let mut throw = die(11);
    let request = Request::to("/");
    for _ in 0..requests {
        let (_, found) = table.find(|| request.ask(), &mut throw);
        let Decision::Forward(Forward {
            cluster: Target::Place(place),
            ..
        }) = found
        else {
            panic!("{found:?}")
        };
        shares[*place] += 1;
    }
    shares
}

fn weighted(weights: &[u32]) -> route::Action {
    let several = weights.iter().enumerate().map(|(place, weight)| WeightedCluster {
        cluster: ClusterName::Literal(place.to_string()),
        weight: *weight,
        mutations: Mutations::default(),
        host: None,
    });
    route::Action::Forward(Box::new(route::Forward {
        destination: Destination::Weighted(several.collect()),
        ..forward("")
    }))
}

/// Three standard deviations of a binomial share.
#[track_caller]
fn assert_near(found: usize, requests: usize, share: f64) {
    let requests = requests as f64;
    let (expected, deviation) = (requests * share, (requests * share * (1.0 - share)).sqrt());
    assert!(
        (found as f64 - expected).abs() <= 3.0 * deviation,
        "{found} of {requests}, not {share}"
    );
}

#[test]
fn clusters_get_requests_by_their_weights_and_those_of_no_weight_none() {
    let mut one = route(everything(), 0);
    one.action = weighted(&[1, 0, 3, 6]);
    let shares: [usize; 4] = shares(&table(vec![one]), 10_000);
    for (share, found) in [0.1, 0.0, 0.3, 0.6].into_iter().zip(shares) {
        assert_near(found, 10_000, share);
    }
}

#[test]
fn a_fraction_and_the_weights_behind_it_are_thrown_for_one_by_one() {
    let half = RouteMatch {
        fraction: Some(Fraction {
            numerator: 50,
            denominator: 100,
        }),
        ..everything()
    };
    let mut one = route(half, 0);
    one.action = weighted(&[1, 1]);
    let shares: [usize; 3] = shares(&table(vec![one, route(everything(), 2)]), 10_000);
    for (share, found) in [0.25, 0.25, 0.5].into_iter().zip(shares) {
        assert_near(found, 10_000, share);
    }
}

#[test]
fn no_request_is_among_none() {
    let none = RouteMatch {
        fraction: Some(Fraction {
            numerator: 0,
            denominator: 1_000_000,
        }),
        ..everything()
    };
    assert_eq!(
        shares::<2>(&table(vec![route(none, 0), route(everything(), 1)]), 1_000),
        [0, 1_000]
    );
}

#[test]
fn a_table_knows_every_cluster_that_it_may_lead_to() {
    let mut one = route(everything(), 9);
    one.action = weighted(&[1, 2, 3]);
    assert_eq!(
        table(vec![one, route(everything(), 4)]).clusters().collect::<Vec<_>>(),
        [0, 1, 2, 4]
    );
}
