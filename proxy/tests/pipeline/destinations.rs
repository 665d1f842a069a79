//! Destinations that are no Service, and patience with clients.

use crate::support::Bench;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::nobody;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::two::Two;
use crate::support::wire::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn an_unknown_destination_is_passed_through_whatever_is_spoken() {
    over_both_families(async || {
        let (known, one, two) = (
            Server::named(Version::One, "known").await,
            Server::named(Version::One, "one").await,
            Server::named(Version::Two, "two").await,
        );
        let bench = Bench::before("auto", &known);
        let mut client = Wire::new(bench.connect_to(one.address).await);
        for _ in 0..2 {
            client.send(GET).await;
            assert_eq!(client.message().await.text(), "one");
        }
        let mut client = Two::new(bench.connect_to(two.address).await).await;
        assert_eq!(client.get("/").await.unwrap().body().bytes, "two");

        let bytes = Server::echoing().await;
        let mut client = Wire::new(bench.connect_to(bytes.address).await);
        client.send("\x16\x03\x01\0\x05\x01\0\0\x01\0").await;
        client.finish().await;
        assert_eq!(client.rest().await.unwrap().len(), 10);
        assert_eq!(known.accepted(), 0);
    });
}

#[test]
fn an_unknown_destination_that_does_not_listen_resets_as_it_would_without_a_mesh() {
    over_both_families(async || {
        let known = Server::named(Version::One, "known").await;
        let bench = Bench::before("auto", &known);
        let nobody = nobody();
        let mut client = Wire::new(bench.connect_to(nobody.address).await);
        assert!(client.rest().await.is_err());
    });
}

#[test]
fn a_mesh_that_refuses_unknown_destinations_resets_them() {
    over_both_families(async || {
        let server = Server::named(Version::One, "one").await;
        let text = document("auto", []).replace("endpoints:\n", "endpoints: []\nunknown: refuse\n");
        let bench = Bench::new(&text);
        let mut client = Wire::new(bench.connect_to(server.address).await);
        assert!(client.rest().await.is_err());
        assert_eq!(server.accepted(), 0);
    });
}

#[test]
fn the_address_of_an_endpoint_is_that_endpoint_and_no_other() {
    over_both_families(async || {
        let (one, two) = (
            Server::named(Version::One, "one").await,
            Server::named(Version::One, "two").await,
        );
        let bench = Bench::new(&document("auto", [&one, &two]));
        let mut client = Wire::new(bench.connect_to(two.address).await);
        for _ in 0..4 {
            client.send(GET).await;
            assert_eq!(client.message().await.text(), "two");
        }
        drop(two);
        settle().await;
        let mut client = Wire::new(bench.connect_to(one.address).await);
        client.send(GET).await;
        assert_eq!(client.message().await.text(), "one");
    });
}

#[test]
fn a_head_that_is_never_complete_is_given_up_and_so_is_a_connection_without_requests() {
    over_both_families(async || {
        let server = Server::named(Version::One, "one").await;
        for protocol in ["http", "auto"] {
            let text = document(protocol, [&server]);
            let bench = Bench::new(&format!(
                "{text}limits: {{head_timeout: 250ms, downstream_idle: 250ms}}\n"
            ));
            let mut client = bench.http1().await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow").await;
            let answer = client.message().await;
            assert_eq!(
                (answer.status(), answer.field("x-evenkeel-reason")),
                (408, Some("head_timeout"))
            );
            assert!(client.rest().await.unwrap().is_empty());

            let mut client = bench.http1().await;
            client.send(GET).await;
            assert_eq!(client.message().await.text(), "one");
            assert!(client.rest().await.unwrap().is_empty(), "closed in silence");
        }
    });
}
