//! Who may ask on the admin port: nobody from elsewhere, and no web page that a browser on this machine has open.

use super::Face;
use evenkeel_control_api::host::is_local;
use hyper::Request;
use hyper::header;
use hyper::http::uri::Authority;
use std::net::IpAddr;

/// `Err`: why the request is refused.
pub(super) fn check<B>(face: Face, peer: IpAddr, request: &Request<B>) -> Result<(), &'static str> {
    if face == Face::Telemetry {
        return Ok(());
    }
    if !peer.to_canonical().is_loopback() {
        return Err("this port answers to loopback only");
    }
    let headers = request.headers();
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    // What HTTP/2 has instead, and an absolute target beside it.
    let authority = request.uri().authority().map(Authority::as_str);
    if !host.into_iter().chain(authority).all(is_local) {
        return Err("the Host of a request to this port must be an IP address or localhost");
    }
    // Browsers send an Origin with every POST, and with whatever a foreign page asks for by script.
    let origin = headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or_default());
    if origin.is_some_and(|origin| origin.strip_prefix("http://") != host.or(authority)) {
        return Err("requests of other sites are refused");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(peer: &str, headers: &[(header::HeaderName, &str)]) -> Result<(), &'static str> {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        check(Face::Admin, peer.parse().unwrap(), &request)
    }

    #[test]
    fn the_authority_of_http2_must_be_local_as_a_host_must() {
        for (target, local) in [
            ("http://127.0.0.1:15000/x.Y/Z", true),
            ("http://localhost:15000/x.Y/Z", true),
            ("http://evil.example:15000/x.Y/Z", false),
        ] {
            let mut request = Request::new(());
            *request.uri_mut() = target.parse().unwrap();
            let peer = "127.0.0.1".parse().unwrap();
            assert_eq!(check(Face::Admin, peer, &request).is_ok(), local, "{target}");
        }
    }

    #[test]
    fn only_loopback_may_ask() {
        for peer in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(asked(peer, &[]), Ok(()), "{peer}");
        }
        for peer in ["10.0.0.1", "fd00::1", "::ffff:10.0.0.1"] {
            assert!(asked(peer, &[]).is_err(), "{peer}");
        }
    }

    #[test]
    fn a_name_as_host_is_refused_and_an_address_is_not() {
        for host in ["127.0.0.1:15000", "[::1]", "localhost"] {
            assert_eq!(asked("::1", &[(header::HOST, host)]), Ok(()), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", ""] {
            assert!(asked("::1", &[(header::HOST, host)]).is_err(), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_cannot_ask_through_a_browser() {
        let host = (header::HOST, "127.0.0.1:15000");
        assert_eq!(
            asked("::1", &[host.clone(), (header::ORIGIN, "http://127.0.0.1:15000")]),
            Ok(())
        );
        for origin in ["http://evil.example", "null", "http://127.0.0.1:8080"] {
            assert!(
                asked("::1", &[host.clone(), (header::ORIGIN, origin)]).is_err(),
                "{origin}"
            );
        }
    }
}
