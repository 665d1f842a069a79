//! `X-Forwarded-For`: a list to which each hop adds whom it was asked by. Nobody here believes it.

use std::io::Write;
use std::net::IpAddr;

/// The one value in the place of the lines that came, with `client` behind them.
pub fn forwarded_for<'a>(came: impl Iterator<Item = &'a [u8]>, client: IpAddr) -> Vec<u8> {
    let mut list = Vec::new();
    for value in came.filter(|value| !value.is_empty()) {
        list.extend_from_slice(value);
        list.extend_from_slice(b", ");
    }
    // A vector takes whatever is written to it.
    let _ = write!(list, "{}", client.to_canonical());
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(came: &[&str], client: &str) -> String {
        let value = forwarded_for(came.iter().map(|value| value.as_bytes()), client.parse().unwrap());
        String::from_utf8(value).unwrap()
    }

    #[test]
    fn the_client_stands_behind_whatever_came() {
        assert_eq!(text(&[], "10.0.0.1"), "10.0.0.1");
        assert_eq!(text(&["192.0.2.1"], "fd00::1"), "192.0.2.1, fd00::1");
        assert_eq!(text(&["a, b", "", "unknown"], "10.0.0.1"), "a, b, unknown, 10.0.0.1");
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_one_of_ipv4() {
        assert_eq!(text(&[], "::ffff:10.0.0.1"), "10.0.0.1");
    }
}
