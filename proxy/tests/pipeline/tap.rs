//! Tap: who listens is told of requests as they end, and never holds them up.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use evenkeel_control_api::tap::Event;
use evenkeel_control_api::tap::WatchRequest;
use evenkeel_proxy::telemetry::tap::Events;
use http::Request;
use http::StatusCode;

/// A server whose answers have the status that the path says.
async fn statuses(version: Version) -> Server {
    Server::answering(version, |ask| {
        let status: u16 = ask.uri().path()[1..4].parse().unwrap();
        let mut answer = Answer::new(Content::from("done"));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        answer.headers_mut().insert("x-server", "one".parse().unwrap());
        answer.headers_mut().insert("set-cookie", "a=b".parse().unwrap());
        answer
    })
    .await
}

async fn ask(bench: &Bench, client: Version, method: &str, path: &str) {
    let ask = Request::builder()
        .method(method)
        .uri(format!("http://web.test{path}"))
        .header("authorization", "Bearer me")
        .header("x-plain", "yes");
    bench.ask(client, ask.body(Content::default()).unwrap()).await;
}

async fn event(events: &mut Events) -> Event {
    loop {
        if let Some(event) = events.next().await.event {
            return event;
        }
    }
}

#[test]
fn whoever_listens_is_told_of_a_request_in_every_pairing() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = statuses(endpoint).await;
            let bench = Bench::new(&document(endpoint.protocol(), [&server]));
            ask(&bench, client, "GET", "/200/before").await;
            let mut events = bench.tap.listen(WatchRequest::default()).unwrap();
            ask(&bench, client, "GET", "/201/a?b=c").await;
            let event = event(&mut events).await;
            assert_eq!(
                (event.direction.as_str(), event.service.as_str(), event.method.as_str()),
                ("outbound", "web.test:80", "GET")
            );
            assert_eq!(
                (event.path.as_str(), event.authority.as_str()),
                ("/201/a?b=c", "web.test")
            );
            assert_eq!((event.status, event.grpc_status, event.attempts), (201, -1, 1));
            assert_eq!((event.upstream, event.sent_bytes), (server.address.to_string(), 4));
            assert_eq!((event.reason.as_str(), event.flags.as_str()), ("", ""));
        }
    });
}

#[test]
fn values_of_headers_are_told_as_far_as_they_are_asked_for() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = statuses(endpoint).await;
            let bench = Bench::new(&document(endpoint.protocol(), [&server]));
            for (all_headers, names, plain, secret) in [
                (false, &[][..], "[redacted]", "[redacted]"),
                (false, &["X-Plain"][..], "yes", "[redacted]"),
                (true, &[][..], "yes", "Bearer me"),
            ] {
                let request = WatchRequest {
                    all_headers,
                    headers: names.iter().map(ToString::to_string).collect(),
                    ..WatchRequest::default()
                };
                let redacted = bench.tap.counts().redacted();
                let mut events = bench.tap.listen(request).unwrap();
                ask(&bench, client, "GET", "/200").await;
                let event = event(&mut events).await;
                let value = |headers: &[evenkeel_control_api::tap::Header], name: &str| {
                    let header = headers.iter().find(|header| header.name == name);
                    header.map(|header| header.value.clone()).unwrap_or_default()
                };
                assert_eq!(
                    value(&event.request_headers, "x-plain"),
                    plain,
                    "{client:?} to {endpoint:?}"
                );
                assert_eq!(
                    value(&event.request_headers, "authorization"),
                    secret,
                    "{client:?} to {endpoint:?}"
                );
                let server = if all_headers { "one" } else { "[redacted]" };
                assert_eq!(
                    value(&event.response_headers, "x-server"),
                    server,
                    "{client:?} to {endpoint:?}"
                );
                let cookie = if all_headers { "a=b" } else { "[redacted]" };
                assert_eq!(value(&event.response_headers, "set-cookie"), cookie);
                assert_eq!(bench.tap.counts().redacted() > redacted, !all_headers);
            }
        }
    });
}

#[test]
fn two_listen_at_once_and_each_is_told_what_it_asked_for() {
    over_both_families(async || {
        let server = statuses(Version::One).await;
        let bench = Bench::new(&document("http", [&server]));
        let text = str::to_owned;
        let request = WatchRequest::default;
        let matches = [
            (request(), vec!["/200/a", "/404/a", "/503/b", "/503/c"]),
            (
                WatchRequest {
                    status: vec![text("5xx"), text("404")],
                    ..request()
                },
                vec!["/404/a", "/503/b", "/503/c"],
            ),
            (
                WatchRequest {
                    path: text("/503"),
                    ..request()
                },
                vec!["/503/b", "/503/c"],
            ),
            (
                WatchRequest {
                    method: text("POST"),
                    ..request()
                },
                vec!["/503/c"],
            ),
            (
                WatchRequest {
                    host: text("WEB.test"),
                    path: text("/2"),
                    ..request()
                },
                vec!["/200/a"],
            ),
            (
                WatchRequest {
                    host: text("*.test"),
                    path: text("/2"),
                    ..request()
                },
                vec!["/200/a"],
            ),
            (
                WatchRequest {
                    host: text("*.web.test"),
                    ..request()
                },
                vec![],
            ),
            (
                WatchRequest {
                    direction: text("inbound"),
                    ..request()
                },
                vec![],
            ),
            (
                WatchRequest {
                    peer: server.address.ip().to_string(),
                    path: text("/4"),
                    ..request()
                },
                vec!["/404/a"],
            ),
            (
                WatchRequest {
                    peer: text("192.0.2.0/24"),
                    ..request()
                },
                vec![],
            ),
        ];
        let listen = |(request, expected)| (bench.tap.listen(request).unwrap(), expected);
        let mut listening: Vec<_> = matches.into_iter().map(listen).collect();
        for (method, path) in [
            ("GET", "/200/a"),
            ("GET", "/404/a"),
            ("GET", "/503/b"),
            ("POST", "/503/c"),
        ] {
            ask(&bench, Version::One, method, path).await;
        }
        settle().await;
        // The end of what each was told.
        for (index, (events, expected)) in listening.iter_mut().enumerate() {
            for path in expected {
                assert_eq!(event(events).await.path, *path, "{index}");
            }
        }
        // Nobody was told of more: what comes next is the counts, which have not changed.
        for (events, _) in &mut listening {
            let next = std::future::poll_fn(|cx| std::task::Poll::Ready(events.poll(cx))).await;
            assert!(next.is_pending(), "{next:?}");
        }
    });
}

/// A `ClientHello` that asks for this name.
fn hello(name: &str) -> Vec<u8> {
    let sized = |width: usize, content: &[u8]| [&content.len().to_be_bytes()[8 - width..], content].concat();
    let list = sized(2, &[&[0][..], &sized(2, name.as_bytes())].concat());
    let extensions = [&[0, 0][..], &sized(2, &list)].concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        &[0, 2, 0x13, 1],
        &[1, 0],
        &sized(2, &extensions),
    ]
    .concat();
    [&[0x16, 3, 1][..], &sized(2, &[&[1][..], &sized(3, &body)].concat())].concat()
}

#[test]
fn an_opaque_connection_is_told_by_the_name_that_its_client_asks_for() {
    over_both_families(async || {
        let server = Server::echoing().await;
        let bench = Bench::new(&document("auto", [&server]));
        let listen = |host: &str| {
            let request = WatchRequest {
                host: host.to_owned(),
                ..WatchRequest::default()
            };
            bench.tap.listen(request).unwrap()
        };
        let (mut all, mut some, mut one) = (listen(""), listen("*.test"), listen("DB.test"));
        let mut none = [listen("web.test"), listen("*.db.test")];
        for bytes in [hello("db.test"), hello("other.test"), b"xxxx".to_vec()] {
            let mut client = bench.http1().await;
            client.send(&bytes).await;
            client.finish().await;
            assert_eq!(client.rest().await.unwrap(), bytes);
        }
        settle().await;
        for (events, expected) in [
            (&mut all, &[("tls", "db.test"), ("tls", "other.test"), ("tcp", "")][..]),
            (&mut some, &[("tls", "db.test"), ("tls", "other.test")]),
            (&mut one, &[("tls", "db.test")]),
        ] {
            for expected in expected {
                let event = event(events).await;
                assert_eq!((event.protocol.as_str(), event.server_name.as_str()), *expected);
                assert_eq!((event.method.as_str(), event.path.as_str(), event.status), ("", "", 0));
                assert_eq!(event.received_bytes, event.sent_bytes);
                assert_eq!(event.upstream, server.address.to_string());
            }
        }
        for events in none.iter_mut().chain([&mut some, &mut one]) {
            let next = std::future::poll_fn(|cx| std::task::Poll::Ready(events.poll(cx))).await;
            assert!(next.is_pending(), "{next:?}");
        }
    });
}

#[test]
fn whoever_does_not_listen_fast_enough_loses_events_and_holds_nothing_up() {
    over_both_families(async || {
        let server = statuses(Version::One).await;
        let bench = Bench::new(&document("http", [&server]));
        let slow = WatchRequest {
            per_second: 10_000,
            ..WatchRequest::default()
        };
        let mut slow = bench.tap.listen(slow).unwrap();
        let few = WatchRequest {
            per_second: 1,
            ..WatchRequest::default()
        };
        let mut few = bench.tap.listen(few).unwrap();
        let requests = 1_100;
        for _ in 0..requests {
            ask(&bench, Version::One, "GET", "/200").await;
        }
        settle().await;
        let mut seen = 0;
        let last = loop {
            let message = slow.next().await;
            seen += u64::from(message.event.is_some());
            if seen + message.lost + message.limited >= requests {
                break message;
            }
        };
        // A queue holds 1,024.
        assert_eq!((seen, last.lost, last.limited), (1_024, requests - 1_024, 0));
        let mut told = 0;
        loop {
            let message = few.next().await;
            told += u64::from(message.event.is_some());
            if told + message.limited >= requests {
                assert_eq!(message.lost, 0);
                assert!(message.limited > 0 && told > 0, "{message:?}");
                let counts = bench.tap.counts();
                assert_eq!((counts.told(), counts.lost()), (1_024 + told, requests - 1_024));
                assert_eq!(counts.limited(), message.limited);
                break;
            }
        }
    });
}
