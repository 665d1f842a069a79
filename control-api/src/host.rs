//! Whom a request to an operator's port is for.

use std::net::IpAddr;

/// Whether a `Host`, or an authority, is an address or `localhost`. A name can be made to resolve to 127.0.0.1 by whoever owns
/// it (DNS rebinding), so that a page in a browser on this machine could ask; an address cannot.
pub fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        // What is after the last colon of `[::1]` is no port.
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    address.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_local_and_a_name_is_not() {
        for host in [
            "127.0.0.1:15000",
            "127.0.0.1",
            "[::1]:15000",
            "[::1]",
            "10.0.0.1:80",
            "localhost",
            "LOCALHOST:15000",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:15000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "[evil.example]",
            "127.0.0.1:http",
            "",
            "a:b:c",
        ] {
            assert!(!is_local(host), "{host:?}");
        }
    }
}
