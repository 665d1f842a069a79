//! Any member, by weight.

use crate::balance::Dice;
use crate::balance::sample::Wheel;

pub(super) fn pick(wheel: &Wheel, dice: &mut Dice, usable: impl Fn(usize) -> bool) -> Option<usize> {
    wheel.draw(dice, None, usable)
}
