//! Whether traffic may be sent here, and if not, what is missing.

use super::Door;
use crate::lifecycle::Phase;

/// `Err`: what is missing, in words.
pub(super) fn check(door: &Door) -> Result<(), &'static str> {
    match door.lifecycle.phase() {
        Phase::Starting if door.status.borrow().snapshot.is_none() => Err("no configuration yet"),
        Phase::Starting => Err("listeners not bound yet"),
        Phase::Ready => Ok(()),
        Phase::Draining => Err("draining"),
        Phase::Quitting => Err("quitting"),
    }
}
