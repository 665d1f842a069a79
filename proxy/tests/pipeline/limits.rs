//! What clients may ask for: each limit with its answer, its reason and its counter, and who must not be cut by it.

use crate::support::Bench;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::family::anywhere;
use crate::support::frames;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::two::Two;
use crate::support::web;
use crate::support::wire::Wire;
use evenkeel_control_api::resource::listener::Direction;
use evenkeel_proxy::failure::Reason;
use evenkeel_proxy::flow;
use evenkeel_proxy::net::stream::Stream;
use evenkeel_proxy::telemetry;
use http::Response;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::task::spawn_local;
use tokio::time::Instant;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET http://a/` and `POST http://a/`, out of HPACK's static table (RFC 7541, appendix A).
const HEAD_OF_GET: &[u8] = b"\x82\x84\x86\x41\x01a";
const HEAD_OF_POST: &[u8] = b"\x83\x84\x86\x41\x01a";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A worker in front of `server` with these limits.
fn limited(protocol: &str, server: &Server, limits: &str) -> Bench {
    Bench::new(&format!("{}limits: {{{limits}}}\n", document(protocol, [server])))
}

/// A client, and how the proxy ends its connection.
async fn client(bench: &Bench) -> (TcpStream, JoinHandle<Result<(), Reason>>) {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, peer) = listener.accept().await.unwrap();
    let context = Rc::clone(&bench.context);
    let end = spawn_local(async move {
        flow::carry(context, Direction::Outbound, Stream::Tcp(accepted), web(), Some(peer)).await
    });
    (client, end)
}

/// A client that has said the preface of HTTP/2 and empty SETTINGS.
async fn greeted(bench: &Bench) -> (Wire, JoinHandle<Result<(), Reason>>) {
    let (stream, end) = client(bench).await;
    let mut wire = Wire::new(stream);
    wire.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
    (wire, end)
}

/// How many requests failed for this reason.
fn failed(bench: &Bench, reason: &str) -> usize {
    let page = telemetry::render(&[Arc::clone(&bench.context.book)], [], telemetry::Form::Prometheus);
    let label = format!("reason=\"{reason}\"");
    let mut counts = page
        .lines()
        .filter(|line| line.starts_with("evenkeel_request_failures_total") && line.contains(&label))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap());
    counts.by_ref().sum()
}

/// A server of either version that answers when it is let.
async fn held(protocol: &str) -> (Server, Rc<Semaphore>) {
    let gate = Rc::new(Semaphore::new(0));
    let opened = Rc::clone(&gate);
    let server = if protocol == "http" {
        Server::h1(async move |mut wire, _| {
            while wire.next_head().await.is_some() {
                opened.acquire().await.unwrap().forget();
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        })
        .await
    } else {
        Server::h2(async move |_, mut respond, _| {
            opened.acquire().await.unwrap().forget();
            let _ = respond.send_response(Response::new(()), true);
        })
        .await
    };
    (server, gate)
}

#[test]
fn after_its_last_request_an_http1_client_is_asked_to_open_another_connection() {
    over_both_families(async || {
        for protocol in ["http", "http2"] {
            let (server, gate) = held(protocol).await;
            gate.add_permits(10);
            let bench = limited(protocol, &server, "requests_per_connection: 2");
            let mut client = bench.http1().await;
            client.send(GET).await;
            assert_eq!(client.message().await.field("connection"), None, "{protocol}");
            client.send(GET).await;
            let last = client.message().await;
            assert_eq!(
                (last.status(), last.field("connection")),
                (200, Some("close")),
                "{protocol}"
            );
            assert!(client.rest().await.unwrap().is_empty());
        }
    });
}

#[test]
fn after_its_last_stream_an_http2_client_is_told_goodbye_and_loses_none() {
    over_both_families(async || {
        let (server, gate) = held("http2").await;
        let bench = limited("http2", &server, "requests_per_connection: 2");
        let mut client = bench.http2().await;
        // The third is under way when the goodbye comes: only its second step names the last stream.
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(client.open(two::get("/"), true).await.0);
        }
        settle().await;
        gate.add_permits(3);
        for answer in answers {
            assert_eq!(answer.await.unwrap().status(), 200);
        }
        client.ended().await.unwrap();
    });
}

#[test]
fn more_requests_than_may_be_under_way_are_answered_at_once() {
    over_both_families(async || {
        let (server, gate) = held("http2").await;
        let bench = limited("auto", &server, "requests: 1");
        let mut client = bench.http2().await;
        let (first, _) = client.open(two::get("/"), true).await;
        settle().await;

        let answer = client.get("/").await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-evenkeel-reason"]),
            (503, &"overloaded".parse().unwrap())
        );
        let (answer, _) = client.open(two::call("/"), true).await;
        assert_eq!(answer.await.unwrap().headers()["grpc-status"], "14");
        let mut other = bench.http1().await;
        other.send(GET).await;
        let answer = other.message().await;
        assert_eq!(
            (answer.status(), answer.field("x-evenkeel-reason")),
            (503, Some("overloaded"))
        );
        assert_eq!(failed(&bench, "overloaded"), 3);

        gate.add_permits(2);
        assert_eq!(first.await.unwrap().status(), 200);
        assert_eq!(client.get("/").await.unwrap().status(), 200);
    });
}

#[test]
fn a_head_that_an_http2_client_never_ends_is_given_up() {
    over_both_families(async || {
        let server = Server::h2(async |_, mut respond, _| drop(respond.send_response(Response::new(()), true)));
        let server = server.await;
        let bench = limited("http2", &server, "head_timeout: 200ms");
        let settings = frame(SETTINGS, 0, 0, &[]);
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, HEAD_OF_GET);
        for begun in [
            PREFACE.to_vec(),
            [PREFACE, &settings[..5]].concat(),
            [PREFACE, &settings, &head[..12]].concat(),
            [PREFACE, &settings, &frame(HEADERS, END_STREAM, 1, HEAD_OF_GET)].concat(),
            // Others have been answered before.
            [PREFACE, &settings, &head, &frame(HEADERS, END_STREAM, 3, HEAD_OF_GET)].concat(),
        ] {
            let (stream, end) = client(&bench).await;
            let mut wire = Wire::new(stream);
            wire.send(&begun).await;
            assert_eq!(end.await.unwrap(), Err(Reason::HeadTimeout), "{}", begun.escape_ascii());
            wire.rest_lossy().await;
        }
    });
}

#[test]
fn a_client_that_waits_for_its_answer_is_not_one_that_does_not_end_its_head() {
    over_both_families(async || {
        let (server, gate) = held("http2").await;
        let bench = limited("http2", &server, "head_timeout: 50ms");
        let mut client = bench.http2().await;
        let (answer, _) = client.open(two::get("/"), true).await;
        // Heads of another client are given up meanwhile: that long has passed.
        for _ in 0..3 {
            let (mut wire, end) = greeted(&bench).await;
            wire.send(&frame(HEADERS, 0, 1, HEAD_OF_GET)).await;
            assert_eq!(end.await.unwrap(), Err(Reason::HeadTimeout));
        }
        gate.add_permits(2);
        assert_eq!(answer.await.unwrap().status(), 200);
        assert_eq!(client.get("/").await.unwrap().status(), 200);
    });
}

#[test]
fn floods_of_frames_that_carry_nothing_end_the_connection() {
    over_both_families(async || {
        let (server, _gate) = held("http2").await;
        let bench = limited("http2", &server, "flood: {control_frames: 1000}");
        let post = frame(HEADERS, END_HEADERS, 1, HEAD_OF_POST);
        for one in [
            frame(PING, 0, 0, b"evenkeel"),
            frame(SETTINGS, 0, 0, &[]),
            frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
            frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1]),
            frame(200, 0, 0, &[]),
            frame(DATA, 0, 1, &[]),
            frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()),
        ] {
            let (mut wire, end) = greeted(&bench).await;
            wire.send(&post).await;
            let flood = one.repeat(2000);
            let (poured, end) = tokio::join!(wire.try_send(&flood), end);
            // It may have been taken by the kernel.
            drop(poured);
            assert_eq!(end.unwrap(), Err(Reason::Http2Flood), "{}", one.escape_ascii());
        }
    });
}

#[test]
fn a_client_that_resets_what_it_opens_is_sent_away() {
    over_both_families(async || {
        let (server, _gate) = held("http2").await;
        let bench = limited("http2", &server, "flood: {resets: 20}");
        let (mut wire, end) = greeted(&bench).await;
        for index in 0..25 {
            let stream = 2 * index + 1;
            wire.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, HEAD_OF_GET))
                .await;
            // Each is with the endpoint when it is reset: that is what the crate does not see.
            settle().await;
            if wire
                .try_send(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()))
                .await
                .is_err()
            {
                break;
            }
            settle().await;
        }
        assert_eq!(end.await.unwrap(), Err(Reason::Http2Flood));
        let heard = wire.rest_lossy().await;
        let enhance_your_calm = 11_u32.to_be_bytes();
        assert_eq!(heard[heard.len() - 14], GOAWAY);
        assert_eq!(heard[heard.len() - 4..], enhance_your_calm);
    });
}

#[test]
fn a_client_that_gives_up_now_and_then_stays() {
    over_both_families(async || {
        let (server, gate) = held("http2").await;
        let bench = limited("http2", &server, "flood: {resets: 20}");
        let mut client = bench.http2().await;
        for _ in 0..40 {
            gate.add_permits(1);
            assert_eq!(client.get("/").await.unwrap().status(), 200);
            let (answer, mut send) = client.open(two::request("POST", "/"), false).await;
            settle().await;
            send.send_reset(h2::Reason::CANCEL);
            drop(answer);
            settle().await;
            // What the endpoint was about to answer is let go of.
            gate.add_permits(1);
        }
    });
}

#[test]
fn a_head_that_is_too_large_is_counted_over_http2() {
    over_both_families(async || {
        let (server, _gate) = held("http2").await;
        let bench = limited("http2", &server, "header_bytes: 1KiB");
        let mut client: Two = bench.http2().await;
        let mut large = two::get("/");
        large.headers_mut().insert("x-large", "x".repeat(1000).parse().unwrap());
        let (answer, _) = client.open(large, true).await;
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-evenkeel-reason"]),
            (431, &"head_too_large".parse().unwrap())
        );
        assert_eq!(failed(&bench, "head_too_large"), 1);
    });
}

/// A server that answers with this many interim answers and a final one.
async fn hinting(version: Version, hints: usize) -> Server {
    match version {
        Version::One => {
            Server::h1(async move |mut wire, _| {
                while wire.next_head().await.is_some() {
                    wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(hints))
                        .await;
                    let _ = wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                }
            })
            .await
        }
        Version::Two => {
            Server::h2(async move |_, mut respond, _| {
                for _ in 0..hints {
                    let hint = Response::builder().status(103).body(()).unwrap();
                    let _ = respond.send_informational(hint);
                }
                let _ = respond.send_response(Response::new(()), true);
            })
            .await
        }
    }
}

#[test]
fn one_interim_answer_too_many_is_a_502() {
    over_both_families(async || {
        for (near, far) in PAIRINGS {
            for (hints, expected) in [(3, (200, None)), (4, (502, Some("too_many_interim")))] {
                let server = hinting(far, hints).await;
                let bench = limited(far.protocol(), &server, "interim_answers: 3");
                let answer = match near {
                    Version::One => {
                        let mut client = bench.http1().await;
                        client.send(GET).await;
                        for _ in 0..3 {
                            assert!(client.head().await.starts_with("HTTP/1.1 103 "));
                        }
                        let answer = client.message().await;
                        (answer.status(), answer.field("x-evenkeel-reason").map(str::to_owned))
                    }
                    Version::Two => {
                        let answer = bench.http2().await.get("/").await.unwrap();
                        let reason = answer.headers().get("x-evenkeel-reason");
                        (
                            answer.status().as_u16(),
                            reason.map(|reason| reason.to_str().unwrap().to_owned()),
                        )
                    }
                };
                let expected = (expected.0, expected.1.map(str::to_owned));
                assert_eq!(answer, expected, "{near:?} {far:?} {hints}");
            }
        }
    });
}

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
fn more_streams_than_a_client_may_open_are_refused_and_the_others_served() {
    over_both_families(async || {
        let (server, gate) = held("http2").await;
        let bench = limited("http2", &server, "http2: {max_concurrent_streams: 3}");
        let mut client = bench.http1().await;
        client.begin_http2().await;
        let get = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
        ];
        for stream in [1, 3, 5, 7] {
            client.send(frames::head(frames::END_STREAM, stream, &get)).await;
        }
        let refused = client.next(frames::RST_STREAM).await;
        assert_eq!((refused.stream, &refused.payload[..]), (7, &[0, 0, 0, 7][..]));
        gate.add_permits(3);
        let mut answered = Vec::new();
        while answered.len() < 3 {
            answered.push(client.next(frames::HEADERS).await.stream);
        }
        answered.sort_unstable();
        assert_eq!(answered, [1, 3, 5]);
    });
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
        let bench = limited("http", &server, "body_timeout: 50ms");
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

#[test]
fn an_endpoint_that_floods_its_connection_is_a_502() {
    over_both_families(async || {
        let server = Server::raw(async |stream, _| {
            let mut wire = Wire::new(stream);
            wire.exactly(PREFACE.len()).await;
            wire.send(frame(SETTINGS, 0, 0, &[])).await;
            // The PING that the proxy begins with is answered, and its request with a flood.
            loop {
                let head = wire.exactly(9).await;
                let payload = wire.exactly(usize::from(head[1]) << 8 | usize::from(head[2])).await;
                match head[3] {
                    PING => wire.send(frame(PING, 1, 0, &payload)).await,
                    HEADERS => break,
                    _ => {}
                }
            }
            let _ = wire
                .try_send(frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(2000))
                .await;
            wire.rest_lossy().await;
        });
        let server = server.await;
        let bench = limited("http2", &server, "flood: {control_frames: 1000}");
        let answer = bench.http2().await.get("/").await.unwrap();
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.headers()["x-evenkeel-reason"], "upstream_flood");
    });
}
