//! A small, fast source of chance that a test can seed.

use std::num::NonZeroU64;

/// `SplitMix64` (Steele, Lea and Flood 2014): 64 bits of state, any seed is good, about ten instructions a throw.
/// Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same throws.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `n`, each as likely as the others.
    pub fn below(&mut self, n: NonZeroU64) -> u64 {
        let n = n.get();
        // Lemire 2019: the high half of a product is the answer; the low half says whether it is one too many. The
        // remainder is taken only when that is possible at all, for small `n` next to never.
        let mut product = u128::from(self.throw()) * u128::from(n);
        if (product as u64) < n {
            let surplus = n.wrapping_neg() % n;
            while (product as u64) < surplus {
                product = u128::from(self.throw()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// A number from 0 up to, and without, 1.
    pub fn unit(&mut self) -> f32 {
        (self.throw() >> 40) as f32 / (1_u32 << 24) as f32
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_face_is_as_likely_as_the_others() {
        let mut dice = Dice::seeded(1);
        let faces = NonZeroU64::new(6).unwrap();
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[dice.below(faces) as usize] += 1;
        }
        for count in seen {
            assert!((9_600..=10_400).contains(&count), "{seen:?}");
        }
    }

    #[test]
    fn a_range_that_does_not_divide_the_word_has_no_bias() {
        // Of 3 * 2^62 numbers a third lies below 2^62; with the modulus of a word it would be a half.
        let mut dice = Dice::seeded(2);
        let range = NonZeroU64::new(3 << 62).unwrap();
        let low = (0..30_000).filter(|_| dice.below(range) < range.get() / 3).count();
        assert!((9_700..=10_300).contains(&low), "{low}");
    }

    #[test]
    fn the_unit_stays_below_one_and_averages_a_half() {
        let mut dice = Dice::seeded(3);
        let throws: Vec<f32> = (0..10_000).map(|_| dice.unit()).collect();
        assert!(throws.iter().all(|throw| (0.0..1.0).contains(throw)));
        let mean = throws.iter().sum::<f32>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
    }

    #[test]
    fn the_same_seed_gives_the_same_throws() {
        let (mut one, mut other) = (Dice::seeded(7), Dice::seeded(7));
        assert!((0..100).all(|_| one.throw() == other.throw()));
    }
}
