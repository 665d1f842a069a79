//! Streams of one connection: reset, many at once, and read slowly.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;
use crate::support::two::Two;
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
    over_both_families(async || {
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
    over_both_families(async || {
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

#[test]
fn more_streams_than_an_endpoint_takes_at_once_are_all_served() {
    over_both_families(async || {
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
    over_both_families(async || {
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
fn a_call_that_its_endpoint_cancels_ends_with_a_status() {
    over_both_families(async || {
        let server = Server::h2(async |_, mut respond, _| respond.send_reset(Reason::CANCEL)).await;
        let bench = Bench::before("grpc", &server);
        let (response, _send) = bench.http2().await.open(two::call("/a/B"), false).await;
        let response = response.await.unwrap();
        assert!(response.body().is_end_stream(), "trailers alone");
        assert_eq!(response.headers()["x-evenkeel-reason"], "upstream_reset");
        assert_ne!(response.headers()["grpc-status"], "0");
    });
}

#[test]
fn a_call_that_its_endpoint_cancels_in_the_middle_is_reset() {
    over_both_families(async || {
        let go = Rc::new(Notify::new());
        let enough = Rc::clone(&go);
        let server = Server::h2(async move |_, mut respond, _| {
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            send.send_data("abc".into(), false).unwrap();
            enough.notified().await;
            send.send_reset(Reason::CANCEL);
        });
        let server = server.await;
        let bench = Bench::before("grpc", &server);
        let (response, _send) = bench.http2().await.open(two::call("/a/B"), false).await;
        let mut body = response.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "abc");
        go.notify_one();
        let error = body
            .data()
            .await
            .unwrap()
            .expect_err("a reset, which libraries make a status of");
        assert!(error.is_reset() && error.reason() != Some(Reason::NO_ERROR), "{error}");
    });
}

#[test]
fn a_slow_reader_of_one_stream_does_not_stall_the_others_and_its_writer_waits() {
    const LENGTH: usize = 64 << 20;
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let large = vec![b'x'; LENGTH];
            let taken = Rc::new(Cell::new(0));
            let count = Rc::clone(&taken);
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
                                count.set(count.get() + block.len());
                            }
                        }
                    })
                    .await
                }
                Version::Two => {
                    Server::h2(async move |request, mut respond, _| {
                        let end = request.uri().path() == "/small";
                        let mut send = respond.send_response(Response::new(()), end).unwrap();
                        while !end && count.get() < LENGTH {
                            send.reserve_capacity(1 << 16);
                            let room = poll_fn(|cx| match send.capacity() {
                                0 => send.poll_capacity(cx).map(|room| room.and_then(Result::ok)),
                                room => Poll::Ready(Some(room)),
                            });
                            let Some(room) = room.await else { return };
                            let room = room.min(LENGTH - count.get());
                            let last = count.get() + room == LENGTH;
                            send.send_data(vec![b'x'; room].into(), last).unwrap();
                            count.set(count.get() + room);
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
fn a_stream_of_small_messages_that_nobody_reads_does_not_end_its_neighbours() {
    /// All that the window of a stream takes.
    const MESSAGES: usize = (1 << 20) / MESSAGE.len();
    const MESSAGE: &[u8] = &[b'x'; 16];
    over_both_families(async || {
        let written = Rc::new(Cell::new(0));
        let count = Rc::clone(&written);
        let server = Server::h2(async move |request, mut respond, _| {
            let end = request.uri().path() == "/small";
            let mut send = respond.send_response(Response::new(()), end).unwrap();
            while !end && count.get() < MESSAGES {
                send.reserve_capacity(MESSAGE.len());
                let room = poll_fn(|cx| match send.capacity() {
                    0 => send.poll_capacity(cx).map(|room| room.and_then(Result::ok)),
                    room => Poll::Ready(Some(room)),
                });
                if room.await.is_none() {
                    return;
                }
                count.set(count.get() + 1);
                send.send_data(MESSAGE.into(), count.get() == MESSAGES).unwrap();
            }
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut builder = h2::client::Builder::new();
        builder.data_frame_budget(1 << 24);
        let mut client = Two::with(bench.connect().await, &builder).await;
        let (slow, _) = client.open(two::get("/messages"), true).await;
        let slow = slow.await.unwrap();
        while written.get() < MESSAGES {
            assert_eq!(client.get("/small").await.unwrap().status(), 200);
        }
        for _ in 0..10 {
            assert_eq!(client.get("/small").await.unwrap().status(), 200);
        }
        let content = two::whole(slow).await.unwrap().into_body();
        assert_eq!(content.bytes.len(), MESSAGES * MESSAGE.len());
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn many_streams_of_one_connection_get_their_own_answers() {
    over_both_families(async || {
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
