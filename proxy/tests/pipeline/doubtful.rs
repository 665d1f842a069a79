//! Answers of HTTP/1 that are none, or that two readers could take for two things: a 502, and the connection is closed.

use crate::support::Bench;
use crate::support::ask::Version;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use std::cell::Cell;
use std::rc::Rc;

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

/// Both clients get a 502 of a server that says this, whose connections are closed and not used again.
async fn is_a_502(says: String) {
    let closed = Rc::new(Cell::new(0));
    let (count, answer) = (Rc::clone(&closed), says.clone());
    let server = Server::h1(async move |mut wire, _| {
        wire.message().await;
        wire.send(&answer).await;
        wire.rest_lossy().await;
        count.set(count.get() + 1);
    });
    let server = server.await;
    let bench = Bench::before(Version::One.protocol(), &server);
    let mut client = bench.http1().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.message().await;
    assert_eq!(
        (answer.status(), answer.field("x-evenkeel-reason")),
        (502, Some("malformed_response")),
        "{says:?}"
    );
    let answer = bench.http2().await.get("/").await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-evenkeel-reason"]),
        (502, &"malformed_response".parse().unwrap()),
        "{says:?}"
    );
    while closed.get() < 2 {
        settle().await;
    }
    assert_eq!(server.accepted(), 2, "{says:?}");
}

#[test]
fn an_http1_answer_whose_framing_is_doubtful_is_a_502_and_its_connection_is_closed() {
    over_both_families(async || {
        for fields in DOUBTFUL {
            is_a_502(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{BODY}")).await;
        }
    });
}

#[test]
fn an_http1_answer_without_a_status_line_is_a_502_and_its_connection_is_closed() {
    over_both_families(async || {
        for line in STATUS_LINES {
            is_a_502(format!("{line}\r\nContent-Length: 2\r\n\r\nok")).await;
        }
    });
}
