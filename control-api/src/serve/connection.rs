//! One connection: HTTP/2, and the two calls of `AggregatedDiscoveryService`.

use super::body::{Part, Responses};
use super::guard::Guard;
use super::peer::Denial;
use super::request::{Reading, Request as Asked};
use super::session::Protocol;
use super::stream::{self, Shared};
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tonic::{Status, Streaming};

/// Streams at once on one connection; a proxy has one, a relay one for each of its clients.
const STREAMS: u32 = 256;
/// Bytes of a request: 50,000 names with their versions after a reconnect have 5 MiB.
const REQUEST_BYTES: usize = 16 << 20;
/// Bytes that a connection may send ahead of us: what is read later, or never, is kept.
const WINDOW: u32 = 64 << 10;
/// Bytes that a stream may have copied and not written: a thousand clients that do not read hold 32 MiB.
const SEND_BUFFER: usize = 32 << 10;
/// A client that has vanished is noticed after 40 s.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

const DELTA: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const SOTW: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

/// What the streams of a connection have in common.
struct Connection {
    shared: Arc<Shared>,
    /// Who is asked whom a stream is from; `None`: nobody.
    guard: Option<Arc<Guard>>,
    /// Whether a stream had good credentials.
    known: watch::Sender<bool>,
}

/// Serves a connection to its end.
pub(super) async fn serve<S>(shared: Arc<Shared>, stream: S, guard: Option<Arc<Guard>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = Arc::new(Connection {
        shared,
        guard,
        known: watch::Sender::new(false),
    });
    let service = service_fn(|request| {
        let response = answer(&connection, request);
        async { Ok::<_, Infallible>(response) }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER);
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = connection.shared.ended() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
        () = connection.loses_patience() => {
            let reason = "nobody has shown in time who they are";
            return connection.shared.book.denied(Denial::Stranger, reason);
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

impl Connection {
    /// Waits until a connection on which nobody shows who they are has to go.
    async fn loses_patience(&self) {
        match &self.guard {
            Some(guard) => guard.loses_patience(self.known.subscribe()).await,
            None => std::future::pending().await,
        }
    }

    /// Serves a stream, if it is from somebody whom the guard lets in.
    async fn stream(
        &self,
        protocol: Protocol,
        headers: HeaderMap,
        requests: Streaming<Asked>,
        responses: mpsc::Sender<Part>,
    ) {
        let peer = match &self.guard {
            None => None,
            Some(guard) => match guard.authenticate(headers).await {
                Ok(peer) => {
                    self.known.send_replace(true);
                    Some(peer)
                }
                Err(denied) => {
                    self.shared.book.denied(denied.denial(), &denied.to_string());
                    // Nobody is left to be told where the client has gone.
                    let _ = responses.send(Part::End(denied.into())).await;
                    return;
                }
            },
        };
        stream::serve(&self.shared, protocol, peer.as_ref(), requests, responses).await;
    }
}

fn answer(connection: &Arc<Connection>, mut request: Request<Incoming>) -> Response<Responses> {
    let headers = std::mem::take(request.headers_mut());
    let (protocol, requests) = match request.uri().path() {
        DELTA => (
            Protocol::Delta,
            read(Reading::<DeltaDiscoveryRequest>::default(), request),
        ),
        SOTW => (Protocol::Sotw, read(Reading::<DiscoveryRequest>::default(), request)),
        _ => return unknown(),
    };
    let (sender, parts) = mpsc::channel(1);
    let connection = Arc::clone(connection);
    tokio::spawn(async move { connection.stream(protocol, headers, requests, sender).await });
    response(Responses::new(parts))
}

fn read<M>(reading: Reading<M>, request: Request<Incoming>) -> Streaming<Asked>
where
    Reading<M>: tonic::codec::Decoder<Item = Asked, Error = Status> + Send + 'static,
{
    Streaming::new_request(reading, request.into_body(), None, Some(REQUEST_BYTES))
}

fn unknown() -> Response<Responses> {
    let (sender, parts) = mpsc::channel(1);
    // There is room for one.
    let _ = sender.try_send(Part::End(Status::unimplemented(
        "only AggregatedDiscoveryService is served",
    )));
    response(Responses::new(parts))
}

fn response(body: Responses) -> Response<Responses> {
    let mut response = Response::new(body);
    let grpc = header::HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::guard::tests::undecided;
    use crate::serve::{Denied, Server};

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_show_who_they_are_has_to_go() {
        let server = Server::new(|_, _| Err(Denied::Forbidden("there is nothing".to_owned())));
        let (ours, _theirs) = tokio::io::duplex(1 << 10);
        serve(server.shared(), ours, Some(Arc::new(undecided()))).await;
        assert_eq!(server.status().denials[Denial::Stranger as usize], 1);
    }
}
