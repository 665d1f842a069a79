//! What is redirected and what is left alone; no argument that could not be obeyed gets this far.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::family::Family;
use crate::ports::PortSet;

/// What `install` puts in place and `verify` expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where the proxy takes outbound connections, on loopback.
    pub outbound_port: u16,
    /// Where the proxy takes inbound connections.
    pub inbound_port: u16,
    /// The proxy's own ports, never redirected in either direction; the two above are among them.
    pub own_ports: PortSet,
    /// Users whose connections are left alone; the proxy's own is among them.
    pub exempt_uids: BTreeSet<u32>,
    /// Groups whose connections are left alone.
    pub exempt_gids: BTreeSet<u32>,
    /// Connections so marked are left alone.
    pub exempt_marks: BTreeSet<Mark>,
    /// Interfaces left alone in both directions; a trailing `+` stands for any ending.
    pub left_interfaces: BTreeSet<String>,
    /// Outbound connections by destination port.
    pub outbound_ports: Selection<PortSet>,
    /// Outbound connections by destination address.
    pub outbound_cidrs: Selection<BTreeSet<Cidr>>,
    /// Inbound connections by the port of the application.
    pub inbound_ports: Selection<PortSet>,
    /// Whether IPv6 is redirected.
    pub ipv6: Ipv6,
}

/// Two lists of which the second one wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection<S> {
    /// Only these are redirected.
    pub include: S,
    /// Never these, even when included.
    pub exclude: S,
}

/// A packet mark and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The value; no bit is set outside the mask, and some bit is set.
    pub value: u32,
    /// The bits that are compared.
    pub mask: u32,
}

impl fmt::Display for Mark {
    /// As iptables-save prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mask == u32::MAX {
            write!(f, "{:#x}", self.value)
        } else {
            write!(f, "{:#x}/{:#x}", self.value, self.mask)
        }
    }
}

/// Whether IPv6 is redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Ipv6 {
    /// It is; where the kernel cannot, that is a failure if the pod has a global IPv6 address and a warning if not.
    Auto,
    /// It is not: IPv6 traffic goes round the proxy.
    Off,
}

impl Plan {
    /// Whether the rules redirect a connection that an application makes to this destination, by an interface that is
    /// not left alone.
    pub fn redirects_outbound(&self, address: IpAddr, port: u16) -> bool {
        let cidrs = &self.outbound_cidrs;
        !address.is_loopback()
            && self.redirects(Family::of(address))
            && self.redirects_outbound_port(port)
            && !cidrs.exclude.iter().any(|cidr| cidr.contains(address))
            && cidrs.include.iter().any(|cidr| cidr.contains(address))
    }

    /// Whether the rules redirect outbound connections to this port at all.
    pub fn redirects_outbound_port(&self, port: u16) -> bool {
        let ports = &self.outbound_ports;
        !self.own_ports.contains(port) && !ports.exclude.contains(port) && ports.include.contains(port)
    }

    /// Whether anything is done about `family` at all.
    pub fn redirects(&self, family: Family) -> bool {
        family == Family::V4 || self.ipv6 == Ipv6::Auto
    }

    /// Whether `interface` is one of those left alone.
    pub fn leaves_alone(&self, interface: &str) -> bool {
        self.left_interfaces.iter().any(|left| match left.strip_suffix('+') {
            Some(beginning) => interface.starts_with(beginning),
            None => interface == left,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::options::plan_from;

    use super::*;

    fn plan(arguments: &[&str]) -> Plan {
        plan_from(arguments).unwrap()
    }

    fn redirects(plan: &Plan, destination: &str) -> bool {
        let destination: std::net::SocketAddr = destination.parse().unwrap();
        plan.redirects_outbound(destination.ip(), destination.port())
    }

    #[test]
    fn by_default_everything_but_loopback_and_the_proxys_ports_is_redirected() {
        let plan = plan(&[]);
        assert!(redirects(&plan, "192.0.2.1:80"));
        assert!(redirects(&plan, "[2001:db8::1]:65535"));
        assert!(!redirects(&plan, "127.0.0.2:80"));
        assert!(!redirects(&plan, "[::1]:80"));
        for own in [15000, 15001, 15006, 15020] {
            assert!(!redirects(&plan, &format!("192.0.2.1:{own}")), "{own}");
        }
    }

    #[test]
    fn exclusion_wins_over_inclusion() {
        let plan = plan(&[
            "--include-outbound-ports=80-90",
            "--exclude-outbound-ports=85",
            "--include-outbound-cidrs=10.0.0.0/8",
            "--exclude-outbound-cidrs=10.9.0.0/16",
        ]);
        assert!(redirects(&plan, "10.1.0.1:80"));
        assert!(!redirects(&plan, "10.1.0.1:85"));
        assert!(!redirects(&plan, "10.9.0.1:80"));
        assert!(!redirects(&plan, "192.0.2.1:80"));
        assert!(!redirects(&plan, "[2001:db8::1]:80"));
    }

    #[test]
    fn interfaces_left_alone_are_matched_as_iptables_matches_them() {
        let plan = plan(&["--leave-interfaces=net1,tun+"]);
        assert!(plan.leaves_alone("net1") && plan.leaves_alone("tun0") && plan.leaves_alone("tun"));
        assert!(!plan.leaves_alone("net10") && !plan.leaves_alone("eth0"));
    }
}
