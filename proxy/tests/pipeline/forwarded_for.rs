//! `X-Forwarded-For`, which the inbound side adds to where the mesh document asks for it, and nobody else.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::ask::ask_wire;
use crate::support::family::Family;
use crate::support::family::anywhere;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;
use crate::support::two::Two;
use crate::support::wire::Wire;
use evenkeel_control_api::resource::listener::Direction;
use evenkeel_proxy::flow;
use evenkeel_proxy::net::stream::Stream;
use http::Request;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// What has come, and what the application sees of it before the address of who has asked.
const LISTS: [(&[&str], &str); 4] = [
    (&[], ""),
    (&["198.51.100.1"], "198.51.100.1, "),
    (&["a, b", "fd00::7"], "a, b, fd00::7, "),
    (&["", "unknown"], "unknown, "),
];

/// Who asks.
fn peer() -> SocketAddr {
    SocketAddr::new(Family::current().stranger(), 4321)
}

/// A server that answers with the lines that it was sent.
async fn application(version: Version) -> Server {
    Server::answering(version, |ask| {
        let lines = ask.headers().get_all("x-forwarded-for").iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
        Answer::new(Content::from(lines.join("|").as_str()))
    })
    .await
}

fn document(server: &Server, endpoint: Version, forwarded_for: &str) -> String {
    let (port, protocol) = (server.address.port(), endpoint.protocol());
    format!("inbound: {{ports: [{{port: {port}, protocol: {protocol}, forwarded_for: {forwarded_for}}}]}}\n")
}

/// A client's connection to the application; without a peer it is the pod's own.
async fn connect(bench: &Bench, server: &Server, peer: Option<SocketAddr>) -> TcpStream {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let (context, destination) = (Rc::clone(&bench.context), server.address);
    tokio::task::spawn_local(async move {
        flow::carry(context, Direction::Inbound, Stream::Tcp(accepted), destination, peer).await
    });
    client
}

/// What the application saw.
async fn seen(client: TcpStream, version: Version, lines: &[&str]) -> String {
    let mut ask = Request::get("http://web.test/");
    for line in lines {
        ask = ask.header("x-forwarded-for", *line);
    }
    let content = match version {
        Version::One => {
            let ask = ask.body(Content::default()).unwrap();
            ask_wire(&mut Wire::new(client), &ask).await.into_body()
        }
        Version::Two => {
            let (response, _) = Two::new(client).await.open(ask.body(()).unwrap(), true).await;
            two::whole(response.await.unwrap()).await.unwrap().into_body()
        }
    };
    String::from_utf8(content.bytes.to_vec()).unwrap()
}

#[test]
fn the_client_is_added_to_one_list_in_every_pairing() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = application(endpoint).await;
            let bench = Bench::new(&document(&server, endpoint, "append"));
            for (came, expected) in LISTS {
                let stream = connect(&bench, &server, Some(peer())).await;
                assert_eq!(
                    seen(stream, client, came).await,
                    format!("{expected}{}", peer().ip()),
                    "{client:?} to {endpoint:?}: {came:?}"
                );
            }
        }
    });
}

#[test]
fn the_pod_itself_is_known_by_its_own_address() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = application(endpoint).await;
            let bench = Bench::new(&document(&server, endpoint, "append"));
            let stream = connect(&bench, &server, None).await;
            assert_eq!(
                seen(stream, client, &[]).await,
                server.address.ip().to_string(),
                "{client:?} to {endpoint:?}"
            );
        }
    });
}

#[test]
fn what_came_stays_as_it_is_where_nothing_is_asked_for() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = application(endpoint).await;
            let bench = Bench::new(&document(&server, endpoint, "off"));
            for (came, as_it_is) in [(&[][..], ""), (&["a", "b, c"][..], "a|b, c")] {
                let stream = connect(&bench, &server, Some(peer())).await;
                assert_eq!(seen(stream, client, came).await, as_it_is, "{client:?} to {endpoint:?}");
            }
        }
    });
}

#[test]
fn every_request_of_a_connection_gets_its_own_list() {
    over_both_families(async || {
        let server = application(Version::One).await;
        let bench = Bench::new(&document(&server, Version::One, "append"));
        let mut client = Wire::new(connect(&bench, &server, Some(peer())).await);
        for (line, expected) in [("X-Forwarded-For: a\r\n", "a, "), ("", "")] {
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n")).await;
            assert_eq!(client.message().await.text(), format!("{expected}{}", peer().ip()));
        }
    });
}

#[test]
fn a_client_cannot_have_the_list_dropped_as_a_field_of_its_connection() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let server = application(endpoint).await;
            let bench = Bench::new(&document(&server, endpoint, "append"));
            let mut client = Wire::new(connect(&bench, &server, Some(peer())).await);
            client
                .send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: a\r\nConnection: x-forwarded-for\r\n\r\n")
                .await;
            assert_eq!(
                client.message().await.text(),
                peer().ip().to_string(),
                "to {endpoint:?}"
            );
        }
    });
}
