//! Addresses that must stay closed: a listener was refused there, and there is no good version of it. Only where all
//! listeners are subscribed to; what is asked for by name is answered by name.

use crate::ads::message::Text;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Where nothing may pass in a listener's place.
#[derive(Clone, Debug, Default)]
pub(super) struct Closed {
    listeners: BTreeMap<Text, Vec<SocketAddr>>,
    untold: Doors,
}

/// Addresses of listeners that were refused and have no good version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doors {
    /// From now on nothing may pass there.
    pub closed: BTreeSet<SocketAddr>,
    /// From now on they are like others.
    pub open: BTreeSet<SocketAddr>,
}

impl Closed {
    /// Where a listener is refused now; empty: nowhere.
    pub(super) fn set(&mut self, listener: &Text, addresses: &[SocketAddr]) {
        let before = if addresses.is_empty() {
            self.listeners.remove(listener)
        } else {
            self.listeners.insert(Text::clone(listener), addresses.to_vec())
        };
        for address in before.unwrap_or_default() {
            if !self.listeners.values().any(|addresses| addresses.contains(&address)) {
                self.untold.closed.remove(&address);
                self.untold.open.insert(address);
            }
        }
        for address in addresses {
            self.untold.open.remove(address);
            self.untold.closed.insert(*address);
        }
    }

    /// What has changed since the last look.
    pub(super) fn take(&mut self) -> Doors {
        std::mem::take(&mut self.untold)
    }

    /// Whether [`Closed::take`] has something.
    pub(super) fn has_news(&self) -> bool {
        !self.untold.is_empty()
    }
}

impl Doors {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_closed_until_the_last_listener_that_was_refused_there_is_gone() {
        let (mut closed, address) = (Closed::default(), SocketAddr::from(([10, 96, 0, 1], 80)));
        let (one, other) = (Text::from("one"), Text::from("other"));
        let mut told = |listener, addresses: &[SocketAddr]| {
            closed.set(listener, addresses);
            let Doors { closed, open } = closed.take();
            (closed.contains(&address), open.contains(&address))
        };
        assert_eq!(told(&one, &[address]), (true, false));
        assert_eq!(told(&other, &[address]), (true, false));
        assert_eq!(told(&one, &[]), (false, false));
        assert_eq!(told(&other, &[]), (false, true));
        assert!(!closed.has_news());
    }
}
