//! Connections that are closed because nothing moves on them, told apart from those that somebody ends.

use super::GET;
use super::greeted;
use super::held;
use super::limited;
use crate::support::Bench;
use crate::support::document;
use crate::support::frames::GOAWAY;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::wire::Wire;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::listener::NetworkFilter;
use evenkeel_proxy::failure::Reason;
use evenkeel_proxy::telemetry;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_client_without_a_request_is_sent_away_for_being_idle() {
    over_both_families(async || {
        for protocol in ["http", "auto"] {
            let (server, gate) = held("http").await;
            gate.add_permits(1);
            let bench = limited(protocol, &server, "downstream_idle: 250ms");
            let (stream, end) = bench.carried().await;
            let mut client = Wire::new(stream);
            client.send(GET).await;
            assert_eq!(client.message().await.status(), 200);
            assert!(client.rest().await.unwrap().is_empty(), "it ends in good order");
            assert_eq!(end.await.unwrap(), Err(Reason::IdleTimeout), "{protocol}");

            let (mut client, end) = greeted(&bench).await;
            // Its goodbye has two steps, the second after an answered PING.
            client.next(GOAWAY).await;
            drop(client);
            assert_eq!(end.await.unwrap(), Err(Reason::IdleTimeout), "{protocol} over HTTP/2");

            // Who leaves by itself is not idle, however long that takes on a busy machine.
            let bench = limited(protocol, &server, "downstream_idle: 1h");
            let (client, end) = bench.carried().await;
            let mut client = Wire::new(client);
            client.send(GET).await;
            gate.add_permits(1);
            client.message().await;
            client.finish().await;
            assert_eq!(end.await.unwrap(), Ok(()), "{protocol}");
        }
    });
}

#[test]
fn bytes_that_rest_for_too_long_are_cut_for_being_idle() {
    over_both_families(async || {
        let server = Server::echoing().await;
        let mut resources = mesh::load(&document("tcp", [&server])).unwrap().resources;
        for chain in resources.listeners.iter_mut().flat_map(|listener| &mut listener.chains) {
            if let NetworkFilter::Tcp(proxy) = &mut chain.filter {
                proxy.idle_timeout = Some(Duration::from_millis(200));
            }
        }
        let bench = Bench::new("{}\n");
        bench.enforce(&resources);
        let (stream, end) = bench.carried().await;
        let mut client = Wire::new(stream);
        client.send("some").await;
        assert!(client.rest().await.unwrap().is_empty());
        assert_eq!(end.await.unwrap(), Err(Reason::IdleTimeout));
        let page = page(&bench);
        assert!(
            page.lines()
                .any(|line| line.starts_with("evenkeel_tcp_connections_closed_total{")
                    && line.ends_with("reason=\"idle_timeout\"} 1")),
            "{page}"
        );
    });
}

#[test]
fn connections_that_wait_in_a_pool_are_closed_for_a_reason() {
    over_both_families(async || {
        let (server, gate) = held("http").await;
        gate.add_permits(3);
        let bench = limited("http", &server, "upstream_idle: 1ms, idle_per_endpoint: 1");
        let mut client = bench.http1().await;
        client.send(GET).await;
        client.message().await;
        assert_eq!(evicted(&bench, "idle_timeout"), 0);
        // It is in its pool now, and is found too old by the next request.
        settle().await;
        let kept = std::time::Instant::now();
        while kept.elapsed() < Duration::from_millis(2) {
            settle().await;
        }
        client.send(GET).await;
        client.message().await;
        assert_eq!(evicted(&bench, "idle_timeout"), 1);
        // Its endpoint leaves the configuration.
        bench.apply("{}\n");
        assert_eq!(evicted(&bench, "endpoint_gone"), 1);
        assert_eq!(evicted(&bench, "endpoint_closed") + evicted(&bench, "surplus"), 0);
    });
}

fn evicted(bench: &Bench, reason: &str) -> usize {
    let ending = format!("reason=\"{reason}\"}} ");
    let page = page(bench);
    let mut lines = page
        .lines()
        .filter(|line| line.starts_with("evenkeel_pool_connections_evicted_total{"));
    let count = lines.find_map(|line| line.split_once(&ending)?.1.parse().ok());
    count.unwrap_or(0)
}

fn page(bench: &Bench) -> String {
    telemetry::render(&[Arc::clone(&bench.context.book)], [], telemetry::Form::Prometheus)
}
