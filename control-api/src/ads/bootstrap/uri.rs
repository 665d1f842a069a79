//! `server_uri`: the names that gRPC knows for a server.

use super::Address;
use std::path::PathBuf;

/// What gRPC assumes where there is no port.
const DEFAULT_PORT: u16 = 443;

/// Reads `host:port`, `dns:///host:port`, `ipv4:address:port`, `ipv6:[address]:port` or `unix:/path`.
pub(super) fn parse(uri: &str) -> Result<Address, String> {
    if let Some(path) = uri.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path {
            "" => Err("names no file after unix:".to_owned()),
            path => Ok(Address::Unix(PathBuf::from(path))),
        };
    }
    let target = if let Some(name) = uri.strip_prefix("dns:") {
        match name.strip_prefix("//") {
            None => name,
            Some(rest) => rest
                .strip_prefix('/')
                .ok_or("names a DNS server, which is not supported")?,
        }
    } else {
        let literal = uri.strip_prefix("ipv4:").or_else(|| uri.strip_prefix("ipv6:"));
        literal.unwrap_or(uri)
    };
    if let Some((scheme, _)) = target.split_once("://") {
        return Err(format!(
            "has the scheme {scheme}, and may have dns, ipv4, ipv6, unix or none"
        ));
    }
    host_and_port(target)
}

fn host_and_port(target: &str) -> Result<Address, String> {
    let (host, port) = if let Some(bracketed) = target.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or("has a [ without its ]")?;
        (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
    } else {
        match target.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, Some(port)),
            // Several colons without brackets are an IPv6 address without a port.
            Some(_) | None => (target, Some("")),
        }
    };
    let port = match port.ok_or("has something other than a port after its ]")? {
        "" => DEFAULT_PORT,
        digits => digits
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| format!("has the port {digits:?}, which is not one between 1 and 65535"))?,
    };
    let legible = |letter: char| letter.is_ascii_alphanumeric() || ".-_:%".contains(letter);
    if host.is_empty() || !host.chars().all(legible) {
        return Err(format!("has the host {host:?}, which is neither a name nor an address"));
    }
    Ok(Address::Tcp {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        let host = host.to_owned();
        Address::Tcp { host, port }
    }

    #[test]
    fn every_form_of_grpc_is_understood() {
        for (uri, address) in [
            ("istiod.istio-system.svc:15010", tcp("istiod.istio-system.svc", 15010)),
            ("dns:///istiod:15010", tcp("istiod", 15010)),
            ("dns:istiod:15010", tcp("istiod", 15010)),
            ("istiod", tcp("istiod", 443)),
            ("10.0.0.1:15010", tcp("10.0.0.1", 15010)),
            ("ipv4:10.0.0.1:15010", tcp("10.0.0.1", 15010)),
            ("ipv6:[fd00::1]:15010", tcp("fd00::1", 15010)),
            ("[fd00::1]:15010", tcp("fd00::1", 15010)),
            ("fd00::1", tcp("fd00::1", 443)),
            (
                "unix:///etc/istio/proxy/XDS",
                Address::Unix("/etc/istio/proxy/XDS".into()),
            ),
            ("unix:/run/xds", Address::Unix("/run/xds".into())),
            (
                "unix:./etc/istio/proxy/XDS",
                Address::Unix("./etc/istio/proxy/XDS".into()),
            ),
        ] {
            assert_eq!(parse(uri), Ok(address), "{uri}");
        }
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        for uri in [
            "",
            ":15010",
            "istiod:0",
            "istiod:70000",
            "istiod:http",
            "http://istiod:15010",
            "dns://8.8.8.8/istiod:15010",
            "[fd00::1:15010",
            "[fd00::1]15010",
            "unix:",
            "unix://",
            "a b:1",
            "user@host:1",
            "host/path:1",
        ] {
            assert!(parse(uri).is_err(), "{uri}");
        }
    }
}
