//! A gRPC client that holds its preface back for a while, against servers that send SETTINGS at accept: whoever takes
//! those for a banner gives one replica all requests of the connection.
//!
//! `EVENKEEL_HELD_PREFACES=10000 cargo test -p evenkeel-proxy --test detection held_preface` asks for so many.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::Response;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::road::detections;
use crate::road::forget;
use crate::road::run_without_a_deadline;
use crate::road::speculations;
use crate::support::Bench;
use crate::support::document;
use crate::support::server::Server;
use crate::support::two;
use crate::support::two::Two;

const CONNECTIONS: usize = 1000;
/// Connections at a time.
const LANES: usize = 50;
/// No client holds its preface back for longer.
const LONGEST: Duration = Duration::from_millis(50);

/// A gRPC server, which counts its calls.
async fn grpc(calls: &Rc<Cell<usize>>) -> Server {
    let calls = Rc::clone(calls);
    Server::h2(async move |request, mut respond, _| {
        assert_eq!(request.headers()["content-type"], "application/grpc");
        calls.set(calls.get() + 1);
        let mut send = respond
            .send_response(Response::new(()), false)
            .expect("a client that waits");
        send.send_trailers(two::trailer("grpc-status", "0"))
            .expect("a client that waits");
    })
    .await
}

/// One connection with two calls.
async fn call_twice(bench: &Bench, held: Duration) {
    // Or the proxy would soon open no connection ahead: clients that speak first are learnt.
    forget(bench);
    let stream = bench.connect().await;
    sleep(held).await;
    let mut client = Two::new(stream).await;
    for _ in 0..2 {
        let (response, _) = client.open(two::call("/echo"), true).await;
        let answer = two::whole(response.await.expect("an answer"))
            .await
            .expect("its trailers");
        assert_eq!(answer.body().trailers["grpc-status"], "0");
    }
}

#[test]
fn no_connection_is_opaque() {
    let connections = match std::env::var("EVENKEEL_HELD_PREFACES") {
        Ok(connections) => connections.parse().expect("EVENKEEL_HELD_PREFACES is a number"),
        Err(_) => CONNECTIONS,
    };
    run_without_a_deadline(async || {
        let calls = [Rc::default(), Rc::default()];
        let servers = [grpc(&calls[0]).await, grpc(&calls[1]).await];
        let bench = Rc::new(Bench::new(&document("auto", &servers)));
        let lane = |lane| {
            let bench = Rc::clone(&bench);
            spawn_local(async move {
                for number in (lane..connections).step_by(LANES) {
                    // Every millisecond of the range, in no order that repeats with the lanes.
                    let held = LONGEST.mul_f64((number * 37 % 101) as f64 / 100.0);
                    call_twice(&bench, held).await;
                }
            })
        };
        for lane in (0..LANES).map(lane).collect::<Vec<_>>() {
            lane.await.expect("a lane without a fault");
        }
        for verdict in ["opaque", "server_first", "silent", "http1", "tls", "mismatch"] {
            assert_eq!(detections(&bench, verdict), 0, "{verdict}");
        }
        assert_eq!(detections(&bench, "http2"), connections);
        let calls = calls.each_ref().map(|calls| calls.get());
        assert_eq!(calls[0] + calls[1], 2 * connections);
        assert!(calls[0].abs_diff(calls[1]) < connections / 2, "{calls:?}");
        let raced = speculations(&bench, "opened");
        assert!(raced > connections / 2, "only {raced} of {connections} were a race");
    });
}
