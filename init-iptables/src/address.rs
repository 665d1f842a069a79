//! The addresses of this network namespace that reach beyond it.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::UdpSocket;

use nix::ifaddrs::getifaddrs;

use crate::family::Family;
use crate::fault::Fault;

/// An address that an interface carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
}

/// The addresses of `family` that are neither loopback nor link-local: with one of them, traffic of that family can
/// leave the pod.
pub fn global_addresses(family: Family) -> Result<Vec<InterfaceAddress>, Fault> {
    let entries = getifaddrs();
    let entries = entries.map_err(|errno| Fault::System {
        doing: "reading the pod's addresses".to_owned(),
        source: errno.into(),
    })?;
    let addresses = entries.filter_map(|entry| {
        let storage = entry.address?;
        let address = match family {
            Family::V4 => IpAddr::V4(storage.as_sockaddr_in()?.ip()),
            Family::V6 => IpAddr::V6(storage.as_sockaddr_in6()?.ip()),
        };
        is_global(address).then_some(InterfaceAddress {
            interface: entry.interface_name,
            address,
        })
    });
    Ok(addresses.collect())
}

/// The interface whose address this namespace would send from to `destination`; none when there is no route.
pub fn interface_towards(destination: SocketAddr) -> Option<String> {
    let unspecified = match Family::of(destination.ip()) {
        Family::V4 => "0.0.0.0:0",
        Family::V6 => "[::]:0",
    };
    // A datagram socket asks the routing table when it connects, and sends nothing.
    let socket = UdpSocket::bind(unspecified).ok()?;
    socket.connect(destination).ok()?;
    let source = socket.local_addr().ok()?.ip();
    let carriers = global_addresses(Family::of(source)).ok()?;
    carriers
        .into_iter()
        .find(|carrier| carrier.address == source)
        .map(|carrier| carrier.interface)
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_link_local_addresses_do_not_count_and_unique_local_ones_do() {
        for (text, global) in [
            ("127.0.0.1", false),
            ("169.254.3.4", false),
            ("10.0.0.1", true),
            ("::1", false),
            ("fe80::1", false),
            ("fd00::1", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(is_global(text.parse().unwrap()), global, "{text}");
        }
    }
}
