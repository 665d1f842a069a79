//! Blocks of addresses, written as `10.0.0.0/8` or `2001:db8::/32`.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;

use crate::family::Family;

/// A block of addresses; no bit is set beyond the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Reads a block; a bare address is a block of one. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Cidr, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("`{address}` is not an IPv4 or IPv6 address"))?;
        let width = width(address);
        let prefix = match prefix {
            None => width,
            Some(digits) => parse_prefix(digits, width)?,
        };
        if let IpAddr::V6(v6) = address
            && v6.to_ipv4_mapped().is_some()
        {
            return Err("connections to IPv4-mapped addresses travel as IPv4; write the IPv4 block".to_owned());
        }
        let block = Cidr {
            address: masked(address, prefix),
            prefix,
        };
        if block.address != address {
            return Err(format!("bits are set beyond the prefix; write {block}"));
        }
        Ok(block)
    }

    /// The family of the block.
    pub fn family(self) -> Family {
        Family::of(self.address)
    }

    /// The lowest address of the block.
    pub fn first(self) -> IpAddr {
        self.address
    }

    /// Whether the block is its whole family, for which iptables prints no match.
    pub fn is_everything(self) -> bool {
        self.prefix == 0
    }

    /// Whether `address` is in the block.
    pub fn contains(self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && masked(address, self.prefix) == self.address
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn parse_prefix(digits: &str, width: u8) -> Result<u8, String> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u8>() {
        Ok(prefix) if plain && prefix <= width => Ok(prefix),
        _ => Err(format!(
            "`/{digits}` is not a prefix length; it is a number from 0 to {width}"
        )),
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_both_families_are_read_and_written_as_iptables_does() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "192.0.2.7/32",
            "2001:db8::/32",
            "::/0",
            "fd00::5/128",
        ] {
            assert_eq!(Cidr::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Cidr::parse("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(Cidr::parse("2001:DB8:0::1").unwrap().to_string(), "2001:db8::1/128");
    }

    #[test]
    fn what_is_not_a_block_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "example.com",
            "1.2.3.4/8/8",
        ] {
            assert!(Cidr::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bits_beyond_the_prefix_are_refused_with_the_block_that_was_meant() {
        assert_eq!(
            Cidr::parse("10.1.2.3/8").unwrap_err(),
            "bits are set beyond the prefix; write 10.0.0.0/8"
        );
        assert_eq!(
            Cidr::parse("2001:db8::1/32").unwrap_err(),
            "bits are set beyond the prefix; write 2001:db8::/32"
        );
    }

    #[test]
    fn ipv4_mapped_blocks_are_refused_for_they_would_never_match() {
        assert!(
            Cidr::parse("::ffff:10.0.0.0/104")
                .unwrap_err()
                .contains("write the IPv4 block")
        );
    }

    #[test]
    fn a_block_contains_its_own_addresses_only() {
        let block = Cidr::parse("10.1.0.0/16").unwrap();
        assert!(block.contains("10.1.255.255".parse().unwrap()));
        assert!(!block.contains("10.2.0.0".parse().unwrap()));
        assert!(!block.contains("::".parse().unwrap()));
        assert!(Cidr::parse("::/0").unwrap().contains("ff00::1".parse().unwrap()));
    }
}
