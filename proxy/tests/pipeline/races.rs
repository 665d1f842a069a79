//! Whoever speaks first says what is spoken: every kind of client against every kind of server, and nobody waits.

use crate::support::Bench;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::family::Family;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two::Two;
use crate::support::web;
use crate::support::wire::Wire;
use std::cell::Cell;
use std::rc::Rc;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Two servers of HTTP: requests of one connection go to both, opaque bytes to one.
async fn pair(version: Version) -> (Server, Server) {
    let one = Server::named(version, "one").await;
    let two = Server::named(version, "two").await;
    (one, two)
}

/// A client that says nothing, up to where one of the servers has been connected to.
async fn silent_client(bench: &Bench, servers: &[&Server]) -> Wire {
    let accepted = || servers.iter().map(|server| server.accepted()).sum::<usize>();
    let before = accepted();
    let client = bench.http1().await;
    while accepted() == before {
        tokio::task::yield_now().await;
    }
    settle().await;
    client
}

#[test]
fn a_server_that_speaks_first_is_heard_at_once() {
    over_both_families(async || {
        let banners = [
            "220 mail.test ESMTP\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "J\0\0\0\u{a}10.11.19-MariaDB\0",
        ];
        for banner in banners {
            let server = Server::h1(async move |mut wire, _| {
                wire.send(banner).await;
                let all = wire.rest().await.unwrap();
                wire.send(&all).await;
            });
            let server = server.await;
            let bench = Bench::before("auto", &server);
            let mut client = bench.http1().await;
            assert_eq!(client.exactly(banner.len()).await, banner.as_bytes());
            client.send("GET / HTTP/1.1\r\n\r\n").await;
            client.finish().await;
            assert_eq!(client.rest().await.unwrap(), b"GET / HTTP/1.1\r\n\r\n");
            assert_eq!(server.accepted(), 1);
        }
    });
}

#[test]
fn a_client_that_is_silent_for_long_is_still_http() {
    over_both_families(async || {
        let (one, two) = pair(Version::One).await;
        let bench = Bench::new(&document("auto", [&one, &two]));
        let mut client = silent_client(&bench, &[&one, &two]).await;
        let mut names = Vec::new();
        for _ in 0..4 {
            client.send(GET).await;
            names.push(client.message().await.text().to_owned());
        }
        assert!(
            names.contains(&"one".to_owned()) && names.contains(&"two".to_owned()),
            "{names:?}"
        );
        assert_eq!(
            (one.accepted(), two.accepted()),
            (1, 1),
            "the connection that was opened ahead is used"
        );
    });
}

#[test]
fn http_that_dribbles_in_is_http() {
    over_both_families(async || {
        let (one, two) = pair(Version::One).await;
        let bench = Bench::new(&document("auto", [&one, &two]));
        let mut client = bench.http1().await;
        let mut names = Vec::new();
        for _ in 0..4 {
            for byte in GET.bytes() {
                client.send([byte]).await;
                tokio::task::yield_now().await;
            }
            names.push(client.message().await.text().to_owned());
        }
        assert!(
            names.contains(&"one".to_owned()) && names.contains(&"two".to_owned()),
            "{names:?}"
        );
    });
}

#[test]
fn a_preface_that_is_held_back_is_http2_though_the_server_sends_its_settings_first() {
    over_both_families(async || {
        let (one, two) = pair(Version::Two).await;
        let bench = Bench::new(&document("auto", [&one, &two]));
        for _ in 0..6 {
            let stream = bench.connect().await;
            // From the fourth client on nothing is opened ahead of it, for a while.
            settle().await;
            let mut client = Two::new(stream).await;
            let mut names = Vec::new();
            for _ in 0..4 {
                names.push(client.get("/").await.unwrap().into_body().bytes);
            }
            assert!(
                names.contains(&"one".into()) && names.contains(&"two".into()),
                "{names:?}"
            );
        }
    });
}

#[test]
fn a_status_line_that_comes_unasked_is_not_relayed() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, number| {
            if number == 0 {
                wire.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
                    .await;
                wire.rest_lossy().await;
                return;
            }
            while wire.next_message().await.is_some() {
                wire.send(OK).await;
            }
        });
        let server = server.await;
        let bench = Bench::before("auto", &server);
        let mut client = silent_client(&bench, &[&server]).await;
        client.send(GET).await;
        assert_eq!(client.message().await.status(), 200);
    });
}

#[test]
fn the_end_of_a_silent_server_is_carried_over_unless_its_clients_are_known_to_speak_http() {
    over_both_families(async || {
        let silent = Rc::new(Cell::new(true));
        let state = Rc::clone(&silent);
        let server = Server::h1(async move |mut wire, _| {
            if state.get() {
                return;
            }
            while wire.next_message().await.is_some() {
                if wire.try_send(OK).await.is_err() {
                    return;
                }
            }
        });
        let server = server.await;
        let bench = Bench::before("auto", &server);
        assert!(bench.http1().await.rest().await.unwrap().is_empty());

        silent.set(false);
        let mut client = bench.http1().await;
        client.send(GET).await;
        assert_eq!(client.message().await.status(), 200);
        drop(client);

        silent.set(true);
        let mut client = silent_client(&bench, &[&server]).await;
        silent.set(false);
        client.send(GET).await;
        assert_eq!(client.message().await.status(), 200);
    });
}

/// What a server may do to a connection that it has not heard from, each no end for a client that speaks HTTP.
#[test]
fn a_server_that_ends_an_idle_connection_rudely_does_not_end_that_of_an_http_client() {
    over_both_families(async || {
        for last_words in ["HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", ""] {
            let rude = Rc::new(Cell::new(false));
            let state = Rc::clone(&rude);
            let server = Server::h1(async move |mut wire, _| {
                if state.get() {
                    wire.send(last_words).await;
                    if last_words.is_empty() {
                        wire.reset();
                    }
                    return;
                }
                while wire.next_message().await.is_some() {
                    if wire.try_send(OK).await.is_err() {
                        return;
                    }
                }
            });
            let server = server.await;
            let bench = Bench::before("auto", &server);
            let mut client = bench.http1().await;
            client.send(GET).await;
            assert_eq!(client.message().await.status(), 200);
            drop(client);

            rude.set(true);
            let mut client = silent_client(&bench, &[&server]).await;
            rude.set(false);
            client.send(GET).await;
            assert_eq!(client.next_head().await.as_deref(), Some(OK), "{last_words:?}");
        }
    });
}

#[test]
fn bytes_that_contradict_a_declared_protocol_are_refused() {
    over_both_families(async || {
        let server = Server::echoing().await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client.send("*1\r\n$4\r\nPING\r\n").await;
        assert_eq!(client.message().await.status(), 400);
        assert_eq!(server.accepted(), 0);
    });
}

#[test]
fn a_preface_that_is_broken_is_not_taken_for_http1() {
    over_both_families(async || {
        let server = Server::echoing().await;
        let bench = Bench::before("auto", &server);
        let mut client = bench.http1().await;
        client.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
        assert_eq!(client.message().await.status(), 400);
    });
}

#[test]
fn a_configuration_that_changes_while_a_client_hesitates_does_not_mix_up_its_clusters() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            if let Some(_head) = wire.next_head().await {
                wire.send(OK).await;
            }
        });
        let server = server.await;
        let bench = Bench::before("auto", &server);
        for _ in 0..3 {
            // From now on a connection is opened ahead only when the client has hesitated for a while.
            let mut client = bench.http1().await;
            client.send(GET).await;
            assert_eq!(client.message().await.status(), 200);
        }
        let (right, wrong) = (Server::echoing().await, Server::echoing().await);
        let mut client = bench.http1().await;
        settle().await;
        // Another service takes the first place.
        let other = document("tcp", [&wrong])
            .replace("web.test", "a.test")
            .replace(&web().ip().to_string(), &Family::current().vip(9).to_string());
        let web = document("auto", [&right]).replace("services:\n", "");
        bench.apply(&format!("{other}{web}"));
        client.send("xxxx\r\n\r\n").await;
        client.finish().await;
        let answer = client
            .rest()
            .await
            .expect("an endpoint of the old configuration or of the new");
        assert!(
            [OK.as_bytes(), b"xxxx\r\n\r\n"].contains(&&*answer),
            "{}",
            answer.escape_ascii()
        );
        assert_eq!(wrong.accepted(), 0);
    });
}
