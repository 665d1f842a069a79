//! HTTP/2 that the `h2` crate would not send: what RFC 9113 calls malformed reaches nobody, from clients and from endpoints.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::frames::ACK;
use crate::support::frames::CONTINUATION;
use crate::support::frames::DATA;
use crate::support::frames::END_HEADERS;
use crate::support::frames::END_STREAM;
use crate::support::frames::GOAWAY;
use crate::support::frames::HEADERS;
use crate::support::frames::PADDED;
use crate::support::frames::PING;
use crate::support::frames::PRIORITISED;
use crate::support::frames::PUSH_PROMISE;
use crate::support::frames::RST_STREAM;
use crate::support::frames::SETTINGS;
use crate::support::frames::WINDOW_UPDATE;
use crate::support::frames::frame;
use crate::support::frames::head;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::wire::Wire;
use std::cell::Cell;
use std::fmt::Debug;
use std::rc::Rc;

type Fields = &'static [(&'static str, &'static str)];

const REQUEST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "web.test"),
];

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

/// A proxy before an endpoint that counts the requests which reach it.
struct Stage {
    bench: Bench,
    endpoint: Version,
    seen: Rc<Cell<usize>>,
    _server: Server,
}

impl Stage {
    async fn of(endpoint: Version) -> Self {
        let seen = Rc::new(Cell::new(0));
        let count = Rc::clone(&seen);
        let server = Server::answering(endpoint, move |_| {
            count.set(count.get() + 1);
            Answer::new(Content::default())
        });
        let server = server.await;
        Self {
            bench: Bench::before(endpoint.protocol(), &server),
            endpoint,
            seen,
            _server: server,
        }
    }

    /// What becomes of the first stream of a client that sends these frames.
    async fn outcome(&self, frames: &[u8]) -> &'static str {
        let mut client = self.bench.http1().await;
        client.begin_http2().await;
        client.send(frames).await;
        outcome(&mut client, 1).await
    }

    /// The frames are no request: they are not answered as one, and nothing whole reaches the endpoint.
    async fn refuses(&self, frames: &[u8], what: &impl Debug) {
        let outcome = self.outcome(frames).await;
        assert_ne!(outcome, "answered", "{what:?} to {:?}", self.endpoint);
        assert_eq!(self.seen.get(), 0, "{what:?} to {:?}", self.endpoint);
    }

    /// The same for a head without a body.
    async fn refuses_head(&self, fields: &[(&str, &str)]) {
        self.refuses(&head(END_STREAM, 1, fields), &fields).await;
    }
}

/// What becomes of a stream: the status of its answer where the proxy gives one.
async fn outcome(wire: &mut Wire, stream: u32) -> &'static str {
    while let Some(came) = wire.next_frame().await {
        match came.kind {
            // 400 is an entry of the static table, and the first field.
            HEADERS if came.stream == stream && came.payload[0] == 0x8c => return "400",
            HEADERS if came.stream == stream => return "answered",
            RST_STREAM if came.stream == stream => return "reset",
            GOAWAY => return "goodbye",
            _ => {}
        }
    }
    "closed"
}

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

/// Fields that no trailers may have.
const TRAILERS: &[Fields] = &[
    &[("x-sum", " 1")],
    &[("X-Sum", "1")],
    &[("x-sum", "1\n")],
    &[("connection", "x-sum")],
    &[("transfer-encoding", "chunked")],
];

#[test]
fn malformed_trailers_are_no_clean_end() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let stage = Stage::of(endpoint).await;
            for trailers in TRAILERS {
                let frames = [
                    head(0, 1, &REQUEST),
                    frame(DATA, 0, 1, b"some"),
                    head(END_STREAM, 1, trailers),
                ];
                stage.refuses(&frames.concat(), trailers).await;
            }
            // Trailers that do not end the stream (8.1).
            let frames = [
                head(0, 1, &REQUEST),
                frame(DATA, 0, 1, b"some"),
                head(0, 1, &[("x-sum", "1")]),
            ];
            stage.refuses(&frames.concat(), &"no end").await;
        }
        // An answer that ends so is no whole answer either.
        let server = Server::raw(async |stream, _| {
            let mut wire = Wire::new(stream);
            wire.accept_http2().await;
            let asked = wire.next(HEADERS).await.stream;
            wire.send(head(0, asked, &[(":status", "200")])).await;
            wire.send(frame(DATA, 0, asked, b"some")).await;
            wire.send(head(END_STREAM, asked, &[("x-sum", "1 ")])).await;
            while wire.next_frame().await.is_some() {}
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let all = client.rest_lossy().await;
        assert!(
            all.starts_with(b"HTTP/1.1 200") && !all.ends_with(b"0\r\n\r\n"),
            "{}",
            all.escape_ascii()
        );
    });
}

#[test]
fn a_body_that_disagrees_with_its_length_is_no_request() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let stage = Stage::of(endpoint).await;
            let begun = head(0, 1, &[&REQUEST[..], &[("content-length", "5")]].concat());
            for body in ["", "four", "more than five"] {
                let frames = [&begun[..], &frame(DATA, END_STREAM, 1, body.as_bytes())].concat();
                stage.refuses(&frames, &body).await;
            }
            let trailers = head(END_STREAM, 1, &[("x-sum", "1")]);
            let frames = [&begun[..], &frame(DATA, 0, 1, b"four"), &trailers].concat();
            stage.refuses(&frames, &"trailers").await;
        }
    });
}

/// Frames that break the protocol of the connection or of its streams, as clients send them after their SETTINGS (RFC 9113 4 to 6).
fn violations() -> Vec<(&'static str, Vec<u8>)> {
    let begun = head(0, 1, &REQUEST);
    let block = &begun[9..];
    let padded = [&[200][..], block].concat();
    let dependent = [&1_u32.to_be_bytes()[..], &[16], block].concat();
    let after = |frame: Vec<u8>| [&begun[..], &frame].concat();
    vec![
        ("a stream of a server", head(END_STREAM, 2, &REQUEST)),
        ("a head on stream 0", head(END_STREAM, 0, &REQUEST)),
        ("data on stream 0", frame(DATA, 0, 0, b"a")),
        ("data before the head", frame(DATA, END_STREAM, 1, b"a")),
        ("a reset before the head", frame(RST_STREAM, 0, 1, &[0; 4])),
        ("a window before the head", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        ("a window that does not grow", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        (
            "a window of a stream that does not grow",
            after(frame(WINDOW_UPDATE, 0, 1, &[0; 4])),
        ),
        (
            "a window beyond all",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        (
            "a promise of a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]),
        ),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, block)),
        (
            "data amid a head",
            [frame(HEADERS, 0, 1, block), frame(DATA, 0, 1, b"a")].concat(),
        ),
        (
            "a continuation of another",
            [frame(HEADERS, 0, 1, block), frame(CONTINUATION, END_HEADERS, 3, block)].concat(),
        ),
        (
            "padding beyond the frame",
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &padded),
        ),
        (
            "a stream that depends on itself",
            frame(HEADERS, END_HEADERS | END_STREAM | PRIORITISED, 1, &dependent),
        ),
        (
            "a head out of no table",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0x03]),
        ),
        (
            "a head that is cut off",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &block[..block.len() - 1]),
        ),
        (
            "a table beyond its bound",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[&[0x3f, 0xff, 0xff, 0x03][..], block].concat(),
            ),
        ),
        ("a short PING", frame(PING, 0, 0, &[0; 7])),
        ("a PING on a stream", frame(PING, 0, 1, &[0; 8])),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[])),
        ("SETTINGS that are cut off", frame(SETTINGS, 0, 0, &[0; 5])),
        (
            "an acknowledgement that says something",
            frame(SETTINGS, ACK, 0, &[0; 6]),
        ),
        (
            "SETTINGS that promise nonsense",
            frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]),
        ),
        (
            "a window beyond all in SETTINGS",
            frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
        ),
        ("frames smaller than may be", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1])),
        (
            "a frame larger than may be",
            after(frame(DATA, END_STREAM, 1, &[0; 16_385])),
        ),
        ("a goodbye on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
    ]
}

#[test]
fn what_breaks_the_protocol_ends_the_stream_or_the_connection() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let stage = Stage::of(endpoint).await;
            for (what, frames) in violations() {
                stage.refuses(&frames, &what).await;
            }
            // Others are not concerned.
            assert_eq!(stage.outcome(&head(END_STREAM, 1, &REQUEST)).await, "answered");
        }
    });
}

/// Fields that make an answer malformed.
const ANSWERS: &[Fields] = &[
    // Nothing can be switched to (RFC 9113 8.6).
    &[(":status", "101")],
    &[(":status", "200"), ("x-padded", " a")],
    &[(":status", "200"), ("connection", "x-secret")],
    &[(":status", "200"), ("transfer-encoding", "chunked")],
    &[(":status", "200"), ("X-Upper", "a")],
    &[(":status", "2x0")],
    &[(":status", "20")],
    &[(":status", "")],
    &[("x-a", "no status")],
    &[(":status", "200"), (":status", "204")],
    &[(":status", "200"), ("content-length", "")],
    &[(":status", "200"), (":unknown", "a")],
    &[("x-a", "b"), (":status", "200")],
    &[(":status", "200"), ("x-null", "a\0b")],
    &[(":status", "200"), ("x-line", "a\r\nb: c")],
    &[(":status", "200"), ("x y", "a")],
    &[(":status", "200"), ("content-length", "5")],
    &[(":status", "200"), ("content-length", "0"), ("content-length", "5")],
    &[(":status", "200"), ("content-length", "+0")],
];

/// An endpoint that answers every stream like this, until its client leaves.
async fn answering(fields: Fields) -> Server {
    Server::raw(async move |stream, _| {
        let mut wire = Wire::new(stream);
        wire.accept_http2().await;
        while let Some(came) = wire.next_frame().await {
            let answer = match came.kind {
                PING if came.flags & ACK == 0 => frame(PING, ACK, 0, &came.payload),
                HEADERS => head(END_STREAM, came.stream, fields),
                _ => continue,
            };
            if wire.try_send(answer).await.is_err() {
                return;
            }
        }
    })
    .await
}

#[test]
fn a_malformed_answer_is_a_502() {
    over_both_families(async || {
        for &fields in ANSWERS {
            let server = answering(fields).await;
            let bench = Bench::before("http2", &server);
            let mut client = bench.http1().await;
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                .await;
            let answer = client.message().await;
            assert_eq!(
                (answer.status(), answer.field("x-evenkeel-reason")),
                (502, Some("malformed_response")),
                "{fields:?}"
            );
            let answer = bench.http2().await.get("/").await.unwrap();
            assert_eq!(answer.status(), 502, "{fields:?}");
        }
    });
}
