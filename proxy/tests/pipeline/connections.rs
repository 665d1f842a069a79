//! Connections to endpoints: reused, closed under us, refused; and which endpoint a request goes to.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::document_of;
use crate::support::nobody;
use crate::support::run;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
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
fn an_endpoint_that_refuses_is_followed_by_another() {
    run(async {
        for (endpoint, protocol) in [(Version::One, "http"), (Version::Two, "http2")] {
            let server = Server::answering(endpoint, |ask| Answer::new(ask.into_body())).await;
            let bench = Bench::new(&document_of(protocol, [nobody().await, server.address]));
            for _ in 0..4 {
                let mut client = bench.http1().await;
                client.send(POST).await;
                assert_eq!(client.message().await.text(), "hi", "{protocol}");
                let (response, mut send) = bench.http2().await.open(two::request("POST", "/"), false).await;
                two::deliver(&mut send, &"hi".into());
                let answer = two::whole(response.await.unwrap()).await.unwrap();
                assert_eq!(answer.body().bytes, "hi", "{protocol}");
            }
        }
    });
}

#[test]
fn a_dead_endpoint_attracts_nothing() {
    run(async {
        for algorithm in ["peak_ewma", "least_request", "round_robin", "random"] {
            let (one, two, dead) = (named("one").await, named("two").await, nobody().await);
            let text = document_of("http", [one.address, dead, two.address]).replace("round_robin", algorithm);
            let bench = Bench::new(&text);
            let mut client = bench.http1().await;
            for _ in 0..300 {
                assert_eq!(status(&mut client, GET).await, 200, "{algorithm}");
            }
            let all = bench.registry.all();
            let (_, _, state) = all.iter().find(|(_, address, _)| *address == dead).unwrap();
            let attempts = state.failed.load(std::sync::atomic::Ordering::Relaxed);
            assert!(attempts < 20, "{algorithm}: probed {attempts} times in 300 requests");
        }
    });
}

#[test]
fn a_service_that_nobody_serves_is_a_503_with_a_reason() {
    run(async {
        let dead = document_of("auto", [nobody().await, nobody().await]);
        let empty = document_of("auto", []).replace("endpoints:\n", "endpoints: []\n");
        for (text, reason) in [(dead, "connect_refused"), (empty, "no_endpoint")] {
            let bench = Bench::new(&text);
            let mut client = bench.http1().await;
            for _ in 0..2 {
                client.send(GET).await;
                let answer = client.message().await;
                assert_eq!(
                    (answer.status(), answer.field("x-evenkeel-reason")),
                    (503, Some(reason))
                );
            }
            let mut client = bench.http2().await;
            let answer = client.get("/").await.unwrap();
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.headers()["x-evenkeel-reason"], reason);

            let (response, mut send) = client.open(two::call("/pkg.Service/Call"), false).await;
            send.send_data("\0\0\0\0\0".into(), true).unwrap();
            let response = response.await.unwrap();
            assert!(response.body().is_end_stream(), "gRPC's own failure is trailers-only");
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["grpc-status"], "14");
            assert_eq!(response.headers()["content-type"], "application/grpc");
        }
    });
}

#[test]
fn an_endpoint_that_says_nothing_or_nonsense_is_a_502() {
    run(async {
        for (answer, reason) in [
            ("", "upstream_closed"),
            ("HTTP/1.1 2x0 OK\r\n\r\n", "malformed_response"),
        ] {
            let server = Server::h1(async move |mut wire, _| {
                wire.message().await;
                wire.send(answer).await;
            });
            let server = server.await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            for _ in 0..2 {
                client.send(POST).await;
                let answer = client.message().await;
                assert_eq!(
                    (answer.status(), answer.field("x-evenkeel-reason")),
                    (502, Some(reason))
                );
            }
            let answer = bench.http2().await.get("/").await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["x-evenkeel-reason"]),
                (502, &reason.parse().unwrap())
            );
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
fn a_request_on_an_old_connection_sees_the_configuration_of_its_own_time() {
    run(async {
        let (old, new) = (named("old").await, named("new").await);
        let bench = Bench::before("http", &old);
        let (mut one, mut two) = (bench.http1().await, bench.http2().await);
        one.send(GET).await;
        assert_eq!(one.message().await.text(), "old");
        assert_eq!(two.get("/").await.unwrap().body().bytes, "old");
        // Both connections wait for their next request meanwhile.
        bench.apply(&document("http", [&new]));
        one.send(GET).await;
        assert_eq!(one.message().await.text(), "new");
        assert_eq!(two.get("/").await.unwrap().body().bytes, "new");
    });
}

#[test]
fn every_request_of_one_connection_is_balanced() {
    run(async {
        let (one, two) = (named("one").await, named("two").await);
        let bench = Bench::new(&document("auto", [&one, &two]));
        let mut client = bench.http1().await;
        let mut names = Vec::new();
        for _ in 0..4 {
            client.send(GET).await;
            names.push(client.message().await.text().to_owned());
        }
        names.sort();
        assert_eq!(names, ["one", "one", "two", "two"]);
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
