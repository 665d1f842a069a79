//! IP addresses, with and without a port.

use crate::mesh::place::Place;
use std::net::IpAddr;
use std::net::SocketAddr;

/// An address that something may be reached at.
pub(super) fn ip(place: &Place<'_>) -> Option<IpAddr> {
    let text = place.text()?;
    let Ok(address) = text.parse() else {
        place.refuse(format!("{text:?} is not an IP address"));
        return None;
    };
    reachable(place, address).then_some(address)
}

/// An address and port that something may be reached at.
pub(super) fn reachable_socket(place: &Place<'_>) -> Option<SocketAddr> {
    let address = socket(place)?;
    reachable(place, address.ip()).then_some(address)
}

/// An address and port; the port is not 0.
pub(super) fn socket(place: &Place<'_>) -> Option<SocketAddr> {
    let text = place.text()?;
    let wrong = match text.parse() {
        Err(_) => "is not an IP address with a port, such as 10.0.0.1:80 or \"[fd00::1]:80\"",
        Ok(SocketAddr::V6(address)) if address.scope_id() != 0 => "has a scope, which is not supported",
        Ok(address) if address.port() == 0 => "has the port 0",
        Ok(address) if is_mapped(address.ip()) => "is an IPv4 address in IPv6 clothes; write it as IPv4",
        Ok(address) => return Some(address),
    };
    place.refuse(format!("{text:?} {wrong}"));
    None
}

fn reachable(place: &Place<'_>, address: IpAddr) -> bool {
    let wrong = match address {
        _ if address.is_unspecified() => "stands for no address in particular",
        _ if address.is_multicast() => "is a multicast address",
        IpAddr::V4(four) if four.is_broadcast() => "is the broadcast address",
        _ if is_mapped(address) => "is an IPv4 address in IPv6 clothes; write it as IPv4",
        _ => return true,
    };
    place.refuse(format!("{address} {wrong}"));
    false
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some())
}
