//! A range of IP addresses.

use std::fmt;
use std::net::IpAddr;

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Without the bits behind the prefix.
    address: IpAddr,
    /// Bits.
    length: u8,
}

impl Prefix {
    /// The addresses that share the first `length` bits of `address`; `None`: it has fewer.
    pub fn new(address: IpAddr, length: u32) -> Option<Self> {
        let length = u8::try_from(length).ok().filter(|length| *length <= bits(address))?;
        Some(Self {
            address: masked(address, length),
            length,
        })
    }

    /// How many bits; the longer, the more specific.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether `address` is one of them. An IPv4 address is none of an IPv6 range, and the other way round.
    pub fn contains(self, address: IpAddr) -> bool {
        bits(address) == bits(self.address) && masked(address, self.length) == self.address
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str, length: u32) -> Prefix {
        Prefix::new(address.parse().unwrap(), length).unwrap()
    }

    #[test]
    fn a_prefix_holds_what_begins_alike() {
        let ten = prefix("10.1.2.3", 8);
        assert_eq!(ten.to_string(), "10.0.0.0/8");
        assert!(ten.contains("10.200.0.1".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!ten.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(prefix("fd00::1", 16).contains("fd00:1::2".parse().unwrap()));
    }

    #[test]
    fn none_and_all_bits() {
        assert!(prefix("0.0.0.0", 0).contains("255.1.2.3".parse().unwrap()));
        assert!(prefix("::", 0).contains("fd00::1".parse().unwrap()));
        assert!(!prefix("10.0.0.1", 32).contains("10.0.0.2".parse().unwrap()));
        assert!(Prefix::new("10.0.0.1".parse().unwrap(), 33).is_none());
        assert!(Prefix::new("::".parse().unwrap(), 300).is_none());
    }
}
