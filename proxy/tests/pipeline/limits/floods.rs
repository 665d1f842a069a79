//! What carries nothing and comes without end, from clients and from endpoints.

use super::GET;
use super::HEAD_OF_GET;
use super::HEAD_OF_POST;
use super::PREFACE;
use super::greeted;
use super::held;
use super::limited;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::frames::DATA;
use crate::support::frames::END_HEADERS;
use crate::support::frames::END_STREAM;
use crate::support::frames::GOAWAY;
use crate::support::frames::HEADERS;
use crate::support::frames::PING;
use crate::support::frames::PRIORITY;
use crate::support::frames::RST_STREAM;
use crate::support::frames::SETTINGS;
use crate::support::frames::WINDOW_UPDATE;
use crate::support::frames::frame;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::wire::Wire;
use evenkeel_proxy::failure::Reason;
use http::Response;

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
