//! Bodies: whole, re-framed, cut off, in every pairing of versions.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;
use crate::support::two::trailer;
use bytes::Bytes;
use http::Request;
use std::rc::Rc;
use tokio::sync::Notify;

/// Bytes that never repeat in step with a buffer.
fn pattern(length: usize) -> Bytes {
    let mut word = 1_u64;
    let words = std::iter::repeat_with(|| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        word.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

#[test]
fn a_mebibyte_each_way_arrives_byte_for_byte_in_every_pairing() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = Server::answering(endpoint, |ask| Answer::new(ask.into_body())).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let content = Content {
                bytes: pattern(1 << 20),
                ..Content::default()
            };
            let ask = Request::post("http://web.test/echo").body(content.clone()).unwrap();
            let answer = bench.ask(client, ask).await;
            assert!(*answer.body() == content, "{client:?} to {endpoint:?}");
        }
    });
}

#[test]
fn trailers_survive_in_both_directions_and_every_pairing() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = Server::answering(endpoint, |ask| Answer::new(ask.into_body())).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let content = Content {
                bytes: "abc".into(),
                trailers: trailer("x-sum", "90150983"),
            };
            let ask = Request::post("http://web.test/echo")
                .header("te", "trailers")
                .body(content.clone())
                .unwrap();
            let answer = bench.ask(client, ask).await;
            assert_eq!(*answer.body(), content, "{client:?} to {endpoint:?}");
        }
    });
}

#[test]
fn chunks_in_tiny_pieces_arrive_whole() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |ask| Answer::new(ask.into_body())).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            for byte in "3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 1\r\n\r\n".bytes() {
                client.send([byte]).await;
                tokio::task::yield_now().await;
            }
            let answer = client.message().await;
            assert_eq!(
                (answer.text(), answer.trailers.as_str()),
                ("abcd", "x-sum: 1\r\n"),
                "to {endpoint:?}"
            );
        }
    });
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |ask| {
                let path = ask.uri().path().to_owned();
                Answer::new(Content::from(
                    &*[path.as_bytes(), &ask.body().bytes].concat().escape_ascii().to_string(),
                ))
            });
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            client
                .send(
                    "GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy\
                     POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n\
                     GET /d HTTP/1.1\r\nHost: a\r\n\r\n",
                )
                .await;
            for expected in ["/a", "/bxy", "/cz", "/d"] {
                assert_eq!(client.message().await.text(), expected, "to {endpoint:?}");
            }
        }
    });
}

/// Answers that end before they are complete.
const TRUNCATED: [&str; 4] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n",
];

/// A server that says so much and closes.
async fn truncating(answer: &'static str) -> Server {
    Server::h1(async move |mut wire, _| {
        wire.message().await;
        wire.send(answer).await;
    })
    .await
}

#[test]
fn a_truncated_answer_is_no_clean_end_for_http1() {
    over_both_families(async || {
        for answer in TRUNCATED {
            let server = truncating(answer).await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let rest = client.rest().await;
            assert!(rest.is_err(), "{answer:?} ended cleanly: {rest:?}");
        }
    });
}

#[test]
fn a_truncated_answer_resets_the_stream_and_not_the_connection() {
    over_both_families(async || {
        for answer in TRUNCATED {
            let server = truncating(answer).await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http2().await;
            for _ in 0..2 {
                let (response, _) = client.open(two::get("/"), true).await;
                // The reset may overtake a head that has not left us.
                let ended = match response.await {
                    Ok(response) => two::whole(response).await,
                    Err(error) => Err(error),
                };
                let error = ended.expect_err(answer);
                assert!(
                    error.is_reset() && error.reason() != Some(h2::Reason::NO_ERROR),
                    "{error}"
                );
            }
        }
    });
}

#[test]
fn an_answer_that_an_http2_endpoint_cuts_off_is_no_clean_end() {
    over_both_families(async || {
        let enough = Rc::new(Notify::new());
        let cut = Rc::clone(&enough);
        let server = Server::h2(async move |_, mut respond, _| {
            let mut send = respond.send_response(http::Response::new(()), false).unwrap();
            send.send_data("abc".into(), false).unwrap();
            cut.notified().await;
            send.send_reset(h2::Reason::CANCEL);
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.until("abc\r\n").await;
        enough.notify_one();
        assert!(client.rest().await.is_err());

        let mut client = bench.http2().await;
        let (response, _) = client.open(two::get("/"), true).await;
        let response = response.await.unwrap();
        enough.notify_one();
        let error = two::whole(response).await.expect_err("a reset");
        assert!(
            error.is_reset() && error.reason() != Some(h2::Reason::NO_ERROR),
            "{error}"
        );
    });
}

#[test]
fn a_request_that_its_client_cuts_off_is_no_clean_end_for_the_endpoint() {
    over_both_families(async || {
        let (seen, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let server = Server::h1(async move |mut wire, _| {
            wire.head().await;
            seen.send(wire.rest_lossy().await).unwrap();
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            .await;
        client.finish().await;
        assert_eq!(ends.recv().await.unwrap(), b"3\r\nabc\r\n");

        let (_response, mut send) = bench.http2().await.open(two::request("POST", "/"), false).await;
        send.send_data("abc".into(), false).unwrap();
        send.send_reset(h2::Reason::CANCEL);
        let end = ends.recv().await.unwrap();
        assert!(!end.ends_with(b"0\r\n\r\n"), "{}", end.escape_ascii());
    });
}

#[test]
fn an_answer_that_ends_with_its_connection_is_framed_anew_and_the_client_stays() {
    over_both_families(async || {
        for answer in ["HTTP/1.1 200 OK\r\n\r\nabc", "HTTP/1.0 200 OK\r\n\r\nabc"] {
            let server = truncating(answer).await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            for _ in 0..2 {
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
                let answer = client.message().await;
                assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
                assert_eq!(answer.text(), "abc");
            }
            let mut client = bench.http2().await;
            for _ in 0..2 {
                assert_eq!(client.get("/").await.unwrap().body().bytes, "abc");
            }
            assert_eq!(server.accepted(), 4);
        }
    });
}

#[test]
fn a_client_of_http10_gets_no_chunks() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |_| {
                Answer::new(Content {
                    bytes: "abc".into(),
                    trailers: trailer("x-sum", "1"),
                })
            });
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            client
                .send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
                .await;
            let answer = client.message().await;
            assert_eq!(answer.field("transfer-encoding"), None, "to {endpoint:?}");
            assert_eq!(answer.field("connection"), Some("close"));
            assert_eq!(answer.text(), "abc");
        }
    });
}

#[test]
fn a_client_of_http10_that_wants_its_connection_kept_keeps_it() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |_| Answer::new(Content::from("abc")));
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            let kept = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
            client.send(kept).await;
            let answer = client.message().await;
            assert_eq!(answer.text(), "abc");
            // An endpoint of HTTP/2 need not say how long its answer is; then only the end of the connection tells 1.0.
            if endpoint == Version::One {
                assert_eq!(answer.field("connection"), Some("keep-alive"));
                client.send(kept).await;
                assert_eq!(client.message().await.text(), "abc");
            }
            let mut client = bench.http1().await;
            client.send("GET / HTTP/1.0\r\n\r\n").await;
            let answer = client.message().await;
            assert_eq!((answer.status(), answer.text()), (200, "abc"), "to {endpoint:?}");
            assert!(client.rest().await.unwrap().is_empty());
        }
    });
}
