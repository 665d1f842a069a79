//! Numbers and addresses as text, by hand: what `fmt` does for any width and any fill costs more than the rest of a line.

use std::io::Write;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

/// Decimal digits.
#[inline]
pub(super) fn number(value: u64, out: &mut Vec<u8>) {
    // Most have one: attempts, bytes of a body that is not there.
    if value < 10 {
        out.push(b'0' + value as u8);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }
}

/// So many decimal digits, the first of them zero where the number has fewer.
pub(super) fn padded<const WIDTH: usize>(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Such as `10.0.0.1:80` and `[fd00::1]:80`.
pub(super) fn address(address: SocketAddr, out: &mut Vec<u8>) {
    if address.is_ipv6() {
        out.push(b'[');
        ip(address.ip(), out);
        out.push(b']');
    } else {
        ip(address.ip(), out);
    }
    out.push(b':');
    number(u64::from(address.port()), out);
}

/// Such as `10.0.0.1` and `fd00::1`.
pub(super) fn ip(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                number(u64::from(octet), out);
            }
        }
        // A vector takes whatever is written to it.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// Milliseconds with as many of three decimals as it has, such as `1.5`.
pub(super) fn milliseconds(duration: Duration, out: &mut Vec<u8>) {
    let micros = duration.as_micros() as u64;
    number(micros / 1_000, out);
    let rest = micros % 1_000;
    if rest > 0 {
        out.push(b'.');
        padded::<3>(rest, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_and_addresses_are_as_rust_writes_them() {
        for value in [0, 9, 10, 65_535, u64::MAX] {
            assert_eq!(written(|out| number(value, out)), value.to_string());
        }
        for text in ["1.2.3.4:80", "255.0.10.100:65535", "[fd00::1]:80", "[::ffff:1.2.3.4]:1"] {
            assert_eq!(written(|out| address(text.parse().unwrap(), out)), text);
        }
        assert_eq!(written(|out| padded::<3>(7, out)), "007");
    }

    #[test]
    fn milliseconds_have_the_decimals_that_they_need() {
        for (micros, text) in [
            (0, "0"),
            (52, "0.052"),
            (1_500, "1.5"),
            (12_345, "12.345"),
            (2_000_000, "2000"),
        ] {
            assert_eq!(written(|out| milliseconds(Duration::from_micros(micros), out)), text);
        }
    }
}
