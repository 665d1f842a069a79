//! A pod that calls its own Service: through its outbound and its inbound side, without a socket between them.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;
use evenkeel_proxy::flow;
use http::Request;

/// A proxy that takes loopback for its own pod, as every proxy does.
fn within(protocol: &str, server: &Server) -> Bench {
    let bench = Bench::before(protocol, server);
    flow::serve_ourselves(&bench.context);
    bench
}

#[test]
fn requests_of_both_versions_reach_the_application() {
    over_both_families(async || {
        for version in [Version::One, Version::Two] {
            let server = Server::answering(version, |ask| Answer::new(ask.into_body())).await;
            let bench = within("auto", &server);
            let content = Content {
                bytes: vec![b'x'; 300_000].into(),
                trailers: two::trailer("x-sum", "1"),
            };
            let ask = Request::post("http://web.test/").body(content.clone()).unwrap();
            let answer = bench.ask(version, ask).await;
            assert!(*answer.body() == content, "{version:?}");
        }
    });
}

#[test]
fn one_connection_carries_one_request_after_the_other() {
    over_both_families(async || {
        let server = Server::named(Version::One, "ok").await;
        let bench = within("auto", &server);
        let mut client = bench.http1().await;
        for _ in 0..3 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.message().await.text(), "ok");
        }
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn bytes_are_relayed_with_their_half_close() {
    over_both_families(async || {
        for protocol in ["auto", "tcp"] {
            let server = Server::h1(async |mut wire, _| {
                let all = wire.rest().await.unwrap();
                wire.send(&all).await;
            });
            let server = server.await;
            let bench = within(protocol, &server);
            let mut client = bench.http1().await;
            let bytes = vec![b'x'; 300_000];
            client.send(&bytes).await;
            client.finish().await;
            assert!(client.rest().await.unwrap() == bytes, "{protocol}");
        }
    });
}

#[test]
fn an_upgrade_is_a_tunnel_through_both_sides() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            wire.head().await;
            wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello;")
                .await;
            let all = wire.rest().await.unwrap();
            wire.send(&all).await;
        });
        let server = server.await;
        let bench = within("auto", &server);
        let mut client = bench.http1().await;
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly")
            .await;
        client.head().await;
        client.finish().await;
        assert_eq!(client.rest().await.unwrap(), b"hello;early");
    });
}

#[test]
fn a_truncated_answer_stays_truncated() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            wire.message().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await;
        });
        let server = server.await;
        let bench = within("auto", &server);
        let mut client = bench.http1().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(client.rest().await.is_err());
    });
}

#[test]
fn an_application_that_does_not_listen_is_a_503() {
    over_both_families(async || {
        let server = Server::saying("").await;
        let bench = within("auto", &server);
        drop(server);
        crate::support::settle().await;
        let mut client = bench.http1().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = client.message().await;
        assert_eq!(
            (answer.status(), answer.field("x-evenkeel-reason")),
            (503, Some("connect_refused"))
        );
    });
}
