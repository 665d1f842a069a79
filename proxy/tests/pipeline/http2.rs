//! What HTTP/2 adds: streams that are reset, refused or left behind by a GOAWAY, and windows.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::run;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::wire::Wire;
use evenkeel_proxy::lifecycle::Phase;
use h2::Reason;
use http::Response;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::task::spawn_local;

#[test]
fn a_stream_that_its_client_resets_is_cancelled_at_the_endpoint_at_once() {
    run(async {
        let (seen, mut ends) = mpsc::unbounded_channel();
        let server = Server::h2(async move |_request, mut respond, _| {
            seen.send(None).unwrap();
            let reason = poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
            seen.send(Some(reason)).unwrap();
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http2().await;
        let (response, mut send) = client.open(two::request("POST", "/"), false).await;
        assert_eq!(ends.recv().await.unwrap(), None);
        send.send_reset(Reason::CANCEL);
        assert_eq!(ends.recv().await.unwrap(), Some(Reason::CANCEL));
        drop(response);

        // The end of a client's connection is the end of its streams.
        let (_response, _send) = client.open(two::get("/"), true).await;
        assert_eq!(ends.recv().await.unwrap(), None);
        client.close();
        assert_eq!(ends.recv().await.unwrap(), Some(Reason::CANCEL));

        let mut client = bench.http1().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(ends.recv().await.unwrap(), None);
        client.reset();
        assert_eq!(ends.recv().await.unwrap(), Some(Reason::CANCEL));
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn a_stream_that_its_client_resets_closes_the_connection_to_an_http1_endpoint() {
    run(async {
        let (seen, mut ends) = mpsc::unbounded_channel();
        let server = Server::h1(async move |mut wire, _| {
            wire.head().await;
            seen.send("begun").unwrap();
            wire.rest_lossy().await;
            seen.send("ended").unwrap();
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http2().await;
        let (_response, mut send) = client.open(two::request("POST", "/"), false).await;
        assert_eq!(ends.recv().await.unwrap(), "begun");
        send.send_reset(Reason::CANCEL);
        assert_eq!(ends.recv().await.unwrap(), "ended");
        let mut client = bench.http1().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(ends.recv().await.unwrap(), "begun");
        client.reset();
        assert_eq!(ends.recv().await.unwrap(), "ended");
    });
}

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
    run(async {
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
    run(async {
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
    run(async {
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
    run(async {
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
    run(async {
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

#[test]
fn more_streams_than_an_endpoint_takes_at_once_are_all_served() {
    run(async {
        let most = Rc::new(Cell::new(0));
        let high = Rc::clone(&most);
        let server = Server::raw(async move |stream, _| {
            let mut builder = h2::server::Builder::new();
            let mut connection: h2::server::Connection<_, bytes::Bytes> =
                builder.max_concurrent_streams(100).handshake(stream).await.unwrap();
            let open = Rc::new(Cell::new(0));
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                open.set(open.get() + 1);
                high.set(high.get().max(open.get()));
                let open = Rc::clone(&open);
                spawn_local(async move {
                    tokio::task::yield_now().await;
                    open.set(open.get() - 1);
                    respond.send_response(Response::new(()), true).unwrap();
                });
            }
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http2().await;
        assert_eq!(client.get("/").await.unwrap().status(), 200);
        let mut responses = Vec::new();
        for _ in 0..250 {
            responses.push(client.open(two::get("/"), true).await.0);
        }
        for response in responses {
            assert_eq!(response.await.unwrap().status(), 200);
        }
        assert!(most.get() <= 100);
        assert!(server.accepted() > 1);
    });
}

#[test]
fn a_call_without_an_answer_body_stays_trailers_only() {
    run(async {
        let server = Server::h2(async |_, mut respond, _| {
            let mut answer = Response::new(());
            answer.headers_mut().insert("grpc-status", 5.into());
            respond.send_response(answer, true).unwrap();
        });
        let server = server.await;
        let bench = Bench::before("grpc", &server);
        let (response, _send) = bench.http2().await.open(two::call("/a/B"), false).await;
        let response = response.await.unwrap();
        assert!(response.body().is_end_stream());
        assert_eq!(response.headers()["grpc-status"], "5");
    });
}

#[test]
fn a_slow_reader_of_one_stream_does_not_stall_the_others_and_its_writer_waits() {
    const LENGTH: usize = 64 << 20;
    run(async {
        for endpoint in [Version::One, Version::Two] {
            let large = vec![b'x'; LENGTH];
            let taken = Rc::new(Cell::new(0));
            let sent = Rc::clone(&taken);
            let server = match endpoint {
                Version::One => {
                    Server::h1(async move |mut wire, _| {
                        while let Some(message) = wire.next_message().await {
                            if message.line() == "GET /small HTTP/1.1" {
                                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                                continue;
                            }
                            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))
                                .await;
                            for block in large.chunks(1 << 16) {
                                if wire.try_send(block).await.is_err() {
                                    return;
                                }
                                sent.set(sent.get() + block.len());
                            }
                        }
                    })
                    .await
                }
                Version::Two => {
                    Server::h2(async move |request, mut respond, _| {
                        let end = request.uri().path() == "/small";
                        let mut send = respond.send_response(Response::new(()), end).unwrap();
                        while !end && sent.get() < LENGTH {
                            send.reserve_capacity(1 << 16);
                            let room = poll_fn(|cx| match send.capacity() {
                                0 => send.poll_capacity(cx).map(|room| room.and_then(Result::ok)),
                                room => Poll::Ready(Some(room)),
                            });
                            let Some(room) = room.await else { return };
                            let room = room.min(LENGTH - sent.get());
                            let last = sent.get() + room == LENGTH;
                            send.send_data(vec![b'x'; room].into(), last).unwrap();
                            sent.set(sent.get() + room);
                        }
                    })
                    .await
                }
            };
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http2().await;
            let (slow, _) = client.open(two::get("/large"), true).await;
            let slow = slow.await.unwrap();
            for _ in 0..50 {
                assert_eq!(client.get("/small").await.unwrap().status(), 200, "{endpoint:?}");
            }
            // What the sockets' buffers take on loopback is under 16 MiB; the proxy adds less than one.
            assert!(taken.get() < LENGTH / 2, "{endpoint:?}: {} bytes", taken.get());
            let content = two::whole(slow).await.unwrap().into_body();
            assert_eq!(content.bytes.len(), LENGTH);
        }
    });
}

#[test]
fn many_streams_of_one_connection_get_their_own_answers() {
    run(async {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |ask| Answer::new(Content::from(ask.uri().path()))).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http2().await;
            let mut responses = Vec::new();
            for number in 0..200 {
                responses.push(client.open(two::get(&format!("/{number}")), true).await.0);
            }
            for (number, response) in responses.into_iter().enumerate() {
                let answer = two::whole(response.await.unwrap()).await.unwrap();
                assert_eq!(answer.body().bytes, format!("/{number}"));
            }
        }
    });
}
