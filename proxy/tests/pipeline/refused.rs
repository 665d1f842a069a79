//! Streams that an endpoint refuses or resets before it answers.

use crate::support::Bench;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use h2::Reason;
use http::Response;
use std::rc::Rc;
use tokio::sync::Notify;

/// A server that refuses its first `count` streams.
async fn refusing(count: usize) -> Server {
    Server::h2(async move |request, mut respond, number| {
        if number < count {
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
        let path = request.uri().path().to_owned();
        let content = two::collect(request.into_body()).await.unwrap();
        let mut send = respond.send_response(Response::new(()), false).unwrap();
        let text = [path.as_bytes(), &content.bytes].concat();
        send.send_data(text.into(), true).unwrap();
    })
    .await
}

#[test]
fn a_refused_stream_is_tried_again() {
    over_both_families(async || {
        let server = refusing(2).await;
        let bench = Bench::before("http2", &server);
        let answer = bench.http2().await.get("/a").await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body().bytes[..]), (200, &b"/a"[..]));

        let server = refusing(2).await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        client.send("DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.message().await.text(), "/a");
    });
}

#[test]
fn a_stream_that_is_refused_for_ever_is_a_503() {
    over_both_families(async || {
        let server = refusing(100).await;
        let bench = Bench::before("http2", &server);
        let answer = bench.http2().await.get("/a").await.unwrap();
        assert_eq!(answer.headers()["x-evenkeel-reason"], "stream_refused");
        let mut client = bench.http1().await;
        for _ in 0..2 {
            client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.message().await.status(), 503);
        }
    });
}

/// A server that refuses its first stream when it is told to, and says when that has begun.
async fn refusing_later(begun: &Rc<Notify>, go: &Rc<Notify>) -> Server {
    let (begun, go) = (Rc::clone(begun), Rc::clone(go));
    Server::h2(async move |request, mut respond, number| {
        if number == 0 {
            begun.notify_one();
            go.notified().await;
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
        let mut send = respond.send_response(Response::new(()), false).unwrap();
        send.send_data(request.uri().path().to_owned().into(), true).unwrap();
    })
    .await
}

#[test]
fn what_a_client_sends_meanwhile_survives_the_retry() {
    over_both_families(async || {
        let (begun, go) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let server = refusing_later(&begun, &go).await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        begun.notified().await;
        client.send("GET /b HTTP/1.1\r\nHost: a\r\n\r\n").await;
        settle().await;
        go.notify_one();
        assert_eq!(client.message().await.text(), "/a");
        assert_eq!(client.message().await.text(), "/b");
    });
}

#[test]
fn a_client_that_finished_sending_gets_the_answer_of_the_retry() {
    over_both_families(async || {
        let (begun, go) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let server = refusing_later(&begun, &go).await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.finish().await;
        begun.notified().await;
        settle().await;
        go.notify_one();
        assert_eq!(client.message().await.text(), "/a");
        assert!(client.rest().await.unwrap().is_empty());
    });
}

#[test]
fn a_call_whose_stream_is_reset_after_its_body_was_read_is_answered() {
    over_both_families(async || {
        let server = Server::h2(async |request, mut respond, _| {
            two::collect(request.into_body()).await.unwrap();
            respond.send_reset(Reason::INTERNAL_ERROR);
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        for body in ["Content-Length: 2\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"] {
            let mut client = bench.http1().await;
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{body}")).await;
            tokio::task::yield_now().await;
            client
                .send(if body.starts_with('C') {
                    "hi"
                } else {
                    "2\r\nhi\r\n0\r\n\r\n"
                })
                .await;
            let answer = client.message().await;
            assert_eq!(
                (answer.status(), answer.field("x-evenkeel-reason")),
                (502, Some("upstream_reset"))
            );
        }
    });
}
