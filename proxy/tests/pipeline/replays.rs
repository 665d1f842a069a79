//! The idle race: an endpoint closes a connection that was used before, while a request is on its way. Who may be sent once
//! more is sent as it came, in every pairing; who may not is not.

use crate::support::Bench;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::wire::Wire;
use bytes::Bytes;
use evenkeel_proxy::net::stream::Stream;
use evenkeel_proxy::telemetry;
use http::Response;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// How much of the second request an endpoint reads before it closes its first connection.
#[derive(Clone, Copy, Debug)]
enum Loss {
    AtHead,
    AfterSome,
    AfterAll,
}

/// An endpoint that answers the first request of its first connection and loses the second; it echoes all others.
struct Racing {
    server: Server,
    /// The methods that it saw.
    seen: Rc<RefCell<Vec<String>>>,
    /// The second request has begun.
    begun: Rc<Notify>,
}

impl Racing {
    async fn new(version: Version, loss: Loss, length: usize) -> Self {
        let (seen, begun) = (Rc::default(), Rc::new(Notify::new()));
        let server = match version {
            Version::One => Self::one(loss, length, &seen, &begun).await,
            Version::Two => Self::two(loss, &seen, &begun).await,
        };
        Self { server, seen, begun }
    }

    async fn one(loss: Loss, length: usize, seen: &Rc<RefCell<Vec<String>>>, begun: &Rc<Notify>) -> Server {
        let (seen, begun) = (Rc::clone(seen), Rc::clone(begun));
        Server::h1(async move |mut wire, number| {
            if number == 0 {
                wire.message().await;
                wire.send(OK).await;
                let head = wire.head().await;
                seen.borrow_mut().push(method(&head));
                begun.notify_one();
                match loss {
                    Loss::AtHead => {}
                    Loss::AfterSome => drop(wire.exactly(3).await),
                    Loss::AfterAll if head.contains("chunked") => drop(wire.until("\r\n0\r\n\r\n").await),
                    Loss::AfterAll => drop(wire.exactly(length).await),
                }
                return;
            }
            while let Some(message) = wire.next_message().await {
                seen.borrow_mut().push(method(&message.head));
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", message.body.len());
                wire.send([head.as_bytes(), &message.body].concat()).await;
            }
        })
        .await
    }

    async fn two(loss: Loss, seen: &Rc<RefCell<Vec<String>>>, begun: &Rc<Notify>) -> Server {
        let (seen, begun) = (Rc::clone(seen), Rc::clone(begun));
        Server::h2_connection(async move |mut connection, number| {
            if number == 0 {
                let (_, mut respond) = connection.accept().await.unwrap().unwrap();
                respond.send_response(Response::new(()), true).unwrap();
                let (request, _respond) = connection.accept().await.unwrap().unwrap();
                seen.borrow_mut().push(request.method().to_string());
                begun.notify_one();
                let mut body = request.into_body();
                let read = async {
                    match loss {
                        Loss::AtHead => {}
                        Loss::AfterSome => drop(body.data().await),
                        Loss::AfterAll => drop(two::collect(body).await),
                    }
                };
                // The connection makes progress only while it is asked.
                tokio::select! {
                    () = read => {}
                    _ = connection.accept() => {}
                }
                return;
            }
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                seen.borrow_mut().push(request.method().to_string());
                tokio::task::spawn_local(async move {
                    let content = two::collect(request.into_body()).await.unwrap();
                    let mut send = respond.send_response(Response::new(()), false).unwrap();
                    two::deliver(&mut send, &content);
                });
            }
        })
        .await
    }
}

fn method(head: &str) -> String {
    head.split(' ').next().unwrap().to_owned()
}

fn letters(length: usize) -> Bytes {
    (0..length).map(|number| b'a' + (number / 7 % 26) as u8).collect()
}

/// An answer: its status, the reason if it is ours, and its body.
type Told = (u16, Option<String>, Vec<u8>);

/// Asks once; then once more, with a body that comes in parts after the head has arrived at the endpoint.
async fn ask(bench: &Bench, racing: &Racing, client: Version, method: &str, parts: &[Bytes], chunked: bool) -> Told {
    match client {
        Version::One => {
            let mut client = bench.http1().await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.message().await.status(), 200);
            let length: usize = parts.iter().map(Bytes::len).sum();
            let framing = if chunked {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {length}")
            };
            client
                .send(format!("{method} / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"))
                .await;
            racing.begun.notified().await;
            for part in parts {
                settle().await;
                if chunked {
                    client.send(format!("{:x}\r\n", part.len())).await;
                }
                client.send(part).await;
                if chunked {
                    client.send("\r\n").await;
                }
            }
            if chunked {
                client.send("0\r\n\r\n").await;
            }
            let answer = client.message().await;
            let reason = answer.field("x-evenkeel-reason").map(str::to_owned);
            (answer.status(), reason, answer.body)
        }
        Version::Two => {
            let mut client = bench.http2().await;
            assert_eq!(client.get("/").await.unwrap().status(), 200);
            let (response, mut send) = client.open(two::request(method, "/"), false).await;
            racing.begun.notified().await;
            for part in parts {
                settle().await;
                // An answer may have come instead of the credit for it.
                let _ = send.send_data(part.clone(), false);
            }
            let _ = send.send_data(Bytes::new(), true);
            let answer = two::whole(response.await.unwrap()).await.unwrap();
            let reason = answer.headers().get("x-evenkeel-reason");
            let reason = reason.map(|reason| reason.to_str().unwrap().to_owned());
            (answer.status().as_u16(), reason, answer.into_body().bytes.to_vec())
        }
    }
}

#[test]
fn an_idempotent_body_that_comes_after_its_head_survives_the_idle_race_byte_for_byte() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            for loss in [Loss::AtHead, Loss::AfterSome, Loss::AfterAll] {
                for (length, chunked) in [(10, false), (10, true), (60_000, false), (60_000, true)] {
                    let case = format!("{client:?} to {endpoint:?}, lost {loss:?}, {length} bytes, chunked: {chunked}");
                    let racing = Racing::new(endpoint, loss, length).await;
                    let bench = Bench::before(endpoint.protocol(), &racing.server);
                    let all = letters(length);
                    let parts = [all.slice(..length / 3), all.slice(length / 3..)];
                    let (status, reason, body) = ask(&bench, &racing, client, "PUT", &parts, chunked).await;
                    assert_eq!((status, reason), (200, None), "{case}");
                    assert!(body == all, "{case}");
                    assert_eq!(*racing.seen.borrow(), ["PUT", "PUT"], "{case}");
                }
            }
        }
    });
}

#[test]
fn a_large_body_of_which_little_was_lost_is_sent_as_it_came() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let all = letters(300_000);
            let racing = Racing::new(endpoint, Loss::AfterSome, all.len()).await;
            let bench = Bench::before(endpoint.protocol(), &racing.server);
            let parts = [all.slice(..10), all.slice(10..)];
            let (status, _, body) = ask(&bench, &racing, client, "PUT", &parts, false).await;
            assert_eq!(status, 200, "{client:?} to {endpoint:?}");
            assert!(body == all, "{client:?} to {endpoint:?}");
        }
    });
}

#[test]
fn a_body_that_was_lost_and_is_too_large_to_be_kept_is_not_sent_in_part() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let all = letters(300_000);
            let racing = Racing::new(endpoint, Loss::AfterAll, all.len()).await;
            let bench = Bench::before(endpoint.protocol(), &racing.server);
            let parts = [all.slice(..20_000), all.slice(20_000..)];
            let (status, reason, _) = ask(&bench, &racing, client, "PUT", &parts, false).await;
            let failed = (502, Some("upstream_closed".to_owned()));
            assert_eq!((status, reason), failed, "{client:?} to {endpoint:?}");
            assert_eq!(*racing.seen.borrow(), ["PUT"], "{client:?} to {endpoint:?}");
        }
    });
}

#[test]
fn a_post_that_has_begun_to_be_sent_is_not_sent_twice() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            for loss in [Loss::AtHead, Loss::AfterAll] {
                let racing = Racing::new(endpoint, loss, 10).await;
                let bench = Bench::before(endpoint.protocol(), &racing.server);
                let (status, reason, _) = ask(&bench, &racing, client, "POST", &[letters(10)], false).await;
                let failed = (502, Some("upstream_closed".to_owned()));
                assert_eq!((status, reason), failed, "{client:?} to {endpoint:?}, {loss:?}");
                assert_eq!(*racing.seen.borrow(), ["POST"], "{client:?} to {endpoint:?}, {loss:?}");
            }
        }
    });
}

#[test]
fn a_post_of_which_nothing_could_be_sent_is_sent_on_another_connection() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let over = Rc::new(Notify::new());
            let wait = Rc::clone(&over);
            let server = Server::h1(async move |mut wire, number| {
                if number == 0 {
                    wait.notified().await;
                    return;
                }
                wire.message().await;
                wire.send(OK).await;
            });
            let server = server.await;
            let bench = Bench::before("http", &server);
            // A connection in the pool that takes nothing, and has not said so.
            let mut deaf = TcpStream::connect(server.address).await.unwrap();
            deaf.shutdown().await.unwrap();
            let upstreams = &bench.context.upstreams;
            let live = upstreams.live();
            let endpoint = live
                .clusters()
                .find(|cluster| cluster.configuration.name.starts_with("outbound|"))
                .and_then(|cluster| upstreams.at(cluster, server.address))
                .unwrap();
            upstreams.adopt(&endpoint, Stream::Tcp(deaf), Instant::now());
            let status = match client {
                Version::One => {
                    let mut client = bench.http1().await;
                    client
                        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
                        .await;
                    settle().await;
                    client.send("hi").await;
                    settle().await;
                    over.notify_one();
                    client.message().await.status()
                }
                Version::Two => {
                    let (response, mut send) = bench.http2().await.open(two::request("POST", "/"), false).await;
                    send.send_data("hi".into(), true).unwrap();
                    response.await.unwrap().status().as_u16()
                }
            };
            assert_eq!((status, server.accepted()), (200, 2), "{client:?}");
            let page = telemetry::render(&[Arc::clone(&bench.context.book)], [], telemetry::Form::Prometheus);
            let reused = "evenkeel_pool_connections_reused_total{protocol=\"http1\"} 1\n";
            assert!(page.contains(reused), "{client:?}: {page}");
        }
    });
}

/// An endpoint that begins to answer the second request of its first connection, and closes.
async fn breaking_off(version: Version, begin: &'static str) -> Server {
    match version {
        Version::One => {
            Server::h1(async move |mut wire: Wire, number| {
                while wire.next_message().await.is_some() {
                    wire.send(OK).await;
                    if number == 0 {
                        wire.message().await;
                        wire.send(begin).await;
                        return;
                    }
                }
            })
            .await
        }
        Version::Two => {
            Server::h2_connection(async move |mut connection, number| {
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    respond.send_response(Response::new(()), true).unwrap();
                    if number == 0 {
                        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
                        let hints = Response::builder().status(103).body(()).unwrap();
                        respond.send_informational(hints).unwrap();
                        tokio::select! {
                            () = settle() => {}
                            _ = connection.accept() => {}
                        }
                        return;
                    }
                }
            })
            .await
        }
    }
}

#[test]
fn a_request_whose_answer_has_begun_is_not_sent_again() {
    let begins = [
        (Version::One, "HTTP/1.1 20"),
        (Version::One, "HTTP/1.1 103 Early Hints\r\n\r\n"),
        (Version::Two, ""),
    ];
    over_both_families(async || {
        for (endpoint, begin) in begins {
            let server = breaking_off(endpoint, begin).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http2().await;
            assert_eq!(client.get("/").await.unwrap().status(), 200);
            assert_eq!(client.get("/").await.unwrap().status(), 502, "{endpoint:?}, {begin:?}");
            assert_eq!(server.accepted(), 1, "{endpoint:?}, {begin:?}");

            let server = breaking_off(endpoint, begin).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            // A client of HTTP/1.0 is told of no interim answer.
            let get = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
            client.send(get).await;
            assert_eq!(client.message().await.status(), 200);
            client.send(get).await;
            assert_eq!(client.message().await.status(), 502, "{endpoint:?}, {begin:?}");
            assert_eq!(server.accepted(), 1, "{endpoint:?}, {begin:?}");
        }
    });
}
