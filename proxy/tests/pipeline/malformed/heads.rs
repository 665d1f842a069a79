//! Heads of requests over HTTP/2 that are none: their fields, and targets that fit no method.

use super::Fields;
use super::REQUEST;
use super::Stage;
use crate::support::ask::Version;
use crate::support::frames::END_STREAM;
use crate::support::frames::head;
use crate::support::over_both_families;

/// Fields that make a request malformed, whatever else it has (RFC 9113 8.2, 8.3).
const REQUESTS: &[Fields] = &[
    &[("connection", "x-secret")],
    &[("keep-alive", "timeout=5")],
    &[("proxy-connection", "keep-alive")],
    &[("transfer-encoding", "chunked")],
    &[("upgrade", "h2c")],
    &[("te", "gzip")],
    &[("te", "trailers, gzip")],
    &[("te", "trailers"), ("te", "gzip")],
    &[("X-Upper", "a")],
    &[("", "a")],
    &[("x y", "a")],
    &[("x:y", "a")],
    &[("x-del\x7f", "a")],
    &[("x-padded", " a")],
    &[("x-padded", "a\t")],
    &[("x-null", "a\0b")],
    &[("x-line", "a\r\nb: c")],
    &[("x-feed", "a\nb")],
    &[("host", "other.test")],
    &[("host", "web.test"), ("host", "web.test")],
    &[("content-length", "5")],
    &[("content-length", "0"), ("content-length", "5")],
    &[("content-length", "+0")],
    &[("content-length", "0, 5")],
    &[("content-length", "")],
    &[(":path", "/other")],
    &[(":method", "POST")],
    &[(":scheme", "http")],
    &[(":authority", "web.test")],
    &[(":status", "200")],
    &[(":unknown", "a")],
];

/// Pseudo-fields that say what none may say (8.3.1).
const INSTEAD: &[(&str, &str)] = &[
    (":method", ""),
    (":method", "GET /secret"),
    (":method", "G\rT"),
    (":scheme", ""),
    (":path", ""),
    (":path", "other"),
    (":path", "/a b"),
    (":path", "/a\r\nb"),
    (":path", " /"),
    (":path", "http://other.test/"),
    (":authority", "user@web.test"),
    (":authority", "web.test/path"),
    (":authority", "web.test other.test"),
    (":authority", "web.test\0"),
];

#[test]
fn a_malformed_request_reaches_no_upstream() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let stage = Stage::of(endpoint).await;
            for fields in REQUESTS {
                stage.refuses_head(&[&REQUEST, *fields].concat()).await;
            }
            for (name, changed) in INSTEAD {
                let fields = REQUEST.map(|(known, value)| (known, if known == *name { *changed } else { value }));
                stage.refuses_head(&fields).await;
            }
            for missing in [":method", ":scheme"] {
                let fields: Vec<_> = REQUEST.into_iter().filter(|(name, _)| *name != missing).collect();
                stage.refuses_head(&fields).await;
            }
            // A pseudo-field behind a field (8.3).
            stage.refuses_head(&[&[("x-a", "b")], &REQUEST[..]].concat()).await;
            stage
                .refuses_head(&[&REQUEST[..3], &[("x-a", "b")], &REQUEST[3..]].concat())
                .await;
            // The same request without all that is one.
            assert_eq!(stage.outcome(&head(END_STREAM, 1, &REQUEST)).await, "answered");
            assert_eq!(stage.seen.get(), 1);
        }
    });
}

/// Requests whose target is none of their method, or that are for nobody (RFC 9113 8.3.1, 8.5).
const TARGETS: &[Fields] = &[
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "*"),
        (":authority", "web.test"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "?a"),
        (":authority", "web.test"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", ""),
        (":authority", "web.test"),
    ],
    &[(":method", "GET"), (":scheme", "http"), (":path", "/")],
    &[(":method", "GET"), (":scheme", "http")],
    &[(":method", "CONNECT")],
    &[(":method", "CONNECT"), (":authority", "web.test")],
    // Its target is the authority alone.
    &[
        (":method", "CONNECT"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "web.test:80"),
    ],
    &[(":method", "CONNECT"), (":path", "/"), (":authority", "web.test:80")],
    // Extended CONNECT (RFC 8441) is not offered.
    &[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "web.test:80"),
    ],
];

#[test]
fn a_target_that_fits_no_method_reaches_no_upstream() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let stage = Stage::of(endpoint).await;
            for fields in TARGETS {
                stage.refuses_head(fields).await;
            }
        }
    });
}
