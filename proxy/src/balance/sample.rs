//! Drawing members by weight.

use std::num::NonZeroU64;

use crate::balance::Dice;
use crate::balance::Member;

/// Throws before the members are looked through. With half of them unusable a scan follows one pick in sixteen.
const THROWS: u32 = 4;

/// A wheel of fortune with a sector for each member. Members of one weight are found by their number, others by
/// binary search.
#[derive(Debug)]
pub(super) struct Wheel {
    /// Where each member's sector ends. Weights are in lowest terms, so those of equals are 1.
    ends: Vec<u64>,
    /// What one request weighs on each: 1 on a member of average weight, 2 on one of half the average.
    burdens: Vec<f32>,
}

impl Wheel {
    pub(super) fn new(members: &[Member]) -> Self {
        let weights = || members.iter().map(|member| u64::from(member.weight.get()));
        let unit = weights().fold(0, common_divisor).max(1);
        let ends = weights().scan(0, |end, weight| {
            *end += weight / unit;
            Some(*end)
        });
        let mean = weights().sum::<u64>() as f32 / members.len() as f32;
        let burdens = weights().map(|weight| mean / weight as f32);
        Self {
            ends: ends.collect(),
            burdens: burdens.collect(),
        }
    }

    /// A usable member that is not `except`, by weight.
    pub(super) fn draw(&self, dice: &mut Dice, except: Option<usize>, usable: impl Fn(usize) -> bool) -> Option<usize> {
        // The sector of `except` is cut out and the wheel closed, so that the others keep their proportions.
        let hole = except.map_or(0..0, |index| self.start(index)..self.ends[index]);
        let room = NonZeroU64::new(self.size() - (hole.end - hole.start))?;
        for _ in 0..THROWS {
            let throw = dice.below(room);
            let index = self.at(if throw < hole.start {
                throw
            } else {
                throw + (hole.end - hole.start)
            });
            if usable(index) {
                return Some(index);
            }
        }
        self.scan(dice, |index| Some(index) != except && usable(index))
    }

    /// The member whose sector holds this place.
    pub(super) fn at(&self, place: u64) -> usize {
        if self.is_even() {
            place as usize
        } else {
            self.ends.partition_point(|end| *end <= place)
        }
    }

    /// Whether all members have one weight.
    pub(super) fn is_even(&self) -> bool {
        self.size() == self.ends.len() as u64
    }

    /// A usable member by weight, found by looking at all of them.
    pub(super) fn scan(&self, dice: &mut Dice, usable: impl Fn(usize) -> bool) -> Option<usize> {
        // `usable` may answer otherwise the second time; the last one that it allowed will do then.
        let usable_size = (0..self.ends.len())
            .filter(|index| usable(*index))
            .map(|index| self.sector(index))
            .sum();
        let mut left = dice.below(NonZeroU64::new(usable_size)?);
        let mut found = None;
        for index in (0..self.ends.len()).filter(|index| usable(*index)) {
            found = Some(index);
            match left.checked_sub(self.sector(index)) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        found
    }

    /// What one request weighs on this member.
    pub(super) fn burden(&self, index: usize) -> f32 {
        self.burdens[index]
    }

    /// The sum of the sectors.
    pub(super) fn size(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn sector(&self, index: usize) -> u64 {
        self.ends[index] - self.start(index)
    }

    fn start(&self, index: usize) -> u64 {
        if index == 0 { 0 } else { self.ends[index - 1] }
    }
}

/// The greatest number that divides both; that of zero and a number is the number.
pub(super) fn common_divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use super::*;

    fn wheel(weights: &[u32]) -> Wheel {
        let member = |weight: &u32| Member {
            weight: NonZeroU32::new(*weight).unwrap(),
            load: Arc::default(),
            name: crate::balance::Name::default(),
        };
        Wheel::new(&weights.iter().map(member).collect::<Vec<_>>())
    }

    #[test]
    fn a_place_belongs_to_the_sector_that_it_lies_in() {
        let places: Vec<usize> = (0..10).map(|place| wheel(&[1, 3, 6]).at(place)).collect();
        assert_eq!(places, [0, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
    }

    #[test]
    fn weights_are_reduced_to_their_lowest_terms() {
        assert_eq!(wheel(&[100, 300, 600]).size(), 10);
        assert!(wheel(&[7, 7, 7]).is_even());
        assert!(!wheel(&[7, 7, 8]).is_even());
    }

    #[test]
    fn the_largest_weights_add_up_without_wrapping() {
        let wheel = wheel(&[u32::MAX, u32::MAX - 1, u32::MAX]);
        assert_eq!(wheel.size(), 3 * u64::from(u32::MAX) - 1);
        assert_eq!(wheel.at(wheel.size() - 1), 2);
    }

    #[test]
    fn an_exception_leaves_the_others_in_proportion() {
        let (wheel, mut dice) = (wheel(&[1, 3, 6]), Dice::seeded(1));
        let mut seen = [0_u32; 3];
        for _ in 0..28_000 {
            seen[wheel.draw(&mut dice, Some(1), |_| true).unwrap()] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((3_700..=4_300).contains(&seen[0]), "{seen:?}");
    }

    #[test]
    fn a_scan_is_as_fair_as_a_throw() {
        let (wheel, mut dice) = (wheel(&[1, 3, 6, 1_000_000]), Dice::seeded(1));
        let mut seen = [0_u32; 4];
        for _ in 0..20_000 {
            seen[wheel.draw(&mut dice, None, |index| index < 3).unwrap()] += 1;
        }
        assert_eq!(seen[3], 0);
        assert!((1_800..=2_200).contains(&seen[0]), "{seen:?}");
        assert!((5_700..=6_300).contains(&seen[1]), "{seen:?}");
    }

    #[test]
    fn a_wheel_without_usable_members_yields_none() {
        let mut dice = Dice::seeded(1);
        assert_eq!(wheel(&[]).draw(&mut dice, None, |_| true), None);
        assert_eq!(wheel(&[5]).draw(&mut dice, Some(0), |_| true), None);
        assert_eq!(wheel(&[1, 2]).draw(&mut dice, None, |_| false), None);
    }
}
