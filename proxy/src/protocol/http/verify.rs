//! What the `h2` crate lets through in heads and trailers, and RFC 9113 does not.

use crate::failure::Reason;
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};

/// What a field counts beyond its bytes (RFC 9113 6.5.2, `SETTINGS_MAX_HEADER_LIST_SIZE`).
const FIELD_OVERHEAD: usize = 32;

/// Refuses a head that two readers could take for two things, and leaves one name for whom it is for.
pub(super) fn verify(head: &mut Parts, most_bytes: usize, most_fields: usize) -> Result<(), Reason> {
    let mut bytes = head.uri.path().len();
    for (name, value) in &head.headers {
        bytes += name.as_str().len() + value.len() + FIELD_OVERHEAD;
        if is_malformed(name, value) {
            return Err(Reason::MalformedRequest);
        }
    }
    if head.headers.len() > most_fields || bytes > most_bytes {
        return Err(Reason::HeadTooLarge);
    }
    if !is_target(&head.method, &head.uri) {
        return Err(Reason::MalformedRequest);
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Reason::MalformedRequest);
    }
    let Some(authority) = head.uri.authority() else {
        // 8.3.1: one of both says whom it is for.
        let named = host.is_some_and(|host| !host.is_empty());
        return if named { Ok(()) } else { Err(Reason::MalformedRequest) };
    };
    // 8.3.1: userinfo is not for http, and a Host that says something else makes the request malformed.
    let agrees = host.is_none_or(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()));
    if authority.as_str().contains('@') || !agrees {
        return Err(Reason::MalformedRequest);
    }
    if host.is_some() {
        head.headers.remove(HOST);
    }
    Ok(())
}

/// 8.3.1 and 8.5: `*` is for OPTIONS, what CONNECT asks for is a host with its port, and everything else is a path.
fn is_target(method: &Method, target: &Uri) -> bool {
    if *method == Method::CONNECT {
        return target.port_u16().is_some();
    }
    // The crate takes a scheme of no letters.
    if target.scheme_str().is_some_and(str::is_empty) {
        return false;
    }
    let path = target.path_and_query().map_or("", |path| path.as_str());
    path.starts_with('/') || path == "*" && *method == Method::OPTIONS
}

/// Refuses the head of an answer, an interim one too. 8.6: nothing can be switched to by 101.
pub(super) fn verify_answer<T>(head: &Response<T>) -> Result<(), Reason> {
    if head.status() == StatusCode::SWITCHING_PROTOCOLS || has_malformed_value(head.headers()) {
        return Err(Reason::MalformedResponse);
    }
    Ok(())
}

/// Whether a value among these fields or trailers is malformed.
pub(super) fn has_malformed_value(fields: &HeaderMap) -> bool {
    fields.iter().any(|(name, value)| is_malformed(name, value))
}

/// 8.2.1: a field value must not begin or end with white space. The crate takes a length of no digits for 0.
fn is_malformed(name: &HeaderName, value: &HeaderValue) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    match (value.as_bytes().first(), value.as_bytes().last()) {
        (Some(first), Some(last)) => blank(first) || blank(last),
        _ => *name == CONTENT_LENGTH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(uri: &str, hosts: &[&'static str]) -> Parts {
        let mut head = Request::builder().uri(uri).body(()).unwrap().into_parts().0;
        for host in hosts {
            head.headers.append(HOST, HeaderValue::from_static(host));
        }
        head
    }

    #[test]
    fn one_name_is_left_for_whom_a_request_is_for() {
        let mut same = head("http://web/", &["WEB"]);
        assert_eq!(verify(&mut same, 1000, 100), Ok(()));
        assert!(!same.headers.contains_key(HOST));
        assert_eq!(verify(&mut head("/", &["web"]), 1000, 100), Ok(()));
    }

    #[test]
    fn a_request_for_nobody_is_refused() {
        for hosts in [&[][..], &[""]] {
            assert_eq!(verify(&mut head("/", hosts), 1000, 100), Err(Reason::MalformedRequest));
        }
    }

    #[test]
    fn a_target_that_fits_no_method_is_refused() {
        let asked = |method: Method, uri: &str| {
            let mut head = head(uri, &[]);
            head.method = method;
            head.headers.insert(HOST, HeaderValue::from_static("web:1"));
            verify(&mut head, 1000, 100).is_ok()
        };
        assert!(asked(Method::OPTIONS, "*") && asked(Method::CONNECT, "web:1"));
        assert!(!asked(Method::GET, "*") && !asked(Method::CONNECT, "web") && !asked(Method::CONNECT, "/"));
    }

    #[test]
    fn two_names_are_refused() {
        for mut ambiguous in [
            head("http://web/", &["other"]),
            head("/", &["web", "web"]),
            head("http://me@web/", &[]),
        ] {
            assert_eq!(
                verify(&mut ambiguous, 1000, 100),
                Err(Reason::MalformedRequest),
                "{ambiguous:?}"
            );
        }
    }

    #[test]
    fn values_with_white_space_around_them_are_refused() {
        for value in [" a", "a ", "\ta", " "] {
            let mut padded = head("/", &["web"]);
            padded.headers.append("x-a", HeaderValue::from_static(value));
            assert_eq!(
                verify(&mut padded, 1000, 100),
                Err(Reason::MalformedRequest),
                "{value:?}"
            );
        }
    }

    #[test]
    fn a_length_without_a_digit_is_refused_and_other_empty_values_are_not() {
        for (name, expected) in [("content-length", Err(Reason::MalformedRequest)), ("x-a", Ok(()))] {
            let mut empty = head("/", &["web"]);
            empty.headers.append(name, HeaderValue::from_static(""));
            assert_eq!(verify(&mut empty, 1000, 100), expected, "{name}");
        }
    }

    #[test]
    fn more_fields_than_the_limit_are_refused() {
        let mut many = head("/", &["web"]);
        for _ in 0..101 {
            many.headers.append("x-a", HeaderValue::from_static("1"));
        }
        assert_eq!(verify(&mut many, 10_000, 100), Err(Reason::HeadTooLarge));
    }

    #[test]
    fn more_bytes_than_the_limit_are_refused() {
        let mut large = head("/", &["a"]);
        assert_eq!(verify(&mut large, 38, 100), Ok(()));
        assert_eq!(verify(&mut large, 37, 100), Err(Reason::HeadTooLarge));
    }
}
