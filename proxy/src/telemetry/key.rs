//! What is counted apart: a service in a direction, and of what goes out who answers, where labels tell that.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::telemetry::Direction;

/// What has series of its own. A service comes before its destinations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) direction: Direction,
    pub(super) service: Arc<str>,
    /// `None`: nobody knows who, or no label tells it.
    pub(super) destination: Option<Arc<Destination>>,
}

/// Who answers, as far as labels tell it; empty where nobody knows.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    pub(super) workload: Box<str>,
    pub(super) zone: Box<str>,
}

/// All that endpoints have, each once: whoever looks one up compares pointers.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    known: BTreeSet<Arc<Destination>>,
    /// How many there may be before those that no endpoint has any more are looked for.
    room: usize,
}

impl Key {
    /// A service, whoever answers.
    pub(super) fn of(direction: Direction, service: &str) -> Self {
        Self {
            direction,
            service: Arc::from(service),
            destination: None,
        }
    }

    /// Whether both are of the same service.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.direction == other.direction && self.service == other.service
    }
}

impl Destination {
    /// Whether labels would say no more than without it.
    pub(super) fn is_unknown(&self) -> bool {
        self.workload.is_empty() && self.zone.is_empty()
    }
}

impl Destinations {
    pub(super) fn get(&mut self, workload: &str, zone: &str) -> Arc<Destination> {
        let wanted = Destination {
            workload: workload.into(),
            zone: zone.into(),
        };
        if let Some(known) = self.known.get(&wanted) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.room {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.room = 2 * self.known.len() + 16;
        }
        let new = Arc::new(wanted);
        self.known.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_one_as_long_as_somebody_has_it() {
        let mut destinations = Destinations::default();
        let kept = destinations.get("web", "a");
        for number in 0..1_000 {
            destinations.get("web", &number.to_string());
            assert!(Arc::ptr_eq(&kept, &destinations.get("web", "a")));
        }
        assert!(destinations.known.len() < 50, "{}", destinations.known.len());
    }
}
