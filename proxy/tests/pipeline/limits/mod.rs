//! What clients may ask for: each limit with its answer, its reason and its counter, and who must not be cut by it.

mod answers;
mod bodies;
mod floods;
mod idle;
mod requests;

use crate::support::Bench;
use crate::support::document;
use crate::support::frames;
use crate::support::frames::SETTINGS;
use crate::support::frames::frame;
use crate::support::server::Server;
use crate::support::wire::Wire;
use evenkeel_proxy::failure::Reason;
use evenkeel_proxy::telemetry;
use http::Response;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const PREFACE: &[u8] = frames::PREFACE.as_bytes();

/// `GET http://a/` and `POST http://a/`, out of HPACK's static table (RFC 7541, appendix A).
const HEAD_OF_GET: &[u8] = b"\x82\x84\x86\x41\x01a";
const HEAD_OF_POST: &[u8] = b"\x83\x84\x86\x41\x01a";

/// A worker in front of `server` with these limits.
fn limited(protocol: &str, server: &Server, limits: &str) -> Bench {
    Bench::new(&format!("{}limits: {{{limits}}}\n", document(protocol, [server])))
}

/// A client that has said the preface of HTTP/2 and empty SETTINGS.
async fn greeted(bench: &Bench) -> (Wire, JoinHandle<Result<(), Reason>>) {
    let (stream, end) = bench.carried().await;
    let mut wire = Wire::new(stream);
    wire.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
    (wire, end)
}

/// How many requests failed for this reason.
fn failed(bench: &Bench, reason: &str) -> usize {
    let page = telemetry::render(&[Arc::clone(&bench.context.book)], [], telemetry::Form::Prometheus);
    let label = format!("reason=\"{reason}\"");
    let mut counts = page
        .lines()
        .filter(|line| line.starts_with("evenkeel_request_failures_total") && line.contains(&label))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap());
    counts.by_ref().sum()
}

/// A server of either version that answers when it is let.
async fn held(protocol: &str) -> (Server, Rc<Semaphore>) {
    let gate = Rc::new(Semaphore::new(0));
    let opened = Rc::clone(&gate);
    let server = if protocol == "http" {
        Server::h1(async move |mut wire, _| {
            while wire.next_head().await.is_some() {
                opened.acquire().await.unwrap().forget();
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        })
        .await
    } else {
        Server::h2(async move |_, mut respond, _| {
            opened.acquire().await.unwrap().forget();
            let _ = respond.send_response(Response::new(()), true);
        })
        .await
    };
    (server, gate)
}
