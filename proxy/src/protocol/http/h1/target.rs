//! The request target and the authority (RFC 9112 3.2, RFC 3986 3.2).

use std::net::Ipv6Addr;

use http::Method;
use memchr::memchr_iter;

use super::Fault;
use super::head::Span;
use super::octets;

/// The form of a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`.
    Origin,
    /// `http://host/path?query`.
    Absolute,
    /// `host:port`, with CONNECT alone.
    Authority,
    /// `*`, with OPTIONS alone.
    Asterisk,
}

/// A target taken apart.
pub(super) struct Target {
    pub(super) form: TargetForm,
    pub(super) authority: Option<Span>,
    /// Path and query; empty for CONNECT, and for an absolute form without them.
    pub(super) path: Span,
    /// An absolute form that begins with `https`.
    pub(super) secure: bool,
}

/// Takes the target at `span` apart.
pub(super) fn target(bytes: &[u8], span: Span, method: &Method) -> Result<Target, Fault> {
    let text = span.of(bytes);
    if !text.iter().all(|byte| octets::is_target(*byte)) {
        return Err(Fault::malformed("a byte in the target that may not stand there"));
    }
    let plain = |form, authority, path| Target {
        form,
        authority,
        path,
        secure: false,
    };
    if *method == Method::CONNECT {
        return match port_of(text) {
            Some(port) if is_authority(text) && names_a_port(port) && !text.starts_with(b":") => Ok(plain(
                TargetForm::Authority,
                Some(span),
                Span::new(span.end(), span.end()),
            )),
            _ => Err(Fault::malformed("CONNECT wants a host and a port")),
        };
    }
    match text {
        [b'/', ..] => Ok(plain(TargetForm::Origin, None, span)),
        b"*" if *method == Method::OPTIONS => Ok(plain(TargetForm::Asterisk, None, span)),
        _ => absolute(bytes, span),
    }
}

fn absolute(bytes: &[u8], span: Span) -> Result<Target, Fault> {
    let text = span.of(bytes);
    let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let Some(scheme) = scheme else {
        return Err(Fault::malformed("a target of no known form"));
    };
    let rest = &text[scheme.len()..];
    let length = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let start = span.start() + scheme.len();
    let authority = Span::new(start, start + length);
    if !is_authority(authority.of(bytes)) || matches!(rest.first(), None | Some(b':' | b'/' | b'?')) {
        return Err(Fault::malformed("the authority of the target is not a host and a port"));
    }
    let path = Span::new(authority.end(), span.end());
    Ok(Target {
        form: TargetForm::Absolute,
        authority: Some(authority),
        path,
        secure: scheme.len() == 8,
    })
}

/// Whether `text` is `uri-host [ ":" port ]`: no user, no comma (two hosts joined by a sloppy proxy), nothing that a
/// reader could take for the end of it. An empty one is: `Host` is empty where the target has no authority.
pub fn is_authority(text: &[u8]) -> bool {
    let (host, port) = match port_of(text) {
        Some(port) => (&text[..text.len() - port.len() - 1], port),
        None => (text, &[][..]),
    };
    let host_is_sane = match host {
        [b'[', inside @ .., b']'] => std::str::from_utf8(inside).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()),
        _ => is_registered_name(host),
    };
    host_is_sane && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

/// What follows the last colon that is not inside brackets.
fn port_of(text: &[u8]) -> Option<&[u8]> {
    let colon = text.iter().rposition(|byte| matches!(byte, b':' | b']'))?;
    (text[colon] == b':').then(|| &text[colon + 1..])
}

/// Whether one can connect to it: RFC 9110 9.3.6 wants CONNECT refused where one cannot.
fn names_a_port(port: &[u8]) -> bool {
    octets::decimal(port).is_some_and(|number| (1..=0xffff).contains(&number))
}

/// `*( unreserved / pct-encoded / sub-delims )` without the comma (RFC 3986 3.2.2).
fn is_registered_name(name: &[u8]) -> bool {
    let is_encoded = |at: usize| matches!(name.get(at + 1..at + 3), Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    // Every request names its host: one look at each byte, and no branch.
    match name.iter().fold(0, |found, byte| found | NAME[usize::from(*byte)]) {
        0 => true,
        PERCENT => memchr_iter(b'%', name).all(is_encoded),
        _ => false,
    }
}

/// Begins an encoded byte.
const PERCENT: u8 = 1;
/// Is not of a name.
const ALIEN: u8 = 2;

/// 0 for a byte of a name, or what it is besides.
const NAME: [u8; 256] = {
    let mut table = [ALIEN; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b';'
            | b'=' => 0,
            b'%' => PERCENT,
            _ => ALIEN,
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for sane in [
            "",
            "a",
            "a.example:80",
            "a_b",
            "a:",
            "[::1]",
            "[::1]:8080",
            "[::ffff:10.0.0.1]",
            "10.0.0.1:65535",
            "xn--a.b",
            "a%20b",
        ] {
            assert!(is_authority(sane.as_bytes()), "{sane}");
        }
        for refused in [
            "a b",
            "a,b",
            "user@a",
            "a:b",
            "a:80:80",
            "::1",
            "[::1",
            "[]",
            "[::1]x",
            "[::1]:x",
            "a/b",
            "a:123456",
            "ü",
            "a#b",
            "a?b",
            "a\\b",
            "a\"b",
            "<a>",
            "a:+1",
            "a%",
            "a%2",
            "a%2g",
            "[:::]",
            "[1:2:3]",
            "[::1.2.3]",
            "[12345::]",
            "[v1.a]",
            "[fe80::1%25lo]",
        ] {
            assert!(!is_authority(refused.as_bytes()), "{refused}");
        }
    }

    #[test]
    fn each_form_belongs_to_its_methods() {
        let form = |method: &str, text: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            target(text.as_bytes(), Span::new(0, text.len()), &method)
                .ok()
                .map(|target| target.form)
        };
        for (method, text, expected) in [
            ("GET", "/", Some(TargetForm::Origin)),
            ("GET", "//a/../b?c", Some(TargetForm::Origin)),
            ("GET", "/ü", Some(TargetForm::Origin)),
            ("GET", "/a#b", None),
            ("GET", "*", None),
            ("OPTIONS", "*", Some(TargetForm::Asterisk)),
            ("OPTIONS", "**", None),
            ("GET", "HTTP://a", Some(TargetForm::Absolute)),
            ("GET", "https://a:1?b", Some(TargetForm::Absolute)),
            ("GET", "http://", None),
            ("GET", "http:///a", None),
            ("GET", "http://:80/", None),
            ("GET", "http://user@a/", None),
            ("GET", "ftp://a/", None),
            ("GET", "a:80", None),
            ("GET", "a", None),
            ("CONNECT", "a:80", Some(TargetForm::Authority)),
            ("CONNECT", "[::1]:80", Some(TargetForm::Authority)),
            ("CONNECT", "a", None),
            ("CONNECT", "a:", None),
            ("CONNECT", ":80", None),
            ("CONNECT", "a:65535", Some(TargetForm::Authority)),
            ("CONNECT", "a:65536", None),
            ("CONNECT", "a:0", None),
            ("CONNECT", "/", None),
            ("CONNECT", "http://a:80/", None),
        ] {
            assert_eq!(form(method, text), expected, "{method} {text}");
        }
    }
}
