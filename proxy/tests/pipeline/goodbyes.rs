//! GOAWAY, of an endpoint and of our own.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::frames::ACK;
use crate::support::frames::END_STREAM;
use crate::support::frames::GOAWAY;
use crate::support::frames::HEADERS;
use crate::support::frames::PING;
use crate::support::frames::frame;
use crate::support::frames::head;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::wire::Wire;
use evenkeel_proxy::lifecycle::Phase;
use http::Request;
use http::Response;
use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "web.test"),
];

/// Reads frames up to the first head, and answers what has to be answered for one to come.
async fn until_a_head(wire: &mut Wire) {
    wire.accept_http2().await;
    loop {
        let came = wire.frame().await;
        match came.kind {
            HEADERS => return,
            PING => wire.send(frame(PING, ACK, 0, &came.payload)).await,
            _ => {}
        }
    }
}

/// A server that takes none of the streams of its first connection, and echoes those of the others.
async fn leaving() -> Server {
    Server::raw(async |stream, number| {
        if number == 0 {
            let mut wire = Wire::new(stream);
            until_a_head(&mut wire).await;
            wire.send(frame(GOAWAY, 0, 0, &[0; 8])).await;
            wire.rest_lossy().await;
            return;
        }
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let content = two::collect(request.into_body());
            spawn_local(async move {
                let content = content.await.unwrap();
                let mut send = respond.send_response(Response::new(()), false).unwrap();
                two::deliver(&mut send, &content);
            });
        }
    })
    .await
}

#[test]
fn streams_above_the_last_of_a_goaway_are_tried_again_whatever_their_method() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            for method in ["GET", "POST"] {
                let server = leaving().await;
                let bench = Bench::before("http2", &server);
                let content = Content::from(if method == "GET" { "" } else { "hello" });
                let ask = Request::builder().method(method).uri("http://web.test/");
                let answer = bench.ask(client, ask.body(content.clone()).unwrap()).await;
                assert_eq!((answer.status().as_u16(), answer.body()), (200, &content), "{method}");
                assert_eq!(server.accepted(), 2, "{client:?}, {method}");
            }
        }
    });
}

/// A server that says goodbye with every third request of a connection, as one with a short connection age.
async fn ageing() -> Server {
    Server::h2_connection(async |mut connection, _| {
        let mut served = 0;
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            served += 1;
            if served == 3 {
                connection.graceful_shutdown();
            }
            spawn_local(async move {
                tokio::task::yield_now().await;
                respond.send_response(Response::new(()), true).unwrap();
            });
        }
    })
    .await
}

#[test]
fn an_endpoint_that_keeps_saying_goodbye_costs_no_request() {
    over_both_families(async || {
        let server = ageing().await;
        let bench = Bench::before("http2", &server);
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let mut client = bench.http2().await;
            tasks.push(spawn_local(async move {
                for _ in 0..50 {
                    assert_eq!(client.get("/").await.unwrap().status(), 200);
                }
            }));
            let mut client = bench.http1().await;
            tasks.push(spawn_local(async move {
                for _ in 0..50 {
                    client
                        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
                        .await;
                    assert_eq!(client.message().await.status(), 200);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert!(server.accepted() > 10);
    });
}

/// How old a connection gets: long against a request, so that none meets the end of two connections in a row.
const AGE: Duration = Duration::from_millis(300);
/// The load goes on until so many connections have followed one another, and until it was one.
const CONNECTIONS: usize = 5;
const LOAD: usize = 500;

/// A server that says goodbye to each of its connections when it is [`AGE`] old, as gRPC's do (`MAX_CONNECTION_AGE`).
async fn mortal() -> Server {
    Server::h2_connection(async |mut connection, _| {
        let mut end = pin!(sleep(AGE));
        let mut said = false;
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept() => accepted,
                () = &mut end, if !said => {
                    connection.graceful_shutdown();
                    said = true;
                    continue;
                }
            };
            let Some(Ok((request, mut respond))) = accepted else {
                return;
            };
            spawn_local(async move {
                let content = two::collect(request.into_body()).await.unwrap();
                let mut send = respond.send_response(Response::new(()), false).unwrap();
                two::deliver(&mut send, &content);
            });
        }
    })
    .await
}

#[test]
fn an_endpoint_whose_connections_end_with_their_age_costs_no_request_under_load() {
    over_both_families(async || {
        let server = Rc::new(mortal().await);
        let bench = Rc::new(Bench::before("http2", &server));
        let asked = Rc::new(Cell::new(0));
        let mut tasks = Vec::new();
        for number in 0..8 {
            let (server, bench, asked) = (Rc::clone(&server), Rc::clone(&bench), Rc::clone(&asked));
            tasks.push(spawn_local(async move {
                let client = if number % 2 == 0 { Version::One } else { Version::Two };
                let content = Content::from("hello");
                while server.accepted() < CONNECTIONS || asked.get() < LOAD {
                    let ask = Request::builder().method("POST").uri("http://web.test/");
                    let answer = bench.ask(client, ask.body(content.clone()).unwrap()).await;
                    assert_eq!((answer.status().as_u16(), answer.body()), (200, &content), "{client:?}");
                    asked.set(asked.get() + 1);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn our_own_goodbye_lets_streams_finish_and_ends_the_connection() {
    over_both_families(async || {
        let go = Rc::new(Notify::new());
        let begun = Rc::new(Notify::new());
        let (waiting, started) = (Rc::clone(&go), Rc::clone(&begun));
        let server = Server::h1(async move |mut wire, _| {
            while wire.next_message().await.is_some() {
                started.notify_one();
                waiting.notified().await;
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http2().await;
        let (response, _) = client.open(two::get("/"), true).await;
        begun.notified().await;
        bench.context.lifecycle.enter(Phase::Draining);
        settle().await;
        go.notify_one();
        assert_eq!(response.await.unwrap().status(), 200);
        client.ended().await.unwrap();
    });
}

/// The last stream that a GOAWAY speaks of.
fn last(goaway: &[u8]) -> u32 {
    u32::from_be_bytes(goaway[..4].try_into().unwrap())
}

#[test]
fn our_own_goodbye_takes_two_steps_and_streams_that_cross_the_first_are_served() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |_| Answer::new(Content::default())).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            client.begin_http2().await;
            client.send(head(END_STREAM, 1, &GET)).await;
            assert_eq!(client.next(HEADERS).await.stream, 1);
            bench.context.lifecycle.enter(Phase::Parting);
            assert_eq!(
                last(&client.next(GOAWAY).await.payload),
                (1 << 31) - 1,
                "to {endpoint:?}"
            );
            let ping = client.next(PING).await;
            // This one was on its way when the goodbye was said.
            client.send(head(END_STREAM, 3, &GET)).await;
            assert_eq!(client.next(HEADERS).await.stream, 3);
            client.send(frame(PING, ACK, 0, &ping.payload)).await;
            assert_eq!(last(&client.next(GOAWAY).await.payload), 3, "to {endpoint:?}");
            assert!(client.rest().await.unwrap().is_empty());
        }
    });
}
