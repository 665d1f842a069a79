//! Whether traffic may be sent here, and if not, what is missing.

use super::Door;
use crate::lifecycle::Phase;

/// While something stands in for the configuration that a control plane has not delivered.
pub(super) const WITHOUT_CONFIGURATION: &str = "ready without a configuration: everything is passed through";

/// `Ok`: it may, and how; `Err`: what is missing, in words.
pub(super) fn check(door: &Door) -> Result<&'static str, &'static str> {
    match door.lifecycle.phase() {
        Phase::Starting if door.status.borrow().snapshot.is_none() => Err("no configuration yet"),
        Phase::Starting => Err("listeners not bound yet"),
        Phase::Ready if door.status.borrow().passes_through() => Ok(WITHOUT_CONFIGURATION),
        Phase::Ready => Ok("ready"),
        Phase::Parting => Err("draining until terminated"),
        Phase::Draining => Err("draining"),
        Phase::Quitting => Err("quitting"),
    }
}
