//! What is answered here instead of by an endpoint.

use super::adding;
use super::ask;
use super::bench;
use super::forward;
use super::get;
use super::host;
use super::redirecting;
use super::reflecting;
use super::responding;
use super::route;
use super::services;
use super::text;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::ask::ask_wire;
use crate::support::nobody;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two;
use evenkeel_control_api::resource::route::PathMatch;
use evenkeel_proxy::telemetry;
use http::StatusCode;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn redirects_and_direct_responses_are_no_failures() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let server = reflecting(Version::One, "a").await;
            let mut resources = services("http", &[server.address]);
            let mut second = route(&mut resources).clone();
            second.action = responding(StatusCode::IM_A_TEAPOT, "short and stout");
            let first = route(&mut resources);
            first.matches.path = PathMatch::Prefix("/old".to_owned());
            first.action = redirecting();
            host(&mut resources).routes.push(second);
            host(&mut resources).mutations.response = adding("x-mesh", "1");
            let bench = bench(&resources);

            let answer = bench.ask(client, get("/old/a?b")).await;
            assert_eq!(answer.status(), 308, "{client:?}");
            assert_eq!(answer.headers()["location"], "https://other.test/new/a?b");
            assert_eq!(
                (text(&answer), &answer.headers()["content-length"]),
                ("", &"0".parse().unwrap())
            );

            let answer = bench.ask(client, get("/")).await;
            assert_eq!(
                (answer.status().as_u16(), text(&answer)),
                (418, "short and stout"),
                "{client:?}"
            );
            assert_eq!(answer.headers()["content-type"], "text/plain");
            assert_eq!(answer.headers()["x-mesh"], "1");
            assert!(!answer.headers().contains_key("x-evenkeel-reason"));

            let answer = bench.ask(client, ask("HEAD", "/", &[])).await;
            assert_eq!((answer.status().as_u16(), text(&answer)), (418, ""));
            assert_eq!(answer.headers()["content-length"], "15");
            assert_eq!(server.accepted(), 0);
        }
    });
}

#[test]
fn an_answer_without_content_has_no_length() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let mut resources = services("http", &[nobody().address]);
            route(&mut resources).action = responding(StatusCode::NO_CONTENT, "");
            let answer = bench(&resources).ask(client, get("/")).await;
            assert_eq!(answer.status(), 204);
            assert!(!answer.headers().contains_key("content-length"), "{client:?}");
        }
    });
}

#[test]
fn a_client_of_grpc_gets_a_status_of_its_own_kind() {
    over_both_families(async || {
        let mut resources = services("grpc", &[nobody().address]);
        route(&mut resources).action = responding(StatusCode::FORBIDDEN, "50% no");
        let bench = bench(&resources);
        let mut client = bench.http2().await;
        let (response, _) = client.open(two::call("/a.B/C"), true).await;
        let answer = two::whole(response.await.unwrap()).await.unwrap();
        let headers = answer.headers();
        assert_eq!(
            (answer.status().as_u16(), &headers["grpc-status"]),
            (200, &"7".parse().unwrap())
        );
        assert_eq!(headers["grpc-message"], "50%25 no");
        assert_eq!(
            headers.get_all("content-type").iter().collect::<Vec<_>>(),
            ["application/grpc"]
        );
    });
}

#[test]
fn a_body_behind_what_is_answered_here_does_not_break_the_connection() {
    over_both_families(async || {
        for action in [redirecting(), responding(StatusCode::OK, "hello")] {
            let mut resources = services("http", &[nobody().address]);
            route(&mut resources).action = action;
            let bench = bench(&resources);

            let mut client = bench.http1().await;
            for _ in 0..3 {
                client
                    .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
                    .await;
                assert!(client.message().await.field("connection").is_none(), "it is all here");
            }
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
                .await;
            let answer = client.message().await;
            assert_eq!(
                answer.field("connection"),
                Some("close"),
                "what comes next could be either"
            );
            client.send("hello").await;
            assert_eq!(client.rest().await.unwrap(), b"", "no reset takes the answer away");

            let mut client = bench.http2().await;
            let (response, mut send) = client.open(two::request("POST", "/"), false).await;
            response.await.unwrap();
            // The stream is over for the server, and its client may not know that yet.
            let _ = send.send_data("hello".into(), true);
            client.get("/").await.unwrap();
        }
    });
}

#[test]
fn an_answer_of_the_configuration_is_counted_as_such() {
    over_both_families(async || {
        for (client, protocol) in [(Version::One, "http1"), (Version::Two, "http2")] {
            let mut resources = services("http", &[nobody().address]);
            route(&mut resources).action = redirecting();
            let bench = bench(&resources);
            bench.ask(client, get("/a")).await;
            settle().await;
            let page = telemetry::render(&[Arc::clone(&bench.context.book)], [], telemetry::Form::Prometheus);
            let labels = format!("{{direction=\"outbound\",service=\"service0:80\",protocol=\"{protocol}\"");
            assert!(
                page.contains(&format!("evenkeel_configured_answers_total{labels}}} 1\n")),
                "{page}"
            );
            assert!(
                page.contains(&format!("evenkeel_requests_total{labels},status=\"308\"}} 1\n")),
                "{page}"
            );
            assert!(!page.contains("evenkeel_request_failures_total{"), "{page}");
        }
    });
}

#[test]
fn an_endpoint_that_takes_too_long_is_given_up() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = match endpoint {
                Version::One => {
                    Server::h1(async |mut wire, _| {
                        wire.head().await;
                        pending::<()>().await;
                    })
                    .await
                }
                Version::Two => Server::h2(async |_, _respond, _| pending().await).await,
            };
            let short = Some(Duration::from_millis(50));
            for which in 0..3 {
                let mut resources = services(endpoint.protocol(), &[server.address]);
                let timeouts = &mut forward(route(&mut resources)).timeouts;
                *[&mut timeouts.answer, &mut timeouts.stream, &mut timeouts.idle][which] = short;
                let answer = bench(&resources).ask(client, get("/")).await;
                assert_eq!(answer.status(), 504, "{client:?} to {endpoint:?}: {which}");
                assert_eq!(answer.headers()["x-evenkeel-reason"], "request_timeout");
            }
        }
    });
}

#[test]
fn a_connection_goes_on_after_whatever_became_of_its_requests() {
    over_both_families(async || {
        let server = reflecting(Version::One, "a").await;
        let mut resources = services("http", &[server.address]);
        let mut forwarded = route(&mut resources).clone();
        forwarded.matches.path = PathMatch::Exact("/there".to_owned());
        host(&mut resources).routes.insert(0, forwarded);
        let last = &mut host(&mut resources).routes[1];
        last.action = responding(StatusCode::OK, "here");
        let bench = bench(&resources);
        let mut client = bench.http1().await;
        for target in ["/there", "/", "/there", "/", "/"] {
            let answer = ask_wire(&mut client, &get(target)).await;
            let here = target == "/";
            assert_eq!(text(&answer), if here { "here" } else { "a GET /there web.test" });
        }
        assert_eq!(server.accepted(), 1);
    });
}
