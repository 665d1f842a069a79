//! Requests, streams and heads: how many, how large, how long.

use super::GET;
use super::HEAD_OF_GET;
use super::PREFACE;
use super::failed;
use super::greeted;
use super::held;
use super::limited;
use crate::support::frames;
use crate::support::frames::END_HEADERS;
use crate::support::frames::END_STREAM;
use crate::support::frames::HEADERS;
use crate::support::frames::SETTINGS;
use crate::support::frames::frame;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::two::Two;
use crate::support::wire::Wire;
use evenkeel_proxy::failure::Reason;
use http::Response;

#[test]
fn after_its_last_request_an_http1_client_is_asked_to_open_another_connection() {
    over_both_families(async || {
        for protocol in ["http", "http2"] {
            let (server, gate) = held(protocol).await;
            gate.add_permits(10);
            let bench = limited(protocol, &server, "requests_per_connection: 2");
            let (stream, end) = bench.carried().await;
            let mut client = Wire::new(stream);
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
            drop(client);
            assert_eq!(end.await.unwrap(), Err(Reason::RequestLimit), "{protocol}");
        }
    });
}

#[test]
fn after_its_last_stream_an_http2_client_is_told_goodbye_and_loses_none() {
    over_both_families(async || {
        let (server, gate) = held("http2").await;
        let bench = limited("http2", &server, "requests_per_connection: 2");
        let (stream, end) = bench.carried().await;
        let mut client = Two::new(stream).await;
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
        assert_eq!(end.await.unwrap(), Err(Reason::RequestLimit));
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
            let (stream, end) = bench.carried().await;
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
        // Long enough for a busy machine to greet and to ask in.
        let bench = limited("http2", &server, "head_timeout: 500ms");
        let mut client = bench.http2().await;
        let (answer, _) = client.open(two::get("/"), true).await;
        // The head of another client is given up meanwhile: that long has passed.
        let (mut wire, end) = greeted(&bench).await;
        wire.send(&frame(HEADERS, 0, 1, HEAD_OF_GET)).await;
        assert_eq!(end.await.unwrap(), Err(Reason::HeadTimeout));
        gate.add_permits(2);
        assert_eq!(answer.await.unwrap().status(), 200);
        assert_eq!(client.get("/").await.unwrap().status(), 200);
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

#[test]
fn what_the_crate_refuses_by_itself_is_counted_over_http2() {
    over_both_families(async || {
        let (server, gate) = held("http2").await;
        gate.add_permits(2);
        let bench = limited("http2", &server, "header_bytes: 1KiB");
        let mut client = bench.http1().await;
        client.begin_http2().await;
        let with = |field: (&'static str, String)| {
            let pseudo = [
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
            ];
            let mut fields = pseudo.map(|(name, value)| (name, value.to_owned())).to_vec();
            fields.push(field);
            fields
        };
        // Three times too large, in fields of less than 127 bytes; then two that are malformed, and two that are fine.
        let large: Vec<_> = (0..30).map(|_| ("x-large", "x".repeat(100))).collect();
        let large: Vec<_> = [with(("x-a", String::new())), large].concat();
        let plain = with(("x-a", String::from("b")));
        let malformed = with(("connection", String::from("close")));
        let twice = with((":path", String::from("/other")));
        for (stream, fields) in [(1, &plain), (3, &large), (5, &malformed), (7, &twice), (9, &plain)] {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            client.send(frames::head(END_STREAM, stream, &fields)).await;
        }
        let mut answered = Vec::new();
        while answered.len() < 3 {
            answered.push(client.next(HEADERS).await.stream);
        }
        answered.sort_unstable();
        assert_eq!(answered, [1, 3, 9]);
        while failed(&bench, "head_too_large") + failed(&bench, "malformed_request") < 3 {
            settle().await;
        }
        assert_eq!(failed(&bench, "head_too_large"), 1);
        assert_eq!(failed(&bench, "malformed_request"), 2);
        assert_eq!(failed(&bench, "too_many_streams"), 0);
    });
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
            client.send(frames::head(END_STREAM, stream, &get)).await;
        }
        let refused = client.next(frames::RST_STREAM).await;
        assert_eq!((refused.stream, &refused.payload[..]), (7, &[0, 0, 0, 7][..]));
        gate.add_permits(3);
        let mut answered = Vec::new();
        while answered.len() < 3 {
            answered.push(client.next(HEADERS).await.stream);
        }
        answered.sort_unstable();
        assert_eq!(answered, [1, 3, 5]);
        assert_eq!(failed(&bench, "too_many_streams"), 1);
        // Refused for being too many, a stream may come again; the others are counted for what they are.
        assert_eq!(failed(&bench, "malformed_request"), 0);
    });
}
