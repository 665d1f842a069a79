//! Where a redirected connection was going: iptables REDIRECT rewrites the destination, conntrack remembers it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use socket2::SockRef;
use tokio::net::TcpStream;

/// The address that the client dialled. IPv4 is never written as a v4-mapped IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrigDst(pub SocketAddr);

impl fmt::Display for OrigDst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a connection came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was redirected.
    Redirected(OrigDst),
    /// The client dialled the proxy itself: conntrack does not know the connection, or knows our own address as its
    /// destination.
    Direct,
}

/// Asks the kernel (`SO_ORIGINAL_DST`) how a connection from `peer`, accepted on the port `listening`, came to us.
///
/// Fails only when the connection is already gone.
pub fn original_dst(stream: &TcpStream, peer: SocketAddr, listening: u16) -> io::Result<Arrival> {
    let socket = SockRef::from(stream);
    // A v4-mapped connection on an IPv6 socket is an IPv4 connection to conntrack.
    let answer = if canonical(peer).is_ipv4() {
        socket.original_dst_v4()
    } else {
        socket.original_dst_v6()
    };
    let address = match answer {
        Ok(address) => address.as_socket().map(canonical),
        Err(error) if is_unknown(&error) => None,
        Err(error) => return Err(error),
    };
    match address {
        // Another port is a redirection whatever our own address is: one syscall less for each connection.
        Some(original) if original.port() != listening => Ok(Arrival::Redirected(OrigDst(original))),
        original => Ok(verdict(canonical(stream.local_addr()?), original)),
    }
}

fn verdict(local: SocketAddr, original: Option<SocketAddr>) -> Arrival {
    match original.map(canonical) {
        Some(original) if (original.ip(), original.port()) != (local.ip(), local.port()) => {
            Arrival::Redirected(OrigDst(original))
        }
        _ => Arrival::Direct,
    }
}

/// `ENOENT`: conntrack has no entry; `ENOPROTOOPT` and `EOPNOTSUPP`: conntrack is not loaded for this family.
fn is_unknown(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| {
        matches!(
            Errno::from_raw(code),
            Errno::ENOENT | Errno::ENOPROTOOPT | Errno::EOPNOTSUPP
        )
    })
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The addresses of this pod's interfaces except loopback, by which the proxy recognises that a Service led back to
/// its own pod.
pub fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = getifaddrs()?
        .filter_map(|interface| {
            let storage = interface.address?;
            let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            v4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        .filter(|address| !address.is_loopback())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::FAMILIES;
    use crate::net::testing::tcp_pair;

    #[tokio::test]
    async fn a_connection_that_nobody_redirected_is_direct() {
        for ip in FAMILIES {
            let (_client, accepted) = tcp_pair(ip).await;
            let (peer, local) = (accepted.peer_addr().unwrap(), accepted.local_addr().unwrap());
            assert_eq!(original_dst(&accepted, peer, local.port()).unwrap(), Arrival::Direct);
        }
    }

    #[test]
    fn only_another_address_or_port_is_a_redirection() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let local = at("10.0.0.1:15006");
        assert_eq!(verdict(local, None), Arrival::Direct);
        assert_eq!(verdict(local, Some(local)), Arrival::Direct);
        let original = at("10.0.0.1:8080");
        assert_eq!(verdict(local, Some(original)), Arrival::Redirected(OrigDst(original)));
        let mapped = at("[::ffff:10.0.0.1]:8080");
        assert_eq!(verdict(local, Some(mapped)), Arrival::Redirected(OrigDst(original)));
        let v6 = at("[fd00::1]:8080");
        assert_eq!(
            verdict(at("[fd00::1]:15006"), Some(v6)),
            Arrival::Redirected(OrigDst(v6))
        );
    }

    #[test]
    fn own_addresses_leave_loopback_out() {
        assert!(own_addresses().unwrap().iter().all(|address| !address.is_loopback()));
    }
}
