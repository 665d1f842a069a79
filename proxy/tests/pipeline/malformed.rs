//! HTTP/2 that the `h2` crate would not send: what RFC 9113 calls malformed reaches nobody, from clients and from endpoints.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::frames::ACK;
use crate::support::frames::DATA;
use crate::support::frames::END_STREAM;
use crate::support::frames::GOAWAY;
use crate::support::frames::HEADERS;
use crate::support::frames::PING;
use crate::support::frames::RST_STREAM;
use crate::support::frames::frame;
use crate::support::frames::head;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::wire::Wire;
use std::cell::Cell;
use std::rc::Rc;

type Fields = &'static [(&'static str, &'static str)];

const REQUEST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "web.test"),
];

/// Fields that make a request malformed, whatever else it has.
const REQUESTS: [Fields; 11] = [
    &[("connection", "x-secret")],
    &[("keep-alive", "timeout=5")],
    &[("proxy-connection", "keep-alive")],
    &[("transfer-encoding", "chunked")],
    &[("upgrade", "h2c")],
    &[("te", "gzip")],
    &[("X-Upper", "a")],
    &[("x-padded", " a")],
    &[("x-null", "a\0b")],
    &[("x-line", "a\r\nb: c")],
    &[("host", "other.test")],
];

/// What becomes of a stream: the status of its answer where the proxy gives one.
async fn outcome(wire: &mut Wire, stream: u32) -> &'static str {
    loop {
        let came = wire.frame().await;
        match came.kind {
            // 400 is an entry of the static table, and the first field.
            HEADERS if came.stream == stream && came.payload[0] == 0x8c => return "400",
            HEADERS if came.stream == stream => return "answered",
            RST_STREAM if came.stream == stream => return "reset",
            GOAWAY => return "goodbye",
            _ => {}
        }
    }
}

#[test]
fn a_malformed_request_reaches_no_upstream() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let seen = Rc::new(Cell::new(0));
            let count = Rc::clone(&seen);
            let server = Server::answering(endpoint, move |_| {
                count.set(count.get() + 1);
                Answer::new(Content::default())
            });
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            for fields in REQUESTS {
                let mut client = bench.http1().await;
                client.begin_http2().await;
                client.send(head(END_STREAM, 1, &[&REQUEST, fields].concat())).await;
                let outcome = outcome(&mut client, 1).await;
                assert_ne!(outcome, "answered", "{fields:?} to {endpoint:?}");
                assert_eq!(seen.get(), 0, "{fields:?} to {endpoint:?}");
            }
            // The same request without them is one.
            let mut client = bench.http1().await;
            client.begin_http2().await;
            client.send(head(END_STREAM, 1, &REQUEST)).await;
            assert_eq!(outcome(&mut client, 1).await, "answered");
            assert_eq!(seen.get(), 1);
        }
    });
}

/// Requests whose target is none of their method, or that are for nobody (RFC 9113 8.3.1, 8.5).
const TARGETS: [Fields; 7] = [
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
];

#[test]
fn a_target_that_fits_no_method_reaches_no_upstream() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let seen = Rc::new(Cell::new(0));
            let count = Rc::clone(&seen);
            let server = Server::answering(endpoint, move |_| {
                count.set(count.get() + 1);
                Answer::new(Content::default())
            });
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            for fields in TARGETS {
                let mut client = bench.http1().await;
                client.begin_http2().await;
                client.send(head(END_STREAM, 1, fields)).await;
                let outcome = outcome(&mut client, 1).await;
                assert_ne!(outcome, "answered", "{fields:?} to {endpoint:?}");
                assert_eq!(seen.get(), 0, "{fields:?} to {endpoint:?}");
            }
        }
    });
}

#[test]
fn malformed_trailers_are_no_clean_end() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let whole = Rc::new(Cell::new(0));
            let count = Rc::clone(&whole);
            let server = Server::answering(endpoint, move |_| {
                count.set(count.get() + 1);
                Answer::new(Content::default())
            });
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            client.begin_http2().await;
            client.send(head(0, 1, &REQUEST)).await;
            client.send(frame(DATA, 0, 1, b"some")).await;
            client.send(head(END_STREAM, 1, &[("x-sum", " 1")])).await;
            assert_ne!(outcome(&mut client, 1).await, "answered", "{endpoint:?}");
            assert_eq!(whole.get(), 0, "{endpoint:?}");
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
            let whole = Rc::new(Cell::new(0));
            let count = Rc::clone(&whole);
            let server = Server::answering(endpoint, move |_| {
                count.set(count.get() + 1);
                Answer::new(Content::default())
            });
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            for body in ["four", "more than five"] {
                let mut client = bench.http1().await;
                client.begin_http2().await;
                let fields = [&REQUEST[..], &[("content-length", "5")]].concat();
                client.send(head(0, 1, &fields)).await;
                client.send(frame(DATA, END_STREAM, 1, body.as_bytes())).await;
                let outcome = outcome(&mut client, 1).await;
                assert_ne!(outcome, "answered", "{body:?} to {endpoint:?}");
                assert_eq!(whole.get(), 0, "{body:?} to {endpoint:?}");
            }
        }
    });
}

/// Fields that make an answer malformed.
const ANSWERS: [Fields; 7] = [
    // Nothing can be switched to (RFC 9113 8.6).
    &[(":status", "101")],
    &[(":status", "200"), ("x-padded", " a")],
    &[(":status", "200"), ("connection", "x-secret")],
    &[(":status", "200"), ("transfer-encoding", "chunked")],
    &[(":status", "200"), ("X-Upper", "a")],
    &[(":status", "2x0")],
    &[("x-a", "no status")],
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
        for fields in ANSWERS {
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

/// Answers of HTTP/1 that two readers could take for two things.
const DOUBTFUL: [&str; 8] = [
    "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: 2\r\nContent-Length: 3\r\n",
    "Content-Length: +2\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "X-Null: a\0b\r\n",
    "X-Folded: a\r\n b\r\n",
    "X-Bare: a\nContent-Length: 2\r\n",
];

#[test]
fn an_http1_answer_whose_framing_is_doubtful_is_a_502() {
    over_both_families(async || {
        for fields in DOUBTFUL {
            let closed = Rc::new(Cell::new(0));
            let count = Rc::clone(&closed);
            let server = Server::h1(async move |mut wire, _| {
                wire.message().await;
                wire.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n2\r\nok\r\n0\r\n\r\n"))
                    .await;
                wire.rest_lossy().await;
                count.set(count.get() + 1);
            });
            let server = server.await;
            let bench = Bench::before("http", &server);
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
            // Neither connection is used again, nor kept.
            while closed.get() < 2 {
                settle().await;
            }
            assert_eq!(server.accepted(), 2, "{fields:?}");
        }
    });
}
