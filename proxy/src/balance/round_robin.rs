//! Each member in its turn, as often as its weight says and evenly spread.

use std::num::NonZeroU64;

use crate::balance::Dice;
use crate::balance::sample::Wheel;
use crate::balance::sample::common_divisor;

/// Turns that may fall to unusable members before one of the others is drawn by weight.
const PASSED: u32 = 8;

/// Walks the wheel in steps that are coprime to its size: a round visits each place once, so that a round is exact,
/// and with a step near the golden section the visits to one sector lie evenly apart (1:3:6 goes
/// `a c c b c c b c c b`). Nothing is remembered per member, and a turn is one search.
#[derive(Debug)]
pub(super) struct Rotation {
    place: u64,
    step: u64,
}

impl Rotation {
    /// Begins anywhere, so that workers do not send to the same member at the same time.
    pub(super) fn new(wheel: &Wheel, dice: &mut Dice) -> Self {
        let size = wheel.size();
        let place = NonZeroU64::new(size).map_or(0, |size| dice.below(size));
        // Equals take turns in their order.
        let step = if wheel.is_even() {
            1
        } else {
            coprime_near_golden_section(size)
        };
        Self { place, step }
    }

    pub(super) fn pick(&mut self, wheel: &Wheel, dice: &mut Dice, usable: impl Fn(usize) -> bool) -> Option<usize> {
        if wheel.size() == 0 {
            return None;
        }
        for _ in 0..PASSED {
            let index = wheel.at(self.place);
            self.place = (self.place + self.step) % wheel.size();
            if usable(index) {
                return Some(index);
            }
        }
        wheel.scan(dice, usable)
    }
}

/// The next number from 0.618 times `size` on that has no divisor in common with it.
fn coprime_near_golden_section(size: u64) -> u64 {
    let golden = (u128::from(size) * 618 / 1_000) as u64;
    (golden..size)
        .find(|step| common_divisor(size, *step) == 1)
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use super::*;
    use crate::balance::Member;
    use crate::balance::Name;

    fn wheel(weights: &[u32]) -> Wheel {
        let member = |weight: &u32| Member {
            weight: NonZeroU32::new(*weight).unwrap(),
            load: Arc::default(),
            name: Name::default(),
        };
        Wheel::new(&weights.iter().map(member).collect::<Vec<_>>())
    }

    fn walk(weights: &[u32], turns: usize, usable: impl Fn(usize) -> bool) -> Vec<usize> {
        let (wheel, mut dice) = (wheel(weights), Dice::seeded(1));
        let mut rotation = Rotation {
            place: 0,
            ..Rotation::new(&wheel, &mut dice)
        };
        (0..turns)
            .map(|_| rotation.pick(&wheel, &mut dice, &usable).unwrap())
            .collect()
    }

    #[test]
    fn equals_take_turns() {
        assert_eq!(walk(&[5, 5, 5], 7, |_| true), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_round_is_exact_and_evenly_spread() {
        assert_eq!(walk(&[1, 3, 6], 10, |_| true), [0, 2, 2, 1, 2, 2, 1, 2, 2, 1]);
    }

    #[test]
    fn the_turn_of_an_unusable_member_passes_on() {
        assert_eq!(walk(&[1, 1, 1, 1], 6, |index| index != 1), [0, 2, 3, 0, 2, 3]);
    }

    #[test]
    fn a_dead_giant_does_not_stop_the_others() {
        let picks = walk(&[1, u32::MAX, 1], 100, |index| index != 1);
        assert!(picks.contains(&0) && picks.contains(&2), "{picks:?}");
    }

    #[test]
    fn workers_begin_in_different_places() {
        let (wheel, mut dice) = (wheel(&[1; 1_000]), Dice::seeded(1));
        let first = Rotation::new(&wheel, &mut dice).place;
        assert_ne!(first, Rotation::new(&wheel, &mut dice).place);
    }
}
