//! The idle race: an endpoint closes a connection that is kept while the next request is on its way. What may be sent again is,
//! byte for byte; what may not is refused, and never acted on twice.

use crate::support::Bench;
use crate::support::ask::Ask;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::ask::ask_wire;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;
use crate::support::two::Two;
use crate::support::wire::Wire;
use http::Request;
use http::Response;
use std::cell::RefCell;
use std::rc::Rc;

/// What reached the endpoint: the method and the body of each request.
type Seen = Rc<RefCell<Vec<(String, Vec<u8>)>>>;

/// An endpoint that closes its first connection when the second request on it is here.
async fn racing(version: Version) -> (Server, Seen) {
    let seen = Seen::default();
    let requests = Rc::clone(&seen);
    let server = match version {
        Version::One => {
            Server::h1(async move |mut wire, number| {
                let mut served = 0;
                while let Some(message) = wire.next_message().await {
                    let method = message.line().split(' ').next().unwrap().to_owned();
                    requests.borrow_mut().push((method, message.body));
                    served += 1;
                    if number == 0 && served == 2 {
                        return;
                    }
                    if wire
                        .try_send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            })
            .await
        }
        Version::Two => {
            Server::h2_connection(async move |mut connection, number| {
                let mut served = 0;
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let (head, body) = request.into_parts();
                    served += 1;
                    if number == 0 && served == 2 {
                        requests.borrow_mut().push((head.method.to_string(), Vec::new()));
                        return;
                    }
                    let requests = Rc::clone(&requests);
                    tokio::task::spawn_local(async move {
                        let body = two::collect(body).await.unwrap();
                        requests
                            .borrow_mut()
                            .push((head.method.to_string(), body.bytes.to_vec()));
                        respond.send_response(Response::new(()), true).unwrap();
                    });
                }
            })
            .await
        }
    };
    (server, seen)
}

/// A connection of a client, kept.
enum Client {
    One(Wire),
    Two(Two),
}

impl Client {
    async fn new(bench: &Bench, version: Version) -> Self {
        match version {
            Version::One => Self::One(bench.http1().await),
            Version::Two => Self::Two(bench.http2().await),
        }
    }

    async fn status(&mut self, ask: Ask) -> u16 {
        match self {
            Self::One(wire) => ask_wire(wire, &ask).await.status().as_u16(),
            Self::Two(two) => {
                let (head, content) = ask.into_parts();
                let end = content == Content::default();
                let (response, mut send) = two.open(Request::from_parts(head, ()), end).await;
                if !end {
                    two::deliver(&mut send, &content);
                }
                response.await.unwrap().status().as_u16()
            }
        }
    }
}

fn ask(method: &str, body: &str) -> Ask {
    let ask = Request::builder().method(method).uri("http://web.test/");
    ask.body(Content::from(body)).unwrap()
}

#[test]
fn an_idempotent_request_that_loses_the_race_is_sent_again_as_it_was() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            for (method, body) in [("GET", ""), ("DELETE", ""), ("PUT", "put here")] {
                let (server, seen) = racing(endpoint).await;
                let bench = Bench::before(endpoint.protocol(), &server);
                let mut connection = Client::new(&bench, client).await;
                for _ in 0..2 {
                    let status = connection.status(ask(method, body)).await;
                    assert_eq!(status, 200, "{method}: {client:?} to {endpoint:?}");
                }
                let last = seen.borrow().last().cloned();
                let expected = (method.to_owned(), body.as_bytes().to_vec());
                assert_eq!(last, Some(expected), "{client:?} to {endpoint:?}");
                assert_eq!(
                    (seen.borrow().len(), server.accepted()),
                    (3, 2),
                    "{client:?} to {endpoint:?}"
                );
            }
        }
    });
}

#[test]
fn a_post_that_loses_the_race_is_not_sent_again_once_it_has_left() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let (server, seen) = racing(endpoint).await;
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut connection = Client::new(&bench, client).await;
            assert_eq!(connection.status(ask("GET", "")).await, 200);
            let status = connection.status(ask("POST", "once")).await;
            assert_eq!(status, 502, "{client:?} to {endpoint:?}");
            assert_eq!(seen.borrow().len(), 2, "{client:?} to {endpoint:?}");
            // The client's connection lives on.
            assert_eq!(
                connection.status(ask("POST", "again")).await,
                200,
                "{client:?} to {endpoint:?}"
            );
        }
    });
}

#[test]
fn a_post_is_sent_on_a_new_connection_where_the_endpoint_has_closed_the_idle_one() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = match endpoint {
                Version::One => {
                    Server::h1(async |mut wire, _| {
                        wire.message().await;
                        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                    })
                    .await
                }
                Version::Two => {
                    Server::h2_connection(async |mut connection, _| {
                        let Some(Ok((_, mut respond))) = connection.accept().await else {
                            return;
                        };
                        respond.send_response(Response::new(()), true).unwrap();
                        connection.graceful_shutdown();
                        while connection.accept().await.is_some() {}
                    })
                    .await
                }
            };
            let bench = Bench::before(endpoint.protocol(), &server);
            let mut connection = Client::new(&bench, client).await;
            for connections in 1..=3 {
                let status = connection.status(ask("POST", "once")).await;
                assert_eq!(status, 200, "{client:?} to {endpoint:?}");
                assert_eq!(server.accepted(), connections, "{client:?} to {endpoint:?}");
                // The endpoint's end is on its way to us.
                crate::support::settle().await;
            }
        }
    });
}
