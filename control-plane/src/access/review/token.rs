//! What can be told of a token without asking anybody: nothing that may be believed before the API server has.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use k8s_openapi::ByteString;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use std::time::{Duration, SystemTime};

/// Longer than any token of a `ServiceAccount`.
const LONGEST: usize = 16 << 10;

/// Stands for a token where it is remembered: memory that leaks is no use to anybody.
pub(super) type Digest = [u8; 32];

/// A bearer token. It is in no log.
pub(super) struct Token {
    pub(super) text: String,
    /// When it ends, as it says itself.
    pub(super) expires: SystemTime,
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

impl Token {
    /// `Ok(None)`: there is none.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, &'static str> {
        let mut values = headers.get_all(AUTHORIZATION).into_iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err("there are two of them");
        }
        let value = value.to_str().map_err(|_| "it is no text")?;
        let (scheme, token) = value.split_once(' ').ok_or("it is no bearer token")?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err("it is no bearer token");
        }
        let token = token.trim();
        if token.len() > LONGEST {
            return Err("it is too long");
        }
        let claims = claims(token).ok_or("it is no token of a ServiceAccount that expires")?;
        let expires = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp));
        Ok(Some(Self {
            text: token.to_owned(),
            expires: expires.ok_or("it expires at no time at all")?,
        }))
    }

    pub(super) fn digest(&self) -> Digest {
        let mut short = Digest::default();
        short.copy_from_slice(digest(&SHA256, self.text.as_bytes()).as_ref());
        short
    }
}

/// The payload of a JWT (RFC 7519).
fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    // The alphabet of URLs and no padding, where Kubernetes has the ordinary one.
    let padding = (4 - payload.len() % 4) % 4;
    let ordinary = payload.replace('-', "+").replace('_', "/") + &"=".repeat(padding);
    let ByteString(json) = serde_json::from_value(ordinary.into()).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn of(values: &[&str]) -> Result<Option<SystemTime>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Token::of(&headers).map(|token| token.map(|token| token.expires))
    }

    #[test]
    fn a_token_says_when_it_ends() {
        // {"exp":1,"sub":"??>"}: letters of both alphabets.
        let ends = Ok(Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)));
        assert_eq!(of(&["Bearer e30.eyJleHAiOjEsInN1YiI6Ij8_PiJ9.c2ln"]), ends);
        assert_eq!(of(&["bearer  e30.eyJleHAiOjEsInN1YiI6Ij8_PiJ9.c2ln "]), ends);
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn what_is_no_token_of_ours_is_not_asked_about() {
        let long = format!("Bearer a.{}.b", "e".repeat(LONGEST));
        for bad in [
            "Bearer",
            "Bearer ",
            "Basic YTpi",
            "Bearer a.b",
            "Bearer a.b.c.d",
            "Bearer a.e30.c",
            "Bearer é.e30.c",
            // {"exp":-1}, {"exp":"1"}, {"exp":18446744073709551615}
            "Bearer a.eyJleHAiOi0xfQ.c",
            "Bearer a.eyJleHAiOiIxIn0.c",
            "Bearer a.eyJleHAiOjE4NDQ2NzQ0MDczNzA5NTUxNjE1fQ.c",
            &long,
        ] {
            assert!(of(&[bad]).is_err(), "{bad}");
        }
        let good = "Bearer e30.eyJleHAiOjEsInN1YiI6Ij8_PiJ9.c2ln";
        assert!(of(&[good, good]).is_err());
    }
}
