//! Answers that end before they are complete, in ways that look like an end.

use crate::support::Bench;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use bytes::Bytes;
use http::Response;
use std::rc::Rc;
use tokio::sync::Notify;

#[test]
fn a_reset_amid_an_answer_that_ends_with_its_connection_is_no_end() {
    over_both_families(async || {
        for version in ["1.0", "1.1"] {
            let enough = Rc::new(Notify::new());
            let go = Rc::clone(&enough);
            let server = Server::h1(async move |mut wire, _| {
                wire.message().await;
                wire.send("HTTP/1.1 200 OK\r\n\r\nabc").await;
                go.notified().await;
                wire.reset();
            });
            let server = server.await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).await;
            client.until("abc").await;
            enough.notify_one();
            assert!(client.rest().await.is_err(), "HTTP/{version}");

            let mut client = bench.http2().await;
            let (response, _) = client.open(crate::support::two::get("/"), true).await;
            let response = response.await.unwrap();
            settle().await;
            enough.notify_one();
            let error = crate::support::two::whole(response).await.expect_err("a reset");
            assert!(error.is_reset(), "{error}");
        }
    });
}

/// How an endpoint of HTTP/2 fails to say all that it promised.
#[derive(Clone, Copy, Debug)]
enum Short {
    /// The stream ends, and its length was another.
    Stream,
    /// The connection ends.
    Connection,
}

#[test]
fn a_short_answer_of_an_http2_endpoint_is_no_clean_end() {
    over_both_families(async || {
        for short in [Short::Stream, Short::Connection] {
            let server = Server::h2_connection(async move |mut connection, _| {
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let answer = Response::builder().header("content-length", 10).body(());
                    let mut send = respond.send_response(answer.unwrap(), false).unwrap();
                    match short {
                        Short::Stream => send.send_data(Bytes::from("abc"), true).unwrap(),
                        Short::Connection => {
                            send.send_data(Bytes::from("abc"), false).unwrap();
                            tokio::task::spawn_local(async move {
                                settle().await;
                                drop(send);
                            });
                            // What was said leaves us, and then nothing more.
                            tokio::select! {
                                _ = connection.accept() => {}
                                () = settle() => {}
                            }
                            return;
                        }
                    }
                }
            });
            let server = server.await;
            let bench = Bench::before("http2", &server);
            let mut client = bench.http1().await;
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
            let end = client.rest().await;
            let refused = end.as_ref().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 502"));
            assert!(end.is_err() || refused, "{short:?}: {end:?}");
            let answer = bench.http2().await.get("/").await;
            assert!(
                answer.is_err() || answer.as_ref().is_ok_and(|answer| answer.status() == 502),
                "{short:?}: {answer:?}"
            );
        }
    });
}
