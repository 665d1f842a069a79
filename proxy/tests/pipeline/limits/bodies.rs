//! The body of a request that does not come, and whoever may rightly be silent.

use super::failed;
use super::held;
use super::limited;
use crate::support::Bench;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::wire::Wire;
use http::Response;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::Instant;

/// A server of either version that reads the request to its end and answers then.
async fn patient(version: Version) -> Server {
    match version {
        Version::One => {
            Server::h1(async |mut wire, _| {
                while wire.next_message().await.is_some() {
                    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                }
            })
            .await
        }
        Version::Two => {
            Server::h2(async |request, mut respond, _| {
                if two::collect(request.into_body()).await.is_ok() {
                    let _ = respond.send_response(Response::new(()), true);
                }
            })
            .await
        }
    }
}

#[test]
fn a_body_that_a_client_leaves_unfinished_is_given_up() {
    over_both_families(async || {
        for (near, far) in PAIRINGS {
            let server = Server::raw(async |stream, _| {
                // It takes everything and says nothing.
                let mut wire = Wire::new(stream);
                wire.rest_lossy().await;
            });
            let server = match far {
                Version::One => server.await,
                Version::Two => {
                    Server::h2(async |request, respond, _| {
                        let _ = two::collect(request.into_body()).await;
                        drop(respond);
                    })
                    .await
                }
            };
            let bench = limited(far.protocol(), &server, "body_timeout: 100ms");
            match near {
                Version::One => {
                    let mut client = bench.http1().await;
                    client
                        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
                        .await;
                    let answer = client.message().await;
                    assert_eq!(
                        (answer.status(), answer.field("x-evenkeel-reason")),
                        (408, Some("body_timeout")),
                        "{far:?}"
                    );
                    client.rest_lossy().await;
                }
                Version::Two => {
                    let mut client = bench.http2().await;
                    let (answer, mut send) = client.open(two::request("POST", "/"), false).await;
                    send.send_data("abc".into(), false).unwrap();
                    let answer = answer.await.unwrap();
                    assert_eq!(answer.status(), 408, "{far:?}");
                    assert_eq!(answer.headers()["x-evenkeel-reason"], "body_timeout");
                }
            }
            assert_eq!(failed(&bench, "body_timeout"), 1);
        }
    });
}

/// The fate of a body that is begun now and never finished: once it is given up, that long has passed.
async fn another_is_given_up(bench: &Bench) -> impl Future<Output = ()> + 'static {
    let mut client = bench.http1().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    async move { assert_eq!(client.message().await.status(), 408) }
}

#[test]
fn a_body_that_moves_slowly_and_one_that_nobody_reads_are_not_given_up() {
    over_both_families(async || {
        for (near, far) in PAIRINGS {
            let mut limit = Duration::from_secs(1);
            loop {
                let (status, silence) = slowly(near, far, limit).await;
                // Where a busy machine made the silence, the test is begun again with more of it.
                if status == 200 || silence < limit / 2 {
                    assert_eq!(status, 200, "{near:?} to {far:?}, silent for {silence:?} of {limit:?}");
                    break;
                }
                limit *= 4;
            }
        }
    });
}

/// The status of a request whose body lasts longer than `limit` and never rests for that long; and how long it did.
async fn slowly(near: Version, far: Version, limit: Duration) -> (u16, Duration) {
    let server = patient(far).await;
    let bench = limited(far.protocol(), &server, &format!("body_timeout: {limit:?}"));
    let (mut moved, mut silence) = (Instant::now(), Duration::ZERO);
    let mut rested = || {
        silence = silence.max(moved.elapsed());
        moved = Instant::now();
    };
    let status = match near {
        Version::One => {
            let mut client = bench.http1().await;
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            let passed = spawn_local(another_is_given_up(&bench).await);
            while !passed.is_finished() {
                settle().await;
                rested();
                // It fails where the body was given up, which the answer says.
                let _ = client.try_send("1\r\na\r\n").await;
            }
            let _ = client.try_send("0\r\n\r\n").await;
            client.message().await.status()
        }
        Version::Two => {
            let mut client = bench.http2().await;
            let (answer, mut send) = client.open(two::request("POST", "/"), false).await;
            let passed = spawn_local(another_is_given_up(&bench).await);
            while !passed.is_finished() {
                settle().await;
                rested();
                let _ = send.send_data("a".into(), false);
            }
            let _ = send.send_data("a".into(), true);
            answer.await.unwrap().status().as_u16()
        }
    };
    rested();
    (status, silence)
}

#[test]
fn whoever_may_rightly_be_silent_is_not_given_up() {
    over_both_families(async || {
        let (server, gate) = held("http2").await;
        let bench = limited("auto", &server, "body_timeout: 50ms");
        let mut client = bench.http2().await;
        let (call, _talk) = client.open(two::call("/"), false).await;
        let (poll, _) = client.open(two::get("/"), true).await;
        // Another body is given up meanwhile: that long has passed.
        for _ in 0..3 {
            let (answer, _send) = client.open(two::request("POST", "/"), false).await;
            assert_eq!(answer.await.unwrap().status(), 408);
        }
        gate.add_permits(5);
        assert_eq!(call.await.unwrap().status(), 200);
        assert_eq!(poll.await.unwrap().status(), 200);
    });
}

#[test]
fn a_client_that_waits_for_100_waits_for_its_endpoint() {
    over_both_families(async || {
        let (seen, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let gate = Rc::new(Semaphore::new(0));
        let opened = Rc::clone(&gate);
        let server = Server::h1(async move |mut wire, _| {
            if !wire.head().await.contains("\r\nExpect: ") {
                wire.rest_lossy().await;
                return;
            }
            seen.send(()).unwrap();
            opened.acquire().await.unwrap().forget();
            wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            wire.exactly(3).await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        });
        let server = server.await;
        // Long enough for a busy machine to send three bytes in.
        let bench = limited("http", &server, "body_timeout: 500ms");
        let mut client = bench.http1().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            .await;
        asked.recv().await.unwrap();
        another_is_given_up(&bench).await.await;
        gate.add_permits(1);
        assert!(client.head().await.starts_with("HTTP/1.1 100 "));
        client.send("abc").await;
        assert_eq!(client.message().await.status(), 200);
    });
}
