//! The page that browsers get: one document without anything from elsewhere, which follows `/events`.

use super::answer::Answer;
use super::answer::whole;
use hyper::StatusCode;
use hyper::header;
use std::hash::BuildHasher;
use std::hash::Hasher;
use std::hash::RandomState;

const HTML: &str = "text/html; charset=utf-8";

/// Only its own script and style have effect: each answer has another word that they know.
pub(super) fn page() -> Answer {
    let hash = || RandomState::new().build_hasher().finish();
    let nonce = format!("{:016x}{:016x}", hash(), hash());
    let page = include_str!("index.html").replace("NONCE", &nonce);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut answer = whole(StatusCode::OK, HTML, page);
    if let Ok(policy) = header::HeaderValue::from_str(&policy) {
        let headers = answer.response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}
