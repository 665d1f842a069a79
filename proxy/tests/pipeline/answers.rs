//! Answers out of the ordinary: interim ones, and those to a client that has finished sending.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use http::Response;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const EXPECTING: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

/// A server of HTTP/1 that asks for the body it was promised, and shows it.
async fn continuing() -> Server {
    Server::h1(async |mut wire, _| {
        while let Some(head) = wire.next_head().await {
            assert!(head.to_lowercase().contains("expect: 100-continue"), "{head}");
            wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            let body = wire.exactly(5).await;
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
                body.escape_ascii()
            ))
            .await;
        }
    })
    .await
}

/// The same of HTTP/2.
async fn continuing_h2() -> Server {
    Server::h2(async |request, mut respond, _| {
        assert_eq!(request.headers()["expect"], "100-continue");
        respond.send_informational(interim(100)).unwrap();
        let content = two::collect(request.into_body()).await.unwrap();
        let mut send = respond.send_response(Response::new(()), false).unwrap();
        two::deliver(&mut send, &content);
    })
    .await
}

fn interim(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).unwrap()
}

#[test]
fn a_client_that_expects_100_gets_it_from_the_endpoint() {
    over_both_families(async || {
        for (server, protocol) in [(continuing().await, "http"), (continuing_h2().await, "http2")] {
            let bench = Bench::before(protocol, &server);
            let mut client = bench.http1().await;
            for _ in 0..2 {
                client.send(EXPECTING).await;
                assert!(client.head().await.starts_with("HTTP/1.1 100"));
                client.send("hello").await;
                assert_eq!(client.message().await.text(), "hello", "{protocol}");
            }

            let mut request = two::request("POST", "/");
            request.headers_mut().insert("expect", "100-continue".parse().unwrap());
            request.headers_mut().insert("content-length", 5.into());
            let (mut response, mut send) = bench.http2().await.open(request, false).await;
            let first = poll_fn(|cx| response.poll_informational(cx)).await;
            assert_eq!(first.unwrap().unwrap().status(), 100, "{protocol}");
            two::deliver(&mut send, &"hello".into());
            let answer = two::whole(response.await.unwrap()).await.unwrap();
            assert_eq!(answer.body().bytes, "hello");
        }
    });
}

#[test]
fn a_refused_expectation_reaches_the_client_which_never_sends_its_body() {
    over_both_families(async || {
        let refusal = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n";
        let endings = Rc::new(Cell::new(0));
        let ended = Rc::clone(&endings);
        let server = Server::h1(async move |mut wire, _| {
            wire.head().await;
            wire.send(refusal).await;
            assert_eq!(wire.rest_lossy().await, b"");
            ended.set(ended.get() + 1);
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client.send(EXPECTING).await;
        assert_eq!(client.message().await.status(), 417);
        drop(client);
        while endings.get() < 1 {
            tokio::task::yield_now().await;
        }

        let mut request = two::request("POST", "/");
        request.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let (response, _send) = bench.http2().await.open(request, false).await;
        assert_eq!(response.await.unwrap().status(), 417);
        while endings.get() < 2 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_refused_expectation_of_an_http2_endpoint_reaches_the_client_as_well() {
    over_both_families(async || {
        let server = Server::h2(async |request, mut respond, _| {
            respond.send_response(interim(417), true).unwrap();
            // Whatever ends the stream, nothing came on it.
            let sent = two::collect(request.into_body()).await;
            assert!(sent.is_err() || sent.is_ok_and(|content| content.bytes.is_empty()));
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        client.send(EXPECTING).await;
        assert_eq!(client.message().await.status(), 417);
        let mut request = two::request("POST", "/");
        request.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let (response, _send) = bench.http2().await.open(request, false).await;
        assert_eq!(response.await.unwrap().status(), 417);
    });
}

#[test]
fn an_expectation_without_a_body_is_forwarded_like_any_field() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |ask| {
                assert_eq!(ask.headers()["expect"], "100-continue");
                Answer::new(Content::from("ok"))
            });
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            for _ in 0..2 {
                client
                    .send("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
                    .await;
                assert_eq!(client.message().await.text(), "ok");
            }
        }
    });
}

#[test]
fn early_hints_are_relayed_before_the_answer_is_known() {
    over_both_families(async || {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
        let one = Server::h1(async move |mut wire, _| {
            while wire.next_message().await.is_some() {
                wire.send(hints).await;
                wire.send(hints).await;
                wire.send(OK).await;
            }
        });
        let two = Server::h2(async |_, mut respond, _| {
            for _ in 0..2 {
                let mut hints = interim(103);
                let link = "</a.css>; rel=preload".parse().unwrap();
                hints.headers_mut().insert("link", link);
                respond.send_informational(hints).unwrap();
            }
            respond.send_response(Response::new(()), true).unwrap();
        });
        for (server, protocol) in [(one.await, "http"), (two.await, "http2")] {
            let bench = Bench::before(protocol, &server);
            let mut client = bench.http1().await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            for _ in 0..2 {
                let head = client.head().await;
                assert!(head.starts_with("HTTP/1.1 103"), "{protocol}: {head}");
                assert!(head.to_lowercase().contains("link: </a.css>"), "{head}");
            }
            assert_eq!(client.message().await.status(), 200);

            let (mut response, _) = bench.http2().await.open(two::get("/"), true).await;
            for _ in 0..2 {
                let hints = poll_fn(|cx| response.poll_informational(cx)).await;
                assert_eq!(hints.expect("hints").unwrap().status(), 103, "{protocol}");
            }
            assert_eq!(response.await.unwrap().status(), 200);
        }
    });
}

#[test]
fn a_client_of_http10_gets_no_interim_answer() {
    over_both_families(async || {
        let server = Server::saying("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.message().await.status(), 200);
    });
}

#[test]
fn a_client_that_finished_sending_still_gets_its_answers() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |ask| Answer::new(Content::from(ask.uri().path())));
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            client
                .send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
                .await;
            client.finish().await;
            assert_eq!(client.message().await.text(), "/a", "{endpoint:?}");
            assert_eq!(client.message().await.text(), "/b", "{endpoint:?}");
            assert!(client.rest().await.unwrap().is_empty());
        }
    });
}

#[test]
fn the_fin_of_a_client_may_come_long_before_its_answer() {
    over_both_families(async || {
        let waiting = Rc::new(tokio::sync::Notify::new());
        let (go, also) = (Rc::clone(&waiting), Rc::clone(&waiting));
        let one = Server::h1(async move |mut wire, _| {
            wire.message().await;
            go.notified().await;
            wire.send(OK).await;
        });
        let two = Server::h2(async move |_, mut respond, _| {
            also.notified().await;
            respond.send_response(Response::new(()), true).unwrap();
        });
        for (server, protocol) in [(one.await, "auto"), (two.await, "http2")] {
            let bench = Bench::before(protocol, &server);
            let mut client = bench.http1().await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            client.finish().await;
            settle().await;
            waiting.notify_one();
            assert_eq!(client.message().await.status(), 200, "{protocol}");
        }
    });
}
