//! What the `h2` crate lets through in the head of a request, and RFC 9113 does not.

use crate::failure::Reason;
use http::header::HOST;
use http::request::Parts;

/// What a field counts beyond its bytes (RFC 9113 6.5.2, `SETTINGS_MAX_HEADER_LIST_SIZE`).
const FIELD_OVERHEAD: usize = 32;

/// Refuses a head that two readers could take for two things, and leaves one name for whom it is for.
pub(super) fn verify(head: &mut Parts, most_bytes: usize, most_fields: usize) -> Result<(), Reason> {
    let mut bytes = head.uri.path().len();
    for (name, value) in &head.headers {
        bytes += name.as_str().len() + value.len() + FIELD_OVERHEAD;
        if is_padded(value.as_bytes()) {
            return Err(Reason::MalformedRequest);
        }
    }
    if head.headers.len() > most_fields || bytes > most_bytes {
        return Err(Reason::HeadTooLarge);
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Reason::MalformedRequest);
    }
    let Some(authority) = head.uri.authority() else {
        return Ok(());
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

/// 8.2.1: a field value must not begin or end with white space.
fn is_padded(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    blank(value.first()) || blank(value.last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request};

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
            let mut padded = head("/", &[]);
            padded.headers.append("x-a", HeaderValue::from_static(value));
            assert_eq!(
                verify(&mut padded, 1000, 100),
                Err(Reason::MalformedRequest),
                "{value:?}"
            );
        }
    }

    #[test]
    fn more_fields_than_the_limit_are_refused() {
        let mut many = head("/", &[]);
        for _ in 0..101 {
            many.headers.append("x-a", HeaderValue::from_static("1"));
        }
        assert_eq!(verify(&mut many, 10_000, 100), Err(Reason::HeadTooLarge));
    }

    #[test]
    fn more_bytes_than_the_limit_are_refused() {
        let mut large = head("/", &[]);
        large.headers.append("x-a", HeaderValue::from_static("1"));
        assert_eq!(verify(&mut large, 37, 100), Ok(()));
        assert_eq!(verify(&mut large, 36, 100), Err(Reason::HeadTooLarge));
    }
}
