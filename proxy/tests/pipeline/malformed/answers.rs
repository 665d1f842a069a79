//! Answers that are none, or that two readers could take for two things: a 502 for every client, and over HTTP/1 the end of their
//! connection.

use super::Fields;
use crate::support::Bench;
use crate::support::ask::Version;
use crate::support::frames::ACK;
use crate::support::frames::END_STREAM;
use crate::support::frames::HEADERS;
use crate::support::frames::PING;
use crate::support::frames::frame;
use crate::support::frames::head;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::wire::Wire;
use std::cell::Cell;
use std::fmt::Debug;
use std::rc::Rc;

/// A client of each version gets a 502 that says why.
async fn is_a_502(bench: &Bench, what: &impl Debug) {
    let mut client = bench.http1().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.message().await;
    assert_eq!(
        (answer.status(), answer.field("x-evenkeel-reason")),
        (502, Some("malformed_response")),
        "{what:?}"
    );
    let answer = bench.http2().await.get("/").await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-evenkeel-reason"]),
        (502, &"malformed_response".parse().unwrap()),
        "{what:?}"
    );
}

/// Fields that make an answer over HTTP/2 malformed.
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
            is_a_502(&Bench::before("http2", &server), &fields).await;
        }
    });
}

const BODY: &str = "2\r\nok\r\n0\r\n\r\n";

/// Fields that say two things of where the body ends, or break a line in two.
const DOUBTFUL: [&str; 12] = [
    "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: 2\r\nContent-Length: 3\r\n",
    "Content-Length: 2, 3\r\n",
    "Content-Length: +2\r\n",
    "Content-Length: \r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "X-Null: a\0b\r\n",
    "X-Folded: a\r\n b\r\n",
    "X-Bare: a\nContent-Length: 2\r\n",
    ": nameless\r\n",
];

/// Status lines that are none (RFC 9112 4).
const STATUS_LINES: [&str; 14] = [
    "HTTP/1.1 20",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 2x0 OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 +20 OK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200 OK",
    "HTTP/1.1 200\tOK",
    "HTTP/1.1 200 O\0K",
    "HTTP/1.1",
    "HTTP/1.2 200 OK",
    "HTTP/2 200 OK",
    "http/1.1 200 OK",
    "ICY 200 OK",
];

/// A server of HTTP/1 that says this has its connections closed, and none is used again.
async fn is_a_502_and_its_connection_is_closed(says: String) {
    let closed = Rc::new(Cell::new(0));
    let (count, answer) = (Rc::clone(&closed), says.clone());
    let server = Server::h1(async move |mut wire, _| {
        wire.message().await;
        wire.send(&answer).await;
        wire.rest_lossy().await;
        count.set(count.get() + 1);
    });
    let server = server.await;
    is_a_502(&Bench::before(Version::One.protocol(), &server), &says).await;
    while closed.get() < 2 {
        settle().await;
    }
    assert_eq!(server.accepted(), 2, "{says:?}");
}

#[test]
fn an_http1_answer_whose_framing_is_doubtful_is_a_502_and_its_connection_is_closed() {
    over_both_families(async || {
        for fields in DOUBTFUL {
            is_a_502_and_its_connection_is_closed(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{BODY}")).await;
        }
    });
}

#[test]
fn an_http1_answer_without_a_status_line_is_a_502_and_its_connection_is_closed() {
    over_both_families(async || {
        for line in STATUS_LINES {
            is_a_502_and_its_connection_is_closed(format!("{line}\r\nContent-Length: 2\r\n\r\nok")).await;
        }
    });
}
