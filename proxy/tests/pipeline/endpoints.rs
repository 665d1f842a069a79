//! Which endpoint a request goes to, and what becomes of it when that one cannot be reached.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::document_of;
use crate::support::nobody;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn an_endpoint_that_refuses_is_followed_by_another() {
    over_both_families(async || {
        for (endpoint, protocol) in [(Version::One, "http"), (Version::Two, "http2")] {
            let server = Server::answering(endpoint, |ask| Answer::new(ask.into_body())).await;
            let dead = nobody();
            let bench = Bench::new(&document_of(protocol, [dead.address, server.address]));
            for _ in 0..4 {
                let mut client = bench.http1().await;
                client.send(POST).await;
                assert_eq!(client.message().await.text(), "hi", "{protocol}");
                let (response, mut send) = bench.http2().await.open(two::request("POST", "/"), false).await;
                two::deliver(&mut send, &"hi".into());
                let answer = two::whole(response.await.unwrap()).await.unwrap();
                assert_eq!(answer.body().bytes, "hi", "{protocol}");
            }
        }
    });
}

#[test]
fn a_dead_endpoint_attracts_nothing() {
    over_both_families(async || {
        for algorithm in ["peak_ewma", "least_request", "round_robin", "random"] {
            let (one, two, dead) = (
                Server::named(Version::One, "one").await,
                Server::named(Version::One, "two").await,
                nobody(),
            );
            let text = document_of("http", [one.address, dead.address, two.address]).replace("round_robin", algorithm);
            let bench = Bench::new(&text);
            let mut client = bench.http1().await;
            for _ in 0..300 {
                assert_eq!(client.status_of(GET).await, 200, "{algorithm}");
            }
            let all = bench.registry.all();
            let (_, _, state) = all.iter().find(|(_, address, _)| *address == dead.address).unwrap();
            let attempts = state.failed.load(std::sync::atomic::Ordering::Relaxed);
            assert!(attempts < 20, "{algorithm}: probed {attempts} times in 300 requests");
        }
    });
}

#[test]
fn an_http2_endpoint_that_accepts_and_closes_attracts_nothing() {
    over_both_families(async || {
        let well = Server::answering(Version::Two, |_| Answer::new(Content::default())).await;
        let closing = Server::raw(async |stream, _| drop(stream)).await;
        let bench = Bench::new(&document_of("http2", [well.address, closing.address]));
        let mut client = bench.http2().await;
        for _ in 0..300 {
            assert_eq!(client.get("/").await.unwrap().status(), 200);
        }
        assert!(
            closing.accepted() < 20,
            "probed {} times in 300 requests",
            closing.accepted()
        );
    });
}

#[test]
fn a_service_that_nobody_serves_is_a_503_with_a_reason() {
    over_both_families(async || {
        let (one, other) = (nobody(), nobody());
        let dead = document_of("auto", [one.address, other.address]);
        let empty = document_of("auto", []).replace("endpoints:\n", "endpoints: []\n");
        for (text, reason) in [(dead, "connect_refused"), (empty, "no_endpoint")] {
            let bench = Bench::new(&text);
            let mut client = bench.http1().await;
            for _ in 0..2 {
                client.send(GET).await;
                let answer = client.message().await;
                assert_eq!(
                    (answer.status(), answer.field("x-evenkeel-reason")),
                    (503, Some(reason))
                );
            }
            let mut client = bench.http2().await;
            let answer = client.get("/").await.unwrap();
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.headers()["x-evenkeel-reason"], reason);

            let mut head = two::get("/");
            *head.method_mut() = http::Method::HEAD;
            let (response, _) = client.open(head, true).await;
            let response = response.await.unwrap();
            assert_eq!(response.status(), 503);
            assert!(
                response.body().is_end_stream(),
                "a body would be a breach of the protocol"
            );

            let (response, mut send) = client.open(two::call("/pkg.Service/Call"), false).await;
            send.send_data("\0\0\0\0\0".into(), true).unwrap();
            let response = response.await.unwrap();
            assert!(response.body().is_end_stream(), "gRPC's own failure is trailers-only");
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["grpc-status"], "14");
            assert_eq!(response.headers()["content-type"], "application/grpc");
        }
    });
}

#[test]
fn an_endpoint_that_says_nothing_or_nonsense_is_a_502() {
    over_both_families(async || {
        for (answer, reason) in [
            ("", "upstream_closed"),
            ("HTTP/1.1 2x0 OK\r\n\r\n", "malformed_response"),
        ] {
            let server = Server::h1(async move |mut wire, _| {
                wire.message().await;
                wire.send(answer).await;
            });
            let server = server.await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            for request in [POST, GET] {
                client.send(request).await;
                let answer = client.message().await;
                assert_eq!(
                    (answer.status(), answer.field("x-evenkeel-reason")),
                    (502, Some(reason))
                );
            }
            let answer = bench.http2().await.get("/").await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["x-evenkeel-reason"]),
                (502, &reason.parse().unwrap())
            );
            assert_eq!(server.accepted(), 3, "on a new connection even GET is sent once");
        }
    });
}

#[test]
fn a_request_on_an_old_connection_sees_the_configuration_of_its_own_time() {
    over_both_families(async || {
        let (old, new) = (
            Server::named(Version::One, "old").await,
            Server::named(Version::One, "new").await,
        );
        let bench = Bench::before("http", &old);
        let (mut one, mut two) = (bench.http1().await, bench.http2().await);
        one.send(GET).await;
        assert_eq!(one.message().await.text(), "old");
        assert_eq!(two.get("/").await.unwrap().body().bytes, "old");
        // Both connections wait for their next request meanwhile.
        bench.apply(&document("http", [&new]));
        one.send(GET).await;
        assert_eq!(one.message().await.text(), "new");
        assert_eq!(two.get("/").await.unwrap().body().bytes, "new");
    });
}

#[test]
fn every_request_of_one_connection_is_balanced() {
    over_both_families(async || {
        let (one, two) = (
            Server::named(Version::One, "one").await,
            Server::named(Version::One, "two").await,
        );
        let bench = Bench::new(&document("auto", [&one, &two]));
        let mut client = bench.http1().await;
        let mut names = Vec::new();
        for _ in 0..4 {
            client.send(GET).await;
            names.push(client.message().await.text().to_owned());
        }
        names.sort();
        assert_eq!(names, ["one", "one", "two", "two"]);
    });
}
