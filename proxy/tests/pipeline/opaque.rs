//! Bytes that are passed on as they are, with their ends and their resets.

use crate::support::Bench;
use crate::support::document_of;
use crate::support::nobody;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use std::cell::Cell;
use std::rc::Rc;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn bytes_of_no_protocol_are_relayed_as_they_are_however_they_are_split() {
    over_both_families(async || {
        let prologues: [&[u8]; 6] = [
            b"xxxx",
            b"*1\r\n$4\r\nPING\r\n",
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"\x16\x03\x01\0\x05\x01\0\0\x01\0",
            b"GET\0key\xff\xfe",
            b"get some-key\r\n",
        ];
        for prologue in prologues {
            let server = Server::echoing().await;
            let bench = Bench::before("auto", &server);
            for at in 0..=prologue.len() {
                let mut client = bench.http1().await;
                client.send(&prologue[..at]).await;
                settle().await;
                client.send(&prologue[at..]).await;
                client.finish().await;
                assert_eq!(client.rest().await.unwrap(), prologue, "split at {at}");
            }
            assert_eq!(server.accepted(), prologue.len() + 1, "{}", prologue.escape_ascii());
        }
    });
}

#[test]
fn a_client_that_leaves_before_it_says_anything_is_carried_over() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            assert_eq!(wire.rest().await.unwrap(), b"");
            wire.send("bye").await;
        });
        let server = server.await;
        for protocol in ["auto", "tcp"] {
            let bench = Bench::before(protocol, &server);
            let mut client = bench.http1().await;
            client.finish().await;
            assert_eq!(client.rest().await.unwrap(), b"bye", "{protocol}");
        }
    });
}

#[test]
fn a_client_that_leaves_amid_a_request_line_is_relayed() {
    over_both_families(async || {
        let server = Server::echoing().await;
        let bench = Bench::before("auto", &server);
        let mut client = bench.http1().await;
        client.send("GET / HT").await;
        client.finish().await;
        assert_eq!(client.rest().await.unwrap(), b"GET / HT");
    });
}

#[test]
fn a_refused_upstream_is_a_reset_for_bytes_and_an_answer_for_http() {
    over_both_families(async || {
        for protocol in ["auto", "tcp"] {
            let dead = nobody();
            let bench = Bench::new(&document_of(protocol, [dead.address]));
            let mut client = bench.http1().await;
            client.send("xxxx").await;
            let end = client.rest().await;
            assert!(end.is_err(), "{protocol}: {end:?}");
            // One that waits for a server which is not there.
            let mut client = bench.http1().await;
            assert!(client.rest().await.is_err(), "{protocol}");
        }
        let dead = nobody();
        let bench = Bench::new(&document_of("auto", [dead.address]));
        let mut client = bench.http1().await;
        settle().await;
        client.send(GET).await;
        assert_eq!(client.message().await.status(), 503);
    });
}

#[test]
fn resets_of_opaque_connections_are_carried_over_both_ways() {
    over_both_families(async || {
        for protocol in ["auto", "tcp"] {
            let reset = Rc::new(Cell::new(false));
            let seen = Rc::clone(&reset);
            let server = Server::h1(async move |mut wire, number| {
                assert_eq!(wire.exactly(4).await, b"xxxx");
                if number == 0 {
                    wire.reset();
                    return;
                }
                seen.set(wire.rest().await.is_err());
                wire.reset();
            });
            let server = server.await;
            let bench = Bench::before(protocol, &server);
            let mut client = bench.http1().await;
            client.send("xxxx").await;
            assert!(client.rest().await.is_err(), "{protocol}");
            let mut client = bench.http1().await;
            client.send("xxxx").await;
            while server.accepted() < 2 {
                tokio::task::yield_now().await;
            }
            settle().await;
            client.reset();
            while !reset.get() {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn a_port_scan_leaves_nothing_behind() {
    over_both_families(async || {
        for protocol in ["auto", "tcp", "http"] {
            let server = Server::echoing().await;
            let bench = Bench::before(protocol, &server);
            for number in 0..20 {
                let mut client = bench.http1().await;
                if number % 2 == 0 {
                    client.finish().await;
                } else {
                    client.reset();
                }
            }
            while bench.context.book.in_flight() > 0 {
                tokio::task::yield_now().await;
            }
            // And the next one is served.
            if protocol != "http" {
                let mut client = bench.http1().await;
                client.send("xxxx").await;
                client.finish().await;
                assert_eq!(client.rest().await.unwrap(), b"xxxx", "{protocol}");
            }
        }
    });
}
