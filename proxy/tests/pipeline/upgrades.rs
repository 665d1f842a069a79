//! Connections that stop being HTTP: upgrades, CONNECT, and bytes that come with the handshake.

use crate::support::Bench;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use std::cell::Cell;
use std::rc::Rc;

const ASKING: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// A server that agrees to any upgrade, says something with the handshake, and then echoes bytes.
async fn agreeing() -> Server {
    Server::h1(async |mut wire, _| {
        let head = wire.head().await;
        assert!(head.to_lowercase().contains("\r\nupgrade: websocket\r\n"), "{head}");
        assert!(head.to_lowercase().contains("\r\nconnection: upgrade\r\n"), "{head}");
        wire.send(format!("{AGREED}welcome;")).await;
        let all = wire.rest().await.unwrap();
        wire.send(&all).await;
    })
    .await
}

#[test]
fn bytes_that_come_with_the_handshake_are_not_lost_either_way() {
    over_both_families(async || {
        for protocol in ["auto", "http", "http2"] {
            let server = agreeing().await;
            let bench = Bench::before(protocol, &server);
            let mut client = bench.http1().await;
            client.send(format!("{ASKING}early;")).await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 101"), "{head}");
            assert!(head.to_lowercase().contains("\r\nupgrade: websocket\r\n"), "{head}");
            assert_eq!(client.exactly(8).await, b"welcome;");
            client.send("late;").await;
            client.finish().await;
            assert_eq!(client.rest().await.unwrap(), b"early;late;", "{protocol}");
        }
    });
}

#[test]
fn a_token_that_nobody_knows_is_forwarded_and_an_ordinary_answer_comes_back() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, number| {
            while let Some(message) = wire.next_message().await {
                let upgrade = message.field("upgrade").unwrap_or("none");
                let body = format!("{number} {upgrade}");
                wire.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ))
                .await;
            }
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client
            .send("OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n")
            .await;
        assert_eq!(client.message().await.text(), "0 TLS/1.2");
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.message().await.text(), "0 none");
    });
}

#[test]
fn an_upgrade_with_a_body_is_forwarded_whole() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            let message = wire.message().await;
            assert_eq!(message.text(), "hello");
            wire.send(AGREED).await;
            let all = wire.rest().await.unwrap();
            wire.send(&all).await;
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client
            .send(ASKING.replacen("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhellomore", 1))
            .await;
        assert!(client.head().await.starts_with("HTTP/1.1 101"));
        client.finish().await;
        assert_eq!(client.rest().await.unwrap(), b"more");
    });
}

/// A server that says this to whatever it is asked; and how many of its connections were closed, at their other end.
async fn closing(says: &'static str) -> (Server, Rc<Cell<usize>>) {
    let closed = Rc::new(Cell::new(0));
    let count = Rc::clone(&closed);
    let server = Server::h1(async move |mut wire, _| {
        wire.message().await;
        wire.send(says).await;
        wire.rest_lossy().await;
        count.set(count.get() + 1);
    });
    (server.await, closed)
}

#[test]
fn a_101_that_nobody_asked_for_is_a_502_and_its_connection_is_closed() {
    over_both_families(async || {
        let (server, closed) = closing(AGREED).await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        // The client's own connection goes on: what it asks next is asked on another one.
        for connections in 1..=2 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let answer = client.message().await;
            assert_eq!(answer.status(), 502);
            assert_eq!(answer.field("x-evenkeel-reason"), Some("malformed_response"));
            while closed.get() < connections {
                settle().await;
            }
            assert_eq!(server.accepted(), connections);
        }
        let answer = bench.http2().await.get("/").await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-evenkeel-reason"]),
            (502, &"malformed_response".parse().unwrap())
        );
        while closed.get() < 3 {
            settle().await;
        }
    });
}

#[test]
fn a_malformed_answer_to_an_upgrade_is_a_502_and_its_connection_is_closed() {
    over_both_families(async || {
        for says in [
            // To nothing (RFC 9110 7.8).
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: a\0b\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade : websocket\r\n\r\n",
            "HTTP/1.1 1010 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            "HTTP/1.1 10 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ] {
            let (server, closed) = closing(says).await;
            let bench = Bench::before("auto", &server);
            let mut client = bench.http1().await;
            client.send(ASKING).await;
            let answer = client.message().await;
            assert_eq!(
                (answer.status(), answer.field("x-evenkeel-reason")),
                (502, Some("malformed_response")),
                "{says}"
            );
            while closed.get() < 1 {
                settle().await;
            }
            assert_eq!(server.accepted(), 1, "{says}");
        }
    });
}

#[test]
fn the_reset_of_an_upgraded_connection_is_carried_over() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            wire.head().await;
            wire.send(AGREED).await;
            wire.exactly(3).await;
            wire.reset();
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client.send(ASKING).await;
        client.head().await;
        client.send("end").await;
        assert!(client.rest().await.is_err());

        // The other way, after bytes that have to be delivered before it.
        let (ended, end) = tokio::sync::oneshot::channel();
        let ended = Cell::new(Some(ended));
        let server = Server::h1(async move |mut wire, _| {
            wire.head().await;
            wire.send(AGREED).await;
            wire.exactly(3).await;
            ended.take().unwrap().send(wire.rest().await).unwrap();
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client.send(ASKING).await;
        client.head().await;
        client.send("end").await;
        settle().await;
        client.reset();
        let end = end.await.unwrap();
        assert!(end.is_err(), "{end:?}");
    });
}

#[test]
fn connect_opens_a_tunnel_when_the_endpoint_agrees() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            let head = wire.head().await;
            assert!(head.starts_with("CONNECT far.test:443 HTTP/1.1\r\n"), "{head}");
            wire.send("HTTP/1.1 200 OK\r\n\r\nhello;").await;
            let all = wire.rest().await.unwrap();
            wire.send(&all).await;
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client
            .send("CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\nearly")
            .await;
        assert!(client.head().await.starts_with("HTTP/1.1 200"));
        client.finish().await;
        assert_eq!(client.rest().await.unwrap(), b"hello;early");
    });
}

#[test]
fn connect_over_http2_opens_a_tunnel_through_an_endpoint_of_http1() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            let head = wire.head().await;
            assert!(head.starts_with("CONNECT far.test:443 HTTP/1.1\r\n"), "{head}");
            assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
            wire.send("HTTP/1.1 200 OK\r\n\r\nhello").await;
            assert_eq!(wire.exactly(4).await, b"ping");
            wire.send("pong").await;
            assert_eq!(
                wire.rest().await.unwrap(),
                b"",
                "the end of the stream is the end of the tunnel"
            );
            wire.finish().await;
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let request = http::Request::builder()
            .method("CONNECT")
            .uri("far.test:443")
            .body(())
            .unwrap();
        let (response, mut send) = bench.http2().await.open(request, false).await;
        let mut body = response.await.unwrap().into_body();
        let mut said = Vec::new();
        while said.len() < 5 {
            said.extend_from_slice(&body.data().await.unwrap().unwrap());
        }
        send.send_data("ping".into(), false).unwrap();
        while said.len() < 9 {
            said.extend_from_slice(&body.data().await.unwrap().unwrap());
        }
        assert_eq!(said, b"hellopong");
        send.send_data("".into(), true).unwrap();
        assert!(body.data().await.is_none_or(|data| data.unwrap().is_empty()));
    });
}

#[test]
fn bytes_that_come_with_a_connect_over_http2_are_not_lost() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            wire.head().await;
            wire.send("HTTP/1.1 200 OK\r\n\r\nhello;").await;
            let all = wire.rest().await.unwrap();
            wire.send(&all).await;
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let request = http::Request::builder().method("CONNECT").uri("far.test:443").body(());
        let (response, mut send) = bench.http2().await.open(request.unwrap(), false).await;
        send.send_data("early".into(), true).unwrap();
        let answer = two::whole(response.await.unwrap()).await.unwrap();
        assert_eq!(answer.body().bytes, "hello;early");
    });
}

#[test]
fn connect_over_http2_opens_a_tunnel_through_an_endpoint_of_http2() {
    over_both_families(async || {
        let server = Server::h2(async |request, mut respond, _| {
            assert_eq!(
                (request.method().as_str(), request.uri().to_string().as_str()),
                ("CONNECT", "far.test:443")
            );
            let mut send = respond.send_response(http::Response::new(()), false).unwrap();
            send.send_data("hello;".into(), false).unwrap();
            two::deliver(&mut send, &two::collect(request.into_body()).await.unwrap());
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let request = http::Request::builder().method("CONNECT").uri("far.test:443").body(());
        let (response, mut send) = bench.http2().await.open(request.unwrap(), false).await;
        send.send_data("early".into(), true).unwrap();
        let answer = two::whole(response.await.unwrap()).await.unwrap();
        assert_eq!(answer.body().bytes, "hello;early");
    });
}
