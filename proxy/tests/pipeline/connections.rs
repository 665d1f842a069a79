//! Connections to endpoints that are used again, and those that are closed under us.

use crate::support::Bench;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::document_of;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::silent;
use evenkeel_proxy::lifecycle::Phase;
use evenkeel_proxy::telemetry;
use http::Request;
use std::rc::Rc;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio::task::spawn_local;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// How many requests wait for a connection of this version, as the metrics have it.
fn waiting(bench: &Bench, version: Version) -> f64 {
    let page = telemetry::render(&[Arc::clone(&bench.context.book)], [], telemetry::Form::Prometheus);
    let series = match version {
        Version::One => "evenkeel_pool_waiting_requests{protocol=\"http1\"} ",
        Version::Two => "evenkeel_pool_waiting_requests{protocol=\"http2\"} ",
    };
    let value = page.lines().find_map(|line| line.strip_prefix(series));
    value.unwrap_or_else(|| panic!("{page}")).parse().unwrap()
}

#[test]
fn a_fin_that_is_seen_while_idle_evicts() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            wire.message().await;
            wire.send(OK).await;
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        for connections in 1..=5 {
            assert_eq!(client.status_of(POST).await, 200);
            assert_eq!(server.accepted(), connections);
            // The server's FIN is on its way to us.
            settle().await;
        }
    });
}

#[test]
fn a_server_that_says_how_long_it_waits_is_left_a_second_earlier() {
    over_both_families(async || {
        for (fields, connections) in [
            ("", 1),
            ("Keep-Alive: timeout=60\r\n", 1),
            ("Keep-Alive: timeout=1\r\n", 2),
        ] {
            let server = Server::h1(async move |mut wire, _| {
                while wire.next_message().await.is_some() {
                    wire.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n"))
                        .await;
                }
            });
            let server = server.await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            assert_eq!(client.status_of(GET).await, 200);
            assert_eq!(client.status_of(GET).await, 200);
            assert_eq!(server.accepted(), connections, "{fields:?}");
            let mut client = bench.http2().await;
            for _ in 0..2 {
                assert_eq!(client.get("/").await.unwrap().status(), 200);
            }
            let connections = if connections == 1 { 1 } else { 4 };
            assert_eq!(server.accepted(), connections, "{fields:?} over HTTP/2");
        }
    });
}

#[test]
fn a_connection_that_is_out_of_step_is_not_used_again() {
    let behind = [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        "HTTP/1.1 204 No Content\r\n\r\npoison",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\npoison",
    ];
    over_both_families(async || {
        for answer in behind {
            let server = Server::saying(answer).await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            client.send(GET).await;
            assert_eq!(client.message().await.text(), "");
            client.send(GET).await;
            assert_eq!(client.message().await.text(), "");
            let mut client = bench.http2().await;
            assert_eq!(client.get("/").await.unwrap().body().bytes, "");
            assert_eq!(client.get("/").await.unwrap().body().bytes, "");
            assert_eq!(server.accepted(), 4, "{answer:?}");
        }
    });
}

#[test]
fn what_follows_a_failed_upload_is_not_taken_for_its_rest() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, number| {
            wire.head().await;
            wire.exactly(8).await;
            if number > 0 {
                wire.send(OK).await;
            }
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
            .await;
        while server.accepted() == 0 {
            tokio::task::yield_now().await;
        }
        // The body's own bytes went up as they came; those behind it look like the rest of it.
        client.send("hello, youGET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.message().await.status(), 502);
        assert!(
            client.rest().await.is_ok_and(|rest| rest.is_empty()),
            "the connection is closed"
        );
    });
}

#[test]
fn a_draining_proxy_says_goodbye_with_its_next_answer() {
    over_both_families(async || {
        for phase in [Phase::Parting, Phase::Draining] {
            let server = Server::named(Version::One, "ok").await;
            let bench = Bench::before("http", &server);
            let mut client = bench.http1().await;
            assert_eq!(client.status_of(GET).await, 200);
            bench.context.lifecycle.enter(phase);
            client.send(GET).await;
            let answer = client.message().await;
            assert_eq!((answer.text(), answer.field("connection")), ("ok", Some("close")));
            assert!(client.rest().await.unwrap().is_empty());
        }
    });
}

#[test]
fn requests_that_wait_for_a_connection_are_counted_while_they_do() {
    over_both_families(async || {
        for version in [Version::One, Version::Two] {
            let vanished = silent().await;
            let text = document_of(version.protocol(), [vanished.address]) + "limits: {connect_timeout: 300ms}\n";
            let bench = Rc::new(Bench::new(&text));
            let ask = || {
                let bench = Rc::clone(&bench);
                let get = Request::get("http://web.test/").body(Content::default()).unwrap();
                spawn_local(async move { bench.ask(version, get).await.status() })
            };
            let asked = [ask(), ask()];
            let mut most = 0.0_f64;
            while !asked.iter().all(JoinHandle::is_finished) {
                most = most.max(waiting(&bench, version));
                tokio::task::yield_now().await;
            }
            assert!((most - 2.0).abs() < 0.5, "{version:?}: {most}");
            for asked in asked {
                assert_eq!(asked.await.unwrap(), 503, "{version:?}");
            }
            assert!(waiting(&bench, version) < 0.5, "{version:?}");
        }
    });
}
