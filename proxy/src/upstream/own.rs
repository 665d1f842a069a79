//! Which addresses are ours: to talk to ourselves in-process, and never to dial our own listeners.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

/// The pod's addresses and this proxy's ports.
#[derive(Clone, Debug, Default)]
pub struct Own {
    addresses: HashSet<IpAddr>,
    ports: HashSet<u16>,
}

impl Own {
    /// From the pod's interfaces and the configured listeners.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>, ports: impl IntoIterator<Item = u16>) -> Self {
        Self {
            addresses: addresses.into_iter().collect(),
            ports: ports.into_iter().collect(),
        }
    }

    /// An address of this pod.
    pub fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.contains(&address)
    }

    /// One of this proxy's own listeners: dialling it would go in circles.
    pub fn is_listener(&self, address: SocketAddr) -> bool {
        self.ports.contains(&address.port()) && self.is_own(address.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_listeners_are_known_by_any_of_our_addresses() {
        let pod = IpAddr::from([10, 1, 2, 3]);
        let own = Own::new([pod], [15001]);
        assert!(own.is_listener(SocketAddr::new(pod, 15001)));
        assert!(own.is_listener(SocketAddr::from(([127, 0, 0, 1], 15001))));
        assert!(!own.is_listener(SocketAddr::new(pod, 8080)));
        assert!(!own.is_listener(SocketAddr::from(([10, 1, 2, 4], 15001))));
    }
}
