//! GOAWAY, of an endpoint and of our own.

use crate::support::Bench;
use crate::support::run;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::wire::Wire;
use evenkeel_proxy::lifecycle::Phase;
use http::Response;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::task::spawn_local;

/// A frame of HTTP/2 without flags.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// Reads frames up to the first HEADERS; a connection that was opened for nothing ends first.
async fn until_headers(wire: &mut Wire) {
    wire.until("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    wire.send(frame(4, &[])).await;
    loop {
        let head = wire.exactly(9).await;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        wire.exactly(length as usize).await;
        if head[3] == 1 {
            return;
        }
    }
}

#[test]
fn streams_above_the_last_of_a_goaway_are_tried_again() {
    run(async {
        let server = Server::raw(async |stream, number| {
            if number == 0 {
                let mut wire = Wire::new(stream);
                until_headers(&mut wire).await;
                wire.send(frame(7, &[0; 8])).await;
                wire.rest_lossy().await;
                return;
            }
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let content = two::collect(request.into_body());
                spawn_local(async move {
                    content.await.unwrap();
                    respond.send_response(Response::new(()), true).unwrap();
                });
            }
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        assert_eq!(bench.http2().await.get("/").await.unwrap().status(), 200);
        assert_eq!(server.accepted(), 2);
    });
}

#[test]
fn an_endpoint_that_keeps_saying_goodbye_costs_no_request() {
    run(async {
        // As a server with a short connection age: every third request is the last that a connection accepts.
        let server = Server::h2_connection(async |mut connection, _| {
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
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let mut client = bench.http2().await;
            tasks.push(spawn_local(async move {
                for _ in 0..50 {
                    assert_eq!(client.get("/").await.unwrap().status(), 200);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert!(server.accepted() > 10);
    });
}

#[test]
fn our_own_goodbye_lets_streams_finish_and_ends_the_connection() {
    run(async {
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
