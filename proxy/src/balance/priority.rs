//! How much of the traffic each priority gets, by how many of its endpoints are well; the same as in Envoy.
//!
//! A priority with so many well that the overprovisioning makes 100 % of them takes all there is; what it lacks goes to the
//! next one. Degraded endpoints take what the healthy ones of all priorities cannot. Where the few that are well would be
//! overrun, and the configuration says so, all endpoints are chosen from: a panic.

/// How much is well.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) healthy: u64,
    pub(super) degraded: u64,
    pub(super) all: u64,
}

/// One priority.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Census {
    /// Its endpoints by their number.
    pub(super) number: Tally,
    /// The same by their weight, if that counts for their health.
    pub(super) weight: Tally,
}

/// One priority's part of the traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// Percent that go to healthy endpoints.
    pub(super) healthy: u32,
    /// Percent that go to degraded ones.
    pub(super) degraded: u32,
    /// Both go to any endpoint.
    pub(super) is_panic: bool,
}

/// What holds for all priorities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// For how many percent of its endpoints a priority counts that has so many well.
    pub(super) overprovisioning: u32,
    /// With fewer percent well a priority is in a panic; 0: never.
    pub(super) panic_below: u8,
    /// Health is that of weights, not of numbers.
    pub(super) by_weight: bool,
}

/// The shares of all priorities, the highest first. They add up to 100.
pub(super) fn shares(priorities: &[Census], terms: Terms) -> Vec<Share> {
    let mut shares = vec![Share::default(); priorities.len()];
    let counted = |census: &Census| if terms.by_weight { census.weight } else { census.number };
    let health = |part: fn(Tally) -> u64| -> Vec<u32> {
        let parts = priorities.iter().map(counted);
        parts
            .map(|tally| percent(part(tally), tally.all, terms.overprovisioning))
            .collect()
    };
    let (healthy, degraded) = (health(|tally| tally.healthy), health(|tally| tally.degraded));
    let sum: u64 = healthy.iter().chain(&degraded).map(|percent| u64::from(*percent)).sum();
    let available = sum.min(100) as u32;
    if terms.panic_below > 0 && available < 100 {
        let is_panic = |census: &Census| {
            let Tally { healthy, degraded, all } = census.number;
            100 * (healthy + degraded) < u64::from(terms.panic_below) * all.max(1)
        };
        if priorities.iter().all(is_panic) {
            return total_panic(priorities);
        }
        for (share, census) in shares.iter_mut().zip(priorities) {
            share.is_panic = is_panic(census);
        }
    }
    distribute(&mut shares, (&healthy, &degraded), available);
    shares
}

/// Fills the priorities up in their order, first the healthy part of each, then the degraded.
fn distribute(shares: &mut [Share], (healthy, degraded): (&[u32], &[u32]), available: u32) {
    let mut left = 100;
    let mut take = |percent: u32| {
        let taken = (percent * 100).checked_div(available).unwrap_or_default().min(left);
        left -= taken;
        taken
    };
    for (share, percent) in shares.iter_mut().zip(healthy) {
        share.healthy = take(*percent);
    }
    for (share, percent) in shares.iter_mut().zip(degraded) {
        share.degraded = take(*percent);
    }
    // Divisions round down; the first that has anything gets the rest.
    if let Some(first) = healthy.iter().position(|percent| *percent > 0) {
        shares[first].healthy += left;
    } else if let Some(first) = degraded.iter().position(|percent| *percent > 0) {
        shares[first].degraded += left;
    } else if let Some(first) = shares.first_mut() {
        first.healthy += left;
    }
}

/// Too few are well in every priority: what is well does not count, but how many there are.
fn total_panic(priorities: &[Census]) -> Vec<Share> {
    let all: u64 = priorities.iter().map(|census| census.number.all).sum();
    let part = |census: &Census| (100 * census.number.all).checked_div(all).unwrap_or_default() as u32;
    let mut shares: Vec<_> = priorities
        .iter()
        .map(|census| Share {
            healthy: part(census),
            degraded: 0,
            is_panic: true,
        })
        .collect();
    let left = 100 - shares.iter().map(|share| share.healthy).sum::<u32>();
    if let Some(first) = priorities.iter().position(|census| census.number.all > 0) {
        shares[first].healthy += left;
    }
    shares
}

/// `part` of `all` in percent, overprovisioned.
fn percent(part: u64, all: u64, overprovisioning: u32) -> u32 {
    let scaled = u128::from(overprovisioning) * u128::from(part);
    scaled.checked_div(u128::from(all)).unwrap_or_default().min(100) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        overprovisioning: 140,
        panic_below: 0,
        by_weight: false,
    };

    fn priority(healthy: u64, degraded: u64, all: u64) -> Census {
        let number = Tally { healthy, degraded, all };
        Census {
            number,
            weight: Tally::default(),
        }
    }

    /// Healthy and degraded percents; a panic is told by a third number.
    fn said(priorities: &[Census], terms: Terms) -> Vec<(u32, u32, bool)> {
        let shares = shares(priorities, terms);
        let sum: u32 = shares.iter().map(|share| share.healthy + share.degraded).sum();
        assert_eq!(sum, 100, "{shares:?}");
        shares
            .into_iter()
            .map(|share| (share.healthy, share.degraded, share.is_panic))
            .collect()
    }

    #[test]
    fn a_priority_spills_over_when_fewer_than_71_percent_of_it_are_well() {
        // The table of Envoy's documentation on priority levels, for an overprovisioning factor of 1.4.
        for (well, first) in [(100, 100), (72, 100), (71, 99), (50, 70), (25, 35), (0, 0)] {
            let priorities = [priority(well, 0, 100), priority(100, 0, 100)];
            assert_eq!(
                said(&priorities, TERMS),
                [(first, 0, false), (100 - first, 0, false)],
                "{well}"
            );
        }
    }

    #[test]
    fn what_all_priorities_lack_is_made_up_in_proportion() {
        let few = [priority(25, 0, 100), priority(25, 0, 100)];
        assert_eq!(said(&few, TERMS), [(50, 0, false), (50, 0, false)]);
        let three = [priority(0, 0, 4), priority(1, 0, 4), priority(1, 0, 2)];
        // 35 and 70 percent: together more than all.
        assert_eq!(said(&three, TERMS), [(0, 0, false), (35, 0, false), (65, 0, false)]);
    }

    #[test]
    fn degraded_endpoints_get_what_the_healthy_ones_cannot_take() {
        assert_eq!(said(&[priority(1, 1, 2)], TERMS), [(70, 30, false)]);
        assert_eq!(said(&[priority(0, 2, 2)], TERMS), [(0, 100, false)]);
        let lower_is_well = [priority(0, 2, 2), priority(2, 0, 2)];
        assert_eq!(said(&lower_is_well, TERMS), [(0, 0, false), (100, 0, false)]);
    }

    #[test]
    fn a_panic_is_for_those_who_ask_for_it_and_not_while_enough_are_well() {
        let terms = Terms {
            panic_below: 50,
            ..TERMS
        };
        assert_eq!(said(&[priority(1, 0, 3)], TERMS), [(100, 0, false)]);
        assert_eq!(said(&[priority(1, 0, 3)], terms), [(100, 0, true)]);
        assert_eq!(said(&[priority(2, 0, 3)], terms), [(100, 0, false)]);
        let enough_below = [priority(1, 0, 4), priority(4, 0, 4)];
        assert_eq!(said(&enough_below, terms), [(35, 0, false), (65, 0, false)]);
        let one_panics = [priority(1, 0, 4), priority(2, 0, 4)];
        assert_eq!(
            said(
                &one_panics,
                Terms {
                    panic_below: 30,
                    overprovisioning: 100,
                    ..TERMS
                }
            ),
            [(34, 0, true), (66, 0, false)]
        );
    }

    #[test]
    fn in_a_total_panic_numbers_count() {
        let terms = Terms {
            panic_below: 50,
            ..TERMS
        };
        let none = [priority(0, 0, 1), priority(0, 0, 3)];
        assert_eq!(said(&none, terms), [(25, 0, true), (75, 0, true)]);
        assert_eq!(said(&none, TERMS), [(100, 0, false), (0, 0, false)]);
    }

    #[test]
    fn weights_count_for_health_where_they_are_to() {
        let census = Census {
            number: Tally {
                healthy: 1,
                degraded: 0,
                all: 2,
            },
            weight: Tally {
                healthy: 9,
                degraded: 0,
                all: 10,
            },
        };
        let other = priority(1, 0, 1);
        let other = Census {
            weight: other.number,
            ..other
        };
        assert_eq!(said(&[census, other], TERMS)[0].0, 70);
        assert_eq!(
            said(
                &[census, other],
                Terms {
                    by_weight: true,
                    ..TERMS
                }
            )[0]
            .0,
            100
        );
    }

    #[test]
    fn empty_priorities_and_the_largest_numbers_are_survived() {
        let empty = [priority(0, 0, 0), priority(3, 0, 3)];
        assert_eq!(said(&empty, TERMS), [(0, 0, false), (100, 0, false)]);
        assert_eq!(percent(u64::MAX, u64::MAX, u32::MAX), 100);
        assert!(shares(&[], TERMS).is_empty());
    }
}
