//! Heads: what is forwarded, and what belongs to one hop.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Ask;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::ask::ask_wire;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;
use crate::support::wire::Message;
use http::Request;
use tokio::sync::mpsc;
use tokio::sync::mpsc::UnboundedReceiver;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A server that shows what it was asked.
async fn witness(version: Version) -> (Server, UnboundedReceiver<Ask>) {
    let (seen, asked) = mpsc::unbounded_channel();
    let server = Server::answering(version, move |ask| {
        seen.send(ask).unwrap();
        Answer::new(Content::from("ok"))
    });
    (server.await, asked)
}

/// The same for the bytes of heads.
async fn witness_of_bytes() -> (Server, UnboundedReceiver<Message>) {
    let (seen, asked) = mpsc::unbounded_channel();
    let server = Server::h1(async move |mut wire, _| {
        while let Some(message) = wire.next_message().await {
            seen.send(message).unwrap();
            wire.send(OK).await;
        }
    });
    (server.await, asked)
}

/// What an endpoint is asked when a client of HTTP/1 says this, which is answered.
async fn asked(endpoint: Version, says: &str) -> Ask {
    let (server, mut asked) = witness(endpoint).await;
    let bench = Bench::before(endpoint.protocol(), &server);
    let mut client = bench.http1().await;
    client.send(says).await;
    assert_eq!(client.message().await.status(), 200);
    asked.recv().await.unwrap()
}

#[test]
fn the_authority_keeps_its_bytes_and_its_port_in_every_pairing() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let (server, mut asked) = witness(endpoint).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let ask = Request::get("http://Web.Test:8080/a").body(Content::default()).unwrap();
            bench.ask(client, ask).await;
            let asked = asked.recv().await.unwrap();
            assert_eq!(asked.headers()["host"], "Web.Test:8080", "{client:?} to {endpoint:?}");
            assert_eq!(asked.headers().get_all("host").iter().count(), 1);
        }
    });
}

#[test]
fn an_http2_request_may_name_its_host_in_the_field_alone() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let (server, mut asked) = witness(endpoint).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let ask = Request::get("/a")
                .version(http::Version::HTTP_11)
                .header("host", "web.test");
            let answer = bench.ask(Version::Two, ask.body(Content::default()).unwrap()).await;
            assert_eq!(answer.status(), 200, "to {endpoint:?}");
            assert_eq!(asked.recv().await.unwrap().headers()["host"], "web.test");
        }
    });
}

#[test]
fn the_authority_of_an_absolute_form_wins_over_host() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let asked = asked(
                endpoint,
                "GET http://right.test/a?b HTTP/1.1\r\nHost: wrong.test\r\n\r\n",
            )
            .await;
            assert_eq!(asked.headers()["host"], "right.test", "to {endpoint:?}");
            assert_eq!(asked.uri().path(), "/a");
        }
    });
}

#[test]
fn fields_that_any_connection_line_names_end_with_the_hop() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let asked = asked(
                endpoint,
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-one\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\n\
                     Connection: keep-alive, X-TWO\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
                     TE: gzip, trailers\r\n\r\n",
            )
            .await;
            for gone in ["x-one", "x-two", "keep-alive", "proxy-connection"] {
                assert!(!asked.headers().contains_key(gone), "{gone} to {endpoint:?}");
            }
            assert_eq!(asked.headers()["x-three"], "3");
            assert_eq!(asked.headers()["te"], "trailers");
        }
    });
}

#[test]
fn hop_by_hop_fields_of_an_answer_end_with_the_hop() {
    over_both_families(async || {
        let answer = "HTTP/1.1 200 OK\r\nConnection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=9\r\nX-Yours: 2\r\n\
                      Content-Length: 2\r\nConnection: x-also\r\nX-Also: 3\r\n\r\nok";
        let server = Server::saying(answer).await;
        let bench = Bench::before("http", &server);
        for client in [Version::One, Version::Two] {
            let ask = Request::get("http://web.test/").body(Content::default()).unwrap();
            let answer = bench.ask(client, ask).await;
            let names: Vec<_> = answer.headers().keys().map(http::HeaderName::as_str).collect();
            assert_eq!(names.len(), 2, "{client:?}: {names:?}");
            assert_eq!(answer.headers()["x-yours"], "2");
        }
    });
}

#[test]
fn paths_are_not_normalised_and_nothing_is_invented() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let (server, mut asked) = witness(endpoint).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let path = "/a/../b//c/%2e%2E/%41?x=/../&y";
            let ask = Request::get(format!("http://web.test{path}"))
                .body(Content::default())
                .unwrap();
            let answer = bench.ask(client, ask).await;
            let asked = asked.recv().await.unwrap();
            assert_eq!(
                asked.uri().path_and_query().unwrap(),
                path,
                "{client:?} to {endpoint:?}"
            );
            assert_eq!(asked.headers().keys().collect::<Vec<_>>(), ["host"]);
            let framing = ["content-length", "transfer-encoding"];
            let fields = answer.headers().keys().map(http::HeaderName::as_str);
            let fields: Vec<_> = fields.filter(|name| !framing.contains(name)).collect();
            assert!(fields.is_empty(), "{client:?} to {endpoint:?}: {fields:?}");
        }
    });
}

#[test]
fn options_of_the_server_itself_is_forwarded_as_such_in_every_pairing() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let (server, mut asked) = witness(endpoint).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let status = match client {
                Version::One => {
                    let mut client = bench.http1().await;
                    client.send("OPTIONS * HTTP/1.1\r\nHost: web.test\r\n\r\n").await;
                    client.message().await.status()
                }
                Version::Two => {
                    let ask = Request::options("*").version(http::Version::HTTP_11);
                    let ask = ask.header("host", "web.test").body(Content::default()).unwrap();
                    bench.ask(client, ask).await.status().as_u16()
                }
            };
            assert_eq!(status, 200, "{client:?} to {endpoint:?}");
            let asked = asked.recv().await.unwrap();
            assert_eq!(
                (asked.method().as_str(), asked.uri().path()),
                ("OPTIONS", "*"),
                "{client:?} to {endpoint:?}"
            );
        }
    });
}

#[test]
fn cookie_crumbs_are_joined_for_http1() {
    over_both_families(async || {
        let (server, mut asked) = witness_of_bytes().await;
        let bench = Bench::before("http", &server);
        let mut request = two::get("/");
        request.headers_mut().append("cookie", "a=1".parse().unwrap());
        request.headers_mut().append("cookie", "b=2".parse().unwrap());
        let (response, _) = bench.http2().await.open(request, true).await;
        assert_eq!(response.await.unwrap().status(), 200);
        let asked = asked.recv().await.unwrap();
        assert_eq!(asked.fields("cookie").collect::<Vec<_>>(), ["a=1; b=2"]);
    });
}

#[test]
fn h2c_is_never_offered_to_an_upstream() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let asked = asked(endpoint, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n").await;
            for gone in ["upgrade", "http2-settings", "connection"] {
                assert!(!asked.headers().contains_key(gone), "{gone} to {endpoint:?}");
            }
        }
    });
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |ask| {
                let status: u16 = ask.uri().path()[1..].parse().unwrap();
                let mut answer = Answer::new(Content::default());
                *answer.status_mut() = status.try_into().unwrap();
                if ask.method() == "HEAD" || status == 304 {
                    answer.headers_mut().insert("content-length", 1000.into());
                }
                answer
            });
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404), ("GET", 200)] {
                let ask = Request::builder().method(method).uri(format!("http://a/{status}"));
                let answer = ask_wire(&mut client, &ask.body(Content::default()).unwrap()).await;
                assert_eq!(answer.status(), status, "{method} to {endpoint:?}");
                let length = answer.headers().get("content-length");
                let length = length.map(|length| length.to_str().unwrap());
                let expected = match (method, status) {
                    ("HEAD", _) | (_, 304) => Some("1000"),
                    (_, 204) => None,
                    _ => Some("0"),
                };
                assert_eq!(length, expected, "{method} {status} to {endpoint:?}");
            }
            assert_eq!(server.accepted(), 1);
        }
    });
}

/// Servers send lengths with a 204 although none may (RFC 9110 8.6): its reader takes no body for it (RFC 9112 6.3).
#[test]
fn a_204_with_a_length_has_no_body_and_leaves_the_connection_usable() {
    over_both_families(async || {
        let server = Server::saying("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n").await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        for _ in 0..2 {
            let ask = Request::get("http://a/").body(Content::default()).unwrap();
            let answer = ask_wire(&mut client, &ask).await;
            assert_eq!((answer.status().as_u16(), &answer.body().bytes[..]), (204, &b""[..]));
        }
        let mut client = bench.http2().await;
        for _ in 0..2 {
            let answer = client.get("/").await.unwrap();
            assert_eq!((answer.status().as_u16(), &answer.body().bytes[..]), (204, &b""[..]));
        }
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn answers_without_a_body_keep_their_length_over_http2() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = Server::answering(endpoint, |ask| {
                let status: u16 = ask.uri().path()[1..].parse().unwrap();
                let mut answer = Answer::new(Content::default());
                *answer.status_mut() = status.try_into().unwrap();
                if status != 204 {
                    answer.headers_mut().insert("content-length", 1000.into());
                }
                answer
            });
            let server = server.await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http2().await;
            for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)] {
                let (response, _) = client.open(two::request(method, &format!("/{status}")), true).await;
                let answer = two::whole(response.await.unwrap()).await.unwrap();
                assert_eq!(answer.status(), status, "{method} to {endpoint:?}");
                assert!(answer.body().bytes.is_empty());
                let length = answer
                    .headers()
                    .get("content-length")
                    .map(|length| length.to_str().unwrap());
                let expected = if status == 204 { None } else { Some("1000") };
                assert_eq!(length, expected, "{method} {status} to {endpoint:?}");
            }
            assert_eq!(server.accepted(), 1, "to {endpoint:?}");
        }
    });
}

#[test]
fn what_a_connection_line_names_takes_no_field_away_that_everyone_must_see() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let asked = asked(
                endpoint,
                "POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length\r\nContent-Length: 2\r\n\r\nhi",
            )
            .await;
            assert_eq!(
                (&asked.headers()["host"], &asked.body().bytes[..]),
                (&"a".parse().unwrap(), &b"hi"[..])
            );
            assert_eq!(asked.headers()["content-length"], "2", "to {endpoint:?}");
        }
    });
}

#[test]
fn a_request_of_http10_needs_no_host() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let (server, mut asked) = witness(endpoint).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut client = bench.http1().await;
            client.send("GET /a HTTP/1.0\r\n\r\n").await;
            assert_eq!(client.message().await.status(), 200, "to {endpoint:?}");
            assert_eq!(asked.recv().await.unwrap().uri().path(), "/a");
        }
    });
}
