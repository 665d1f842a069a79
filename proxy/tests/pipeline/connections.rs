//! Connections to endpoints that are used again, and those that are closed under us.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::run;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::wire::Wire;
use evenkeel_proxy::lifecycle::Phase;
use std::cell::RefCell;
use std::rc::Rc;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// A server that closes its first connection as soon as a second request begins on it, and shows the requests it saw.
async fn racing() -> (Server, Rc<RefCell<Vec<String>>>) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let requests = Rc::clone(&seen);
    let server = Server::h1(async move |mut wire, number| {
        while let Some(message) = wire.next_message().await {
            requests.borrow_mut().push(format!("{} on {number}", message.line()));
            if number == 0 && requests.borrow().len() == 2 {
                return;
            }
            if wire.try_send(OK).await.is_err() {
                return;
            }
        }
    });
    (server.await, seen)
}

/// A server that shows its own name.
async fn named(name: &'static str) -> Server {
    Server::answering(Version::One, move |_| Answer::new(Content::from(name))).await
}

async fn status(client: &mut Wire, request: &str) -> u16 {
    client.send(request).await;
    client.message().await.status()
}

#[test]
fn an_idempotent_request_survives_the_idle_race() {
    run(async {
        let (server, seen) = racing().await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        assert_eq!(status(&mut client, GET).await, 200);
        assert_eq!(status(&mut client, GET).await, 200);
        assert_eq!(
            *seen.borrow(),
            ["GET / HTTP/1.1 on 0", "GET / HTTP/1.1 on 0", "GET / HTTP/1.1 on 1"]
        );

        let (server, _) = racing().await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http2().await;
        assert_eq!(client.get("/").await.unwrap().status(), 200);
        assert_eq!(client.get("/").await.unwrap().status(), 200);
    });
}

#[test]
fn a_post_that_lost_the_idle_race_is_not_sent_twice() {
    run(async {
        let (server, seen) = racing().await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        assert_eq!(status(&mut client, GET).await, 200);
        client.send(POST).await;
        let answer = client.message().await;
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.field("x-evenkeel-reason"), Some("upstream_closed"));
        assert_eq!(seen.borrow().len(), 2);
        assert_eq!(status(&mut client, POST).await, 200, "the client's connection lives on");
    });
}

#[test]
fn a_fin_that_is_seen_while_idle_evicts() {
    run(async {
        let server = Server::h1(async |mut wire, _| {
            wire.message().await;
            wire.send(OK).await;
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        for connections in 1..=5 {
            assert_eq!(status(&mut client, POST).await, 200);
            assert_eq!(server.accepted(), connections);
            // The server's FIN is on its way to us.
            settle().await;
        }
    });
}

#[test]
fn a_server_that_says_how_long_it_waits_is_left_a_second_earlier() {
    run(async {
        for (fields, connections) in [
            ("", 1),
            ("Keep-Alive: timeout=60\r\n", 1),
            ("Keep-Alive: timeout=1\r\n", 2),
        ] {
            let server = Server::h1(async move |mut wire, _| {
                while wire.next_message().await.is_some() {
                    wire.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n"))
                        .await;
                }
            });
            let server = server.await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            assert_eq!(status(&mut client, GET).await, 200);
            assert_eq!(status(&mut client, GET).await, 200);
            assert_eq!(server.accepted(), connections, "{fields:?}");
        }
    });
}

#[test]
fn a_connection_that_is_out_of_step_is_not_used_again() {
    let behind = [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        "HTTP/1.1 204 No Content\r\n\r\npoison",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\npoison",
    ];
    run(async {
        for answer in behind {
            let server = Server::saying(answer).await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            client.send(GET).await;
            assert_eq!(client.message().await.text(), "");
            client.send(GET).await;
            assert_eq!(client.message().await.text(), "");
            let mut client = bench.http2().await;
            assert_eq!(client.get("/").await.unwrap().body().bytes, "");
            assert_eq!(client.get("/").await.unwrap().body().bytes, "");
            assert_eq!(server.accepted(), 4, "{answer:?}");
        }
    });
}

#[test]
fn what_follows_a_failed_upload_is_not_taken_for_its_rest() {
    run(async {
        let server = Server::h1(async |mut wire, number| {
            wire.head().await;
            wire.exactly(8).await;
            if number > 0 {
                wire.send(OK).await;
            }
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
            .await;
        while server.accepted() == 0 {
            tokio::task::yield_now().await;
        }
        // The body's own bytes went up as they came; those behind it look like the rest of it.
        client.send("hello, youGET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.message().await.status(), 502);
        assert!(
            client.rest().await.is_ok_and(|rest| rest.is_empty()),
            "the connection is closed"
        );
    });
}

#[test]
fn a_draining_proxy_says_goodbye_with_its_next_answer() {
    run(async {
        let server = named("ok").await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        assert_eq!(status(&mut client, GET).await, 200);
        bench.context.lifecycle.enter(Phase::Draining);
        client.send(GET).await;
        let answer = client.message().await;
        assert_eq!((answer.text(), answer.field("connection")), ("ok", Some("close")));
        assert!(client.rest().await.unwrap().is_empty());
    });
}

#[test]
fn an_http2_connection_that_its_endpoint_closes_costs_no_idempotent_request() {
    run(async {
        let server = Server::h2_connection(async |mut connection, number| {
            let Some(Ok((_, mut respond))) = connection.accept().await else {
                return;
            };
            respond.send_response(http::Response::new(()), true).unwrap();
            // The first connection ends under its second stream; the others go on.
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                if number == 0 {
                    return;
                }
                respond.send_response(http::Response::new(()), true).unwrap();
            }
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http2().await;
        for _ in 0..3 {
            assert_eq!(client.get("/").await.unwrap().status(), 200);
        }
        assert_eq!(server.accepted(), 2);
    });
}
