//! Of some random members the one with the fewest requests in flight for its weight.

use std::num::NonZeroU32;

use crate::balance::Dice;
use crate::balance::Member;
use crate::balance::sample::Wheel;

pub(super) fn pick(
    wheel: &Wheel,
    members: &[Member],
    choices: NonZeroU32,
    dice: &mut Dice,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    // The first is drawn by weight and keeps the request unless another is better: idle members share by weight.
    let mut best = wheel.draw(dice, None, &usable)?;
    for _ in 1..choices.get().min(members.len() as u32) {
        let Some(other) = wheel.draw(dice, Some(best), &usable) else {
            break;
        };
        // Idle for idle nothing is gained by moving. Among equals `with < without` is "fewer in flight". Among unequals
        // the dice decide how much of this request counts: with all of it the large ones get too much (1:3:6 as
        // 7:29:63 with five in flight), with nothing the small ones do.
        let without = members[best].load.in_flight() as f32 * wheel.burden(best);
        let with = (members[other].load.in_flight() as f32 + dice.unit()) * wheel.burden(other);
        if with < without {
            best = other;
        }
    }
    Some(best)
}
