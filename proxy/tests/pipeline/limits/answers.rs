//! The body of an answer that does not go on, whoever may rightly be silent, and what is held for who reads nothing.

use super::failed;
use super::limited;
use crate::support::Bench;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use evenkeel_proxy::net::backlog;
use http::Response;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::Instant;

/// Much more than kernels and windows take of an answer that nobody reads.
const LARGE: usize = 32 << 20;

/// A server of either version. Its answer to `/stalled` stops in the middle, that to `/large` is so, and any other goes on by a byte for
/// each permit until there will be none.
struct Endpoint {
    server: Server,
    gate: Rc<Semaphore>,
    /// Stalled answers that nobody waits for any more.
    left: Rc<Cell<usize>>,
}

async fn endpoint(version: Version) -> Endpoint {
    let (gate, left) = (Rc::new(Semaphore::new(0)), Rc::new(Cell::new(0)));
    let (opened, leave) = (Rc::clone(&gate), Rc::clone(&left));
    let server = match version {
        Version::One => {
            Server::h1(async move |mut wire, _| {
                let Some(head) = wire.next_head().await else { return };
                if head.contains(" /large ") {
                    wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"))
                        .await;
                    let _ = wire.try_send(vec![b'x'; LARGE]).await;
                    return;
                }
                wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                    .await;
                if head.contains(" /stalled ") {
                    wire.rest_lossy().await;
                    leave.set(leave.get() + 1);
                    return;
                }
                while let Ok(permit) = opened.acquire().await {
                    permit.forget();
                    if wire.try_send("1\r\nx\r\n").await.is_err() {
                        return;
                    }
                }
                let _ = wire.try_send("0\r\n\r\n").await;
            })
            .await
        }
        Version::Two => {
            Server::h2(async move |request, mut respond, _| {
                let mut send = respond.send_response(Response::new(()), false).unwrap();
                if request.uri().path() == "/large" {
                    send.send_data(vec![b'x'; LARGE].into(), true).unwrap();
                    return;
                }
                send.send_data("abc".into(), false).unwrap();
                if request.uri().path() == "/stalled" {
                    let _ = poll_fn(|cx| send.poll_reset(cx)).await;
                    leave.set(leave.get() + 1);
                    return;
                }
                while let Ok(permit) = opened.acquire().await {
                    permit.forget();
                    if send.send_data("x".into(), false).is_err() {
                        return;
                    }
                }
                let _ = send.send_data("".into(), true);
            })
            .await
        }
    };
    Endpoint { server, gate, left }
}

/// Asks on a connection of its own; whether the answer comes to its end.
async fn ask(bench: &Bench, near: Version, path: &'static str) -> Pin<Box<dyn Future<Output = bool>>> {
    match near {
        Version::One => {
            let mut client = bench.http1().await;
            client
                .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
                .await;
            Box::pin(async move {
                let mut bytes = Vec::new();
                let end = client.read_on(&mut bytes).await;
                assert!(bytes.starts_with(b"HTTP/1.1 200"), "{}", bytes.escape_ascii());
                end.is_ok() && bytes.ends_with(b"\r\n0\r\n\r\n")
            })
        }
        Version::Two => {
            let mut client = bench.http2().await;
            let (response, _) = client.open(two::get(path), true).await;
            Box::pin(async move {
                let whole = two::whole(response.await.unwrap()).await.is_ok();
                drop(client);
                whole
            })
        }
    }
}

#[test]
fn an_answer_that_stops_in_its_middle_is_cut_off() {
    over_both_families(async || {
        for (near, far) in PAIRINGS {
            let endpoint = endpoint(far).await;
            let bench = limited(far.protocol(), &endpoint.server, "answer_timeout: 100ms");
            let whole = ask(&bench, near, "/stalled").await.await;
            assert!(!whole, "{near:?} to {far:?}");
            assert_eq!(failed(&bench, "answer_timeout"), 1, "{near:?} to {far:?}");
            // Its endpoint does not go on with it either.
            while endpoint.left.get() == 0 {
                settle().await;
            }
        }
    });
}

#[test]
fn an_answer_that_moves_slowly_is_not_cut_off() {
    over_both_families(async || {
        for (near, far) in PAIRINGS {
            let mut limit = Duration::from_secs(1);
            loop {
                let (whole, silence) = slowly(near, far, limit).await;
                // Where a busy machine made the silence, the test is begun again with more of it.
                if whole || silence < limit / 2 {
                    assert!(whole, "{near:?} to {far:?}, silent for {silence:?} of {limit:?}");
                    break;
                }
                limit *= 4;
            }
        }
    });
}

/// Whether an answer is whole that lasts longer than `limit` and never rests for that long; and how long it did.
async fn slowly(near: Version, far: Version, limit: Duration) -> (bool, Duration) {
    let endpoint = endpoint(far).await;
    let bench = limited(far.protocol(), &endpoint.server, &format!("answer_timeout: {limit:?}"));
    let whole = spawn_local(ask(&bench, near, "/slow").await);
    // Another is cut off meanwhile: that long has passed.
    let passed = spawn_local(ask(&bench, near, "/stalled").await);
    let (mut moved, mut silence) = (Instant::now(), Duration::ZERO);
    while !passed.is_finished() {
        endpoint.gate.add_permits(1);
        settle().await;
        silence = silence.max(moved.elapsed());
        moved = Instant::now();
    }
    endpoint.gate.close();
    (whole.await.unwrap(), silence)
}

#[test]
fn neither_a_conversation_nor_what_nobody_reads_is_cut_off_for_being_silent() {
    over_both_families(async || {
        for far in [Version::One, Version::Two] {
            let endpoint = endpoint(far).await;
            // Those who read in the end must not rest for so long, on a busy machine too.
            let bench = limited(far.protocol(), &endpoint.server, "answer_timeout: 500ms");
            let mut caller = bench.http2().await;
            let (call, _talk) = caller.open(two::call("/slow"), false).await;
            let mut streaming = bench.http1().await;
            streaming
                .send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\nContent-Length: 0\r\n\r\n")
                .await;
            // These read nothing.
            let mut paused = bench.http1().await;
            paused.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let mut waiting = bench.http2().await;
            let (large, _) = waiting.open(two::get("/large"), true).await;
            let large = large.await.unwrap();
            // Another is cut off meanwhile: that long has passed.
            assert!(!ask(&bench, Version::Two, "/stalled").await.await, "{far:?}");
            assert_eq!(failed(&bench, "answer_timeout"), 1, "{far:?}");
            endpoint.gate.close();
            two::whole(call.await.unwrap()).await.unwrap();
            assert_eq!(streaming.message().await.text(), "abc");
            assert_eq!(two::whole(large).await.unwrap().body().bytes.len(), LARGE);
            assert_eq!(paused.message().await.body.len(), LARGE);
        }
    });
}

#[test]
fn one_connection_holds_no_more_for_its_reader_than_it_may() {
    over_both_families(async || {
        for (limit, bytes) in [("4KiB", 4 << 10), ("64KiB", 64 << 10)] {
            let endpoint = endpoint(Version::One).await;
            let bench = limited("http", &endpoint.server, &format!("connection_buffer: {limit}"));
            let mut client = bench.http1().await;
            client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
            while backlog::held() == 0 {
                settle().await;
            }
            assert!(backlog::held() <= bytes, "{} of {limit}", backlog::held());
            assert_eq!(client.message().await.body.len(), LARGE);
        }
    });
}
