//! A service of both families: whoever dials its address of one is served by endpoints of that.

use super::Endpoint;
use std::net::IpAddr;

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Who serves the connections of one family.
#[derive(Clone, Debug, PartialEq)]
pub struct Apart {
    /// Of the address that was dialled.
    pub family: Family,
    /// As [`super::Endpoints::Known`].
    pub endpoints: Vec<Endpoint>,
}

impl Family {
    /// Of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// In names.
    pub fn word(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}
