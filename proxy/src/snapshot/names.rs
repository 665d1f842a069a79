//! The services that a configuration knows, so that counters of others can be dropped.

use super::handling::Handling;
use super::parts::Parts;
use evenkeel_control_api::resource::listener::Direction;
use std::sync::Arc;

/// How many handlings count for each service.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    outbound: Parts<Arc<str>, usize>,
    inbound: Parts<Arc<str>, usize>,
}

impl Names {
    /// Whether some handling counts for this service.
    pub(super) fn has(&self, direction: Direction, service: &str) -> bool {
        let side = match direction {
            Direction::Outbound => &self.outbound,
            Direction::Inbound => &self.inbound,
        };
        side.get(service).is_some()
    }

    /// One more handling.
    pub(super) fn enter(&mut self, handling: &Handling) {
        let side = self.side(handling.direction);
        let count = side.get(&*handling.service).copied().unwrap_or_default();
        side.insert(Arc::clone(&handling.service), count + 1);
    }

    /// One less.
    pub(super) fn leave(&mut self, handling: &Handling) {
        let side = self.side(handling.direction);
        match side.get(&*handling.service).copied() {
            Some(count) if count > 1 => side.insert(Arc::clone(&handling.service), count - 1),
            _ => side.remove(&*handling.service),
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Parts<Arc<str>, usize> {
        match direction {
            Direction::Outbound => &mut self.outbound,
            Direction::Inbound => &mut self.inbound,
        }
    }
}
