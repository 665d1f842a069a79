//! Which locality of a priority gets the next request, by the weights of localities; the same as in Envoy.

use crate::balance::Dice;
use std::num::NonZeroU64;

/// What the part of a locality that is well is counted in.
const WHOLE: u64 = 10_000;

/// A locality counts for its weight as long as so many of its endpoints are well that the overprovisioning makes 100 % of
/// them; with fewer it counts for less.
pub(super) fn effective_weight(weight: u32, well: u64, all: u64, overprovisioning: u32) -> u64 {
    let part = u128::from(overprovisioning) * u128::from(WHOLE / 100) * u128::from(well);
    let part = part.checked_div(u128::from(all)).unwrap_or_default();
    u64::from(weight) * part.min(u128::from(WHOLE)) as u64
}

/// Draws one of some by their weights.
#[derive(Debug)]
pub(super) struct Draw {
    /// Where each one's sector ends.
    ends: Vec<u64>,
}

impl Draw {
    /// Those of no weight are never drawn.
    pub(super) fn new(weights: impl IntoIterator<Item = u64>) -> Self {
        let ends = weights.into_iter().scan(0_u64, |end, weight| {
            *end = end.saturating_add(weight);
            Some(*end)
        });
        Self { ends: ends.collect() }
    }

    /// The place of one; 0 where none has any weight, or there is but one.
    pub(super) fn pick(&self, dice: &mut Dice) -> usize {
        let size = self.ends.last().copied().and_then(NonZeroU64::new);
        match size {
            Some(size) if self.ends.len() > 1 => {
                let throw = dice.below(size);
                self.ends.partition_point(|end| *end <= throw)
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locality_counts_for_less_when_fewer_than_71_percent_of_it_are_well() {
        let of = |well| effective_weight(10, well, 100, 140);
        assert_eq!([of(100), of(72), of(50), of(0)], [100_000, 100_000, 70_000, 0]);
        assert_eq!(
            effective_weight(u32::MAX, u64::MAX, u64::MAX, u32::MAX),
            u64::from(u32::MAX) * WHOLE
        );
        assert_eq!(effective_weight(1, 0, 0, 140), 0);
    }

    #[test]
    fn what_has_no_weight_is_never_drawn() {
        let (draw, mut dice) = (Draw::new([0, 1, 0, 3, 0]), Dice::seeded(1));
        let mut seen = [0_u32; 5];
        for _ in 0..8_000 {
            seen[draw.pick(&mut dice)] += 1;
        }
        assert_eq!((seen[0], seen[2], seen[4]), (0, 0, 0));
        assert!((1_800..=2_200).contains(&seen[1]), "{seen:?}");
        assert_eq!(Draw::new([0, 0]).pick(&mut dice), 0);
        assert_eq!(Draw::new([]).pick(&mut dice), 0);
    }
}
