//! A request that passes two proxies, as every request between two meshed pods does: what one hop changes, the other makes good.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Ask;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;
use crate::support::web;
use evenkeel_control_api::resource::listener::Direction;
use evenkeel_proxy::flow;
use evenkeel_proxy::net::stream::Stream;
use http::Request;
use http::Response;
use std::future::poll_fn;
use std::rc::Rc;

const BETWEEN: [Version; 2] = [Version::One, Version::Two];

/// A proxy that is the endpoint of another.
async fn hop(bench: &Bench) -> Server {
    let context = Rc::clone(&bench.context);
    Server::raw(async move |stream, _| {
        // How it ended is seen at both ends.
        let _ = flow::carry(
            Rc::clone(&context),
            Direction::Outbound,
            Stream::Tcp(stream),
            web(),
            None,
        )
        .await;
    })
    .await
}

/// Asks through two proxies that speak `between` to each other.
async fn ask(client: Version, between: Version, endpoint: &Server, spoken: Version, ask: Ask) -> Answer {
    let far = Bench::before(spoken.protocol(), endpoint);
    let hop = hop(&far).await;
    let near = Bench::before(between.protocol(), &hop);
    near.ask(client, ask).await
}

#[test]
fn the_host_keeps_its_bytes_and_its_port() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            for between in BETWEEN {
                let server = Server::answering(endpoint, |ask| {
                    Answer::new(Content::from(ask.headers()["host"].to_str().unwrap()))
                });
                let request = Request::get("http://Web.Test:8080/a").body(Content::default()).unwrap();
                let answer = ask(client, between, &server.await, endpoint, request).await;
                assert_eq!(
                    answer.body().bytes,
                    "Web.Test:8080",
                    "{client:?}, {between:?}, {endpoint:?}"
                );
            }
        }
    });
}

#[test]
fn trailers_survive_in_both_directions_whether_they_are_asked_for_or_not() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            for between in BETWEEN {
                for te in ["trailers", ""] {
                    let server = Server::answering(endpoint, |ask| Answer::new(ask.into_body())).await;
                    let content = Content {
                        bytes: "abc".into(),
                        trailers: two::trailer("x-sum", "90150983"),
                    };
                    let mut request = Request::post("http://web.test/");
                    if !te.is_empty() {
                        request = request.header("te", te);
                    }
                    let request = request.body(content.clone()).unwrap();
                    let answer = ask(client, between, &server, endpoint, request).await;
                    assert_eq!(*answer.body(), content, "{client:?}, {between:?}, {endpoint:?}, {te:?}");
                }
            }
        }
    });
}

#[test]
fn early_hints_are_relayed() {
    over_both_families(async || {
        for between in BETWEEN {
            let server = Server::h2(async |_, mut respond, _| {
                let hints = Response::builder().status(103).header("link", "</a.css>").body(());
                respond.send_informational(hints.unwrap()).unwrap();
                respond.send_response(Response::new(()), true).unwrap();
            });
            let server = server.await;
            let far = Bench::before("http2", &server);
            let hop = hop(&far).await;
            let near = Bench::before(between.protocol(), &hop);
            let mut client = near.http1().await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(client.head().await.starts_with("HTTP/1.1 103"), "{between:?}");
            assert_eq!(client.message().await.status(), 200);
            let (mut response, _) = near.http2().await.open(two::get("/"), true).await;
            let hints = poll_fn(|cx| response.poll_informational(cx)).await;
            assert_eq!(hints.unwrap().unwrap().status(), 103, "{between:?}");
            assert_eq!(response.await.unwrap().status(), 200);
        }
    });
}

/// An endpoint that asks for the body it was promised and gives it back, or refuses it.
async fn expecting(version: Version, agrees: bool) -> Server {
    match version {
        Version::One => {
            Server::h1(async move |mut wire, _| {
                assert!(wire.head().await.to_lowercase().contains("expect: 100-continue"));
                if !agrees {
                    wire.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
                        .await;
                    assert_eq!(wire.rest_lossy().await, b"", "of the body nothing comes");
                    return;
                }
                wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
                let body = wire.exactly(5).await;
                wire.send([&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"[..], &body].concat())
                    .await;
            })
            .await
        }
        Version::Two => {
            Server::h2(async move |request, mut respond, _| {
                assert_eq!(request.headers()["expect"], "100-continue");
                if !agrees {
                    let refusal = Response::builder().status(417).body(()).unwrap();
                    respond.send_response(refusal, true).unwrap();
                    return;
                }
                let interim = Response::builder().status(100).body(()).unwrap();
                respond.send_informational(interim).unwrap();
                let content = two::collect(request.into_body()).await.unwrap();
                let mut send = respond.send_response(Response::new(()), false).unwrap();
                two::deliver(&mut send, &content);
            })
            .await
        }
    }
}

#[test]
fn an_expectation_and_its_answer_pass_both_proxies() {
    const EXPECTING: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            for between in BETWEEN {
                for agrees in [true, false] {
                    let what = format!("{client:?}, {between:?}, {endpoint:?}, {agrees}");
                    let server = expecting(endpoint, agrees).await;
                    let far = Bench::before(endpoint.protocol(), &server);
                    let hop = hop(&far).await;
                    let near = Bench::before(between.protocol(), &hop);
                    let (status, text) = match client {
                        Version::One => {
                            let mut client = near.http1().await;
                            client.send(EXPECTING).await;
                            if agrees {
                                assert!(client.head().await.starts_with("HTTP/1.1 100"), "{what}");
                                client.send("hello").await;
                            }
                            let answer = client.message().await;
                            (answer.status(), answer.text().to_owned())
                        }
                        Version::Two => {
                            let mut request = two::request("POST", "/");
                            request.headers_mut().insert("expect", "100-continue".parse().unwrap());
                            request.headers_mut().insert("content-length", 5.into());
                            let mut client = near.http2().await;
                            let (mut response, mut send) = client.open(request, false).await;
                            if agrees {
                                let first = poll_fn(|cx| response.poll_informational(cx)).await;
                                assert_eq!(first.unwrap().unwrap().status(), 100, "{what}");
                                two::deliver(&mut send, &"hello".into());
                            }
                            let answer = two::whole(response.await.unwrap()).await.unwrap();
                            let text = str::from_utf8(&answer.body().bytes).unwrap().to_owned();
                            (answer.status().as_u16(), text)
                        }
                    };
                    let expected = if agrees { (200, "hello") } else { (417, "") };
                    assert_eq!((status, &text[..]), expected, "{what}");
                }
            }
        }
    });
}

#[test]
fn a_truncated_answer_is_no_clean_end() {
    over_both_families(async || {
        for between in BETWEEN {
            let server = Server::h1(async |mut wire, _| {
                wire.message().await;
                wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                    .await;
            });
            let server = server.await;
            let far = Bench::before("http", &server);
            let hop = hop(&far).await;
            let near = Bench::before(between.protocol(), &hop);
            let mut client = near.http1().await;
            client
                .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await;
            // The reset of a stream may overtake the head before it.
            let end = client.rest().await;
            assert!(
                end.as_ref().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 502")) || end.is_err(),
                "{between:?}"
            );
            let answer = near.http2().await.get("/").await;
            assert!(
                answer.is_err() || answer.is_ok_and(|answer| answer.status() == 502),
                "{between:?}"
            );
        }
    });
}

/// A draining proxy accepts on, because its application is still draining: who connects to it gets at least one answer before it
/// is sent away. Of HTTP/1 it does; a client of HTTP/2 that waits for the SETTINGS first, as our own pools do, must, too.
#[test]
fn requests_pass_a_proxy_that_is_draining() {
    over_both_families(async || {
        for between in BETWEEN {
            let server = Server::answering(Version::One, |_| Answer::new(Content::default())).await;
            let far = Bench::before("http", &server);
            far.context.lifecycle.enter(evenkeel_proxy::lifecycle::Phase::Draining);
            let hop = hop(&far).await;
            let near = Bench::before(between.protocol(), &hop);
            for number in 0..10 {
                let request = Request::get("http://web.test/").body(Content::default()).unwrap();
                let answer = near.ask(Version::Two, request).await;
                assert_eq!(
                    answer.status(),
                    200,
                    "request {number}, {between:?} between them: {answer:?}"
                );
            }
        }
    });
}
