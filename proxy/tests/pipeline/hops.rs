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
