//! Requests that are sent once more: with the same bytes, or not at all; and those that are given up in time.

use crate::support::Bench;
use crate::support::ask::Ask;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::frames;
use crate::support::frames::END_STREAM;
use crate::support::frames::GOAWAY;
use crate::support::frames::HEADERS;
use crate::support::frames::RST_STREAM;
use crate::support::frames::frame;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use crate::support::wire::Wire;
use bytes::Bytes;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Resources;
use evenkeel_control_api::resource::listener::NetworkFilter;
use evenkeel_control_api::resource::listener::RouteSource;
use evenkeel_control_api::resource::route::Action;
use evenkeel_control_api::resource::route::Route;
use h2::Reason;
use http::HeaderMap;
use http::Request;
use http::Response;
use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// When a server refuses its first stream.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    BeforeData,
    AfterSome,
    AfterAll,
}

const REFUSALS: [Refusal; 3] = [Refusal::BeforeData, Refusal::AfterSome, Refusal::AfterAll];

/// A server that refuses its first stream, and echoes the others.
async fn refusing(refusal: Refusal) -> Server {
    Server::h2(async move |request, mut respond, number| {
        let mut body = request.into_body();
        if number == 0 {
            match refusal {
                Refusal::BeforeData => {}
                Refusal::AfterSome => drop(body.data().await),
                Refusal::AfterAll => drop(two::collect(body).await),
            }
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
        let content = two::collect(body).await.unwrap();
        let mut send = respond.send_response(Response::new(()), false).unwrap();
        two::deliver(&mut send, &content);
    })
    .await
}

fn post(length: usize, trailers: HeaderMap) -> Ask {
    let bytes: Bytes = (0..length).map(|number| (number / 7 % 251) as u8).collect();
    Request::post("http://web.test/")
        .body(Content { bytes, trailers })
        .unwrap()
}

#[test]
fn the_body_of_a_request_that_is_sent_once_more_is_the_same() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            for refusal in REFUSALS {
                for (length, trailers) in [(5, HeaderMap::new()), (60_000, two::trailer("x-sum", "1"))] {
                    let server = refusing(refusal).await;
                    let bench = Bench::before("http2", &server);
                    let ask = post(length, trailers);
                    let answer = bench.ask(client, ask.clone()).await;
                    assert_eq!(answer.status(), 200, "{client:?}, {refusal:?}, {length} bytes");
                    assert!(answer.body() == ask.body(), "{client:?}, {refusal:?}, {length} bytes");
                }
            }
        }
    });
}

#[test]
fn a_body_that_is_too_large_to_be_kept_is_not_sent_in_part() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let server = refusing(Refusal::AfterAll).await;
            let bench = Bench::before("http2", &server);
            let answer = bench.ask(client, post(300_000, HeaderMap::new())).await;
            assert_eq!(answer.status(), 503, "{client:?}");
            assert_eq!(answer.headers()["x-evenkeel-reason"], "stream_refused");
        }
    });
}

#[test]
fn a_body_that_comes_slowly_is_sent_once_more_as_it_came() {
    over_both_families(async || {
        let server = refusing(Refusal::AfterSome).await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        client
            .send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        for _ in 0..5 {
            client.send("3\r\nabc\r\n").await;
            settle().await;
        }
        client.send("0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.message().await.text(), "abcabcabcabcabc");
        assert_eq!(client.message().await.text(), "");
    });
}

fn limit(route: &mut Route, timeout: Duration) {
    if let Action::Forward(forward) = &mut route.action {
        forward.timeouts.answer = Some(timeout);
    }
}

/// The resources of a mesh document whose routes have a timeout, which the document has no word for.
fn with_timeout(document: &str, timeout: Duration) -> Resources {
    let mut resources = mesh::load(document).unwrap().resources;
    for listener in &mut resources.listeners {
        for chain in listener.chains.iter_mut().chain(&mut listener.default_chain) {
            let NetworkFilter::Http(manager) = &mut chain.filter else {
                continue;
            };
            if let RouteSource::Inline(routes) = &mut manager.routes {
                let routes = routes.virtual_hosts.iter_mut().flat_map(|host| &mut host.routes);
                routes.for_each(|route| limit(route, timeout));
            }
        }
    }
    for route in resources.routes.iter_mut().flat_map(|routes| &mut routes.virtual_hosts) {
        route.routes.iter_mut().for_each(|route| limit(route, timeout));
    }
    resources
}

#[test]
fn an_endpoint_that_does_not_answer_in_time_is_a_504() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| drop(wire.rest_lossy().await)).await;
        let text = document("http", [&server]);
        let bench = Bench::new(&text);
        bench.enforce(&with_timeout(&text, Duration::from_millis(250)));
        let mut client = bench.http1().await;
        for _ in 0..2 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n").await;
            let answer = client.message().await;
            assert_eq!(
                (answer.status(), answer.field("x-evenkeel-reason")),
                (504, Some("request_timeout"))
            );
            client = bench.http1().await;
        }
        let answer = bench.http2().await.get("/").await.unwrap();
        assert_eq!(answer.status(), 504);
    });
}

#[test]
fn an_answer_that_does_not_end_in_time_is_cut_off_and_nothing_is_put_into_it() {
    over_both_families(async || {
        // It begins its answer before it has the whole request, with whose end the time begins: nobody has to hurry.
        let server = Server::h1(async |mut wire, _| {
            wire.head().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc").await;
            wire.rest_lossy().await;
        });
        let server = server.await;
        for protocol in ["http", "auto"] {
            let text = document(protocol, [&server]);
            let bench = Bench::new(&text);
            bench.enforce(&with_timeout(&text, Duration::from_millis(250)));
            let mut client = bench.http1().await;
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
                .await;
            client.until("\r\n\r\nabc").await;
            client.send("x").await;
            let mut rest = Vec::new();
            let end = client.read_on(&mut rest).await;
            assert!(end.is_err() && rest.is_empty(), "{}", rest.escape_ascii());
        }
        let text = document("http", [&server]);
        let bench = Bench::new(&text);
        bench.enforce(&with_timeout(&text, Duration::from_millis(250)));
        let mut client = bench.http2().await;
        let (response, mut body) = client.open(two::request("POST", "/"), false).await;
        let response = response.await.unwrap();
        body.send_data("x".into(), true).unwrap();
        assert!(two::whole(response).await.expect_err("a reset").is_reset());
    });
}

/// Two servers of which whoever is asked first fails so; and who was asked.
async fn failing_first(failure: Failure) -> ([Server; 2], Rc<RefCell<Vec<usize>>>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let server = |number: usize| {
        let asked = Rc::clone(&asked);
        Server::raw(async move |stream, _| {
            let mut wire = Wire::new(stream);
            wire.accept_http2().await;
            while let Some(came) = wire.next_frame().await {
                if came.kind != HEADERS {
                    continue;
                }
                asked.borrow_mut().push(number);
                let answer = match failure {
                    _ if asked.borrow().len() > 1 => frames::head(END_STREAM, came.stream, &[(":status", "200")]),
                    Failure::Refused => frame(RST_STREAM, 0, came.stream, &7_u32.to_be_bytes()),
                    // The last stream that it will serve is none.
                    Failure::Goodbye => frame(GOAWAY, 0, 0, &[0; 8]),
                };
                wire.send(answer).await;
            }
        })
    };
    ([server(0).await, server(1).await], asked)
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Refused,
    Goodbye,
}

#[test]
fn what_is_tried_again_goes_to_another_endpoint() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            for failure in [Failure::Refused, Failure::Goodbye] {
                let (servers, asked) = failing_first(failure).await;
                let bench = Bench::new(&document("http2", servers.iter()));
                let ask = Request::get("http://web.test/").body(Content::default()).unwrap();
                let answer = bench.ask(client, ask).await;
                assert_eq!(answer.status(), 200, "{client:?}, {failure:?}");
                let asked = asked.borrow();
                assert!(
                    matches!(asked[..], [0, 1] | [1, 0]),
                    "{client:?}, {failure:?}: {asked:?}"
                );
            }
        }
    });
}

#[test]
fn no_status_is_tried_again() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            for status in [500, 502, 503, 504] {
                let asked = Rc::new(Cell::new(0));
                let count = Rc::clone(&asked);
                let answering = move |_| {
                    count.set(count.get() + 1);
                    Response::builder().status(status).body(Content::default()).unwrap()
                };
                let server = Server::answering(endpoint, answering).await;
                let bench = Bench::before(endpoint.protocol(), &server);
                let ask = Request::get("http://web.test/").body(Content::default()).unwrap();
                assert_eq!(bench.ask(client, ask).await.status(), status);
                assert_eq!(asked.get(), 1, "{status}, {client:?} to {endpoint:?}");
            }
        }
    });
}
