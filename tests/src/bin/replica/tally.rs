//! Counting what is served, and the control port that tells it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use anyhow::Result;
use evenkeel_tests::counts::Counts;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Replica;

/// One counter per protocol.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) http1: AtomicU64,
    pub(crate) http2: AtomicU64,
    pub(crate) grpc: AtomicU64,
    pub(crate) websocket: AtomicU64,
    pub(crate) banner: AtomicU64,
    pub(crate) connections: AtomicU64,
}

// === impl Tally ===

impl Tally {
    fn counts(&self) -> Counts {
        Counts {
            http1: self.http1.load(Ordering::Relaxed),
            http2: self.http2.load(Ordering::Relaxed),
            grpc: self.grpc.load(Ordering::Relaxed),
            websocket: self.websocket.load(Ordering::Relaxed),
            banner: self.banner.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One connection to the control port.
pub(crate) async fn serve(stream: TcpStream, replica: Arc<Replica>) -> Result<()> {
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &replica);
        async move { Ok::<_, Infallible>(answer) }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await?;
    Ok(())
}

fn answer(request: &Request<Incoming>, replica: &Replica) -> Response<Full<Bytes>> {
    let json = match request.uri().path() {
        "/counts" => serde_json::to_vec(&replica.tally.counts()).ok(),
        _ => None,
    };
    let status = if json.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    let mut response = Response::new(Full::from(json.unwrap_or_default()));
    *response.status_mut() = status;
    response
}
