//! Connections, the two calls of `AggregatedDiscoveryService`, and the end.

use super::Node;
use super::body::{Part, Responses};
use super::book::{Book, Status as Streams};
use super::request::{Reading, Request as Asked};
use super::session::Protocol;
use super::stream::{self, Shared};
use super::view::View;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tonic::{Status, Streaming};

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 16_384;
/// Streams at once on one connection; a proxy has one, a relay one for each of its clients.
const STREAMS: u32 = 256;
/// Bytes of a request: 50,000 names with their versions after a reconnect have 5 MiB.
const REQUEST_BYTES: usize = 16 << 20;
/// Bytes that a stream may have copied and not written: a thousand clients that do not read hold 32 MiB.
const SEND_BUFFER: usize = 32 << 10;
/// A client that has vanished is noticed after 40 s.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end waits for clients to take theirs.
const GOODBYE: Duration = Duration::from_secs(5);
/// After a failure to accept: without descriptors the next attempt would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const DELTA: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const SOTW: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

/// Serves views to clients. Cloning one makes another handle of the same server.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

impl Server {
    /// `views` says what a node is to have, now and from now on. It is called once for each stream.
    pub fn new(views: impl Fn(&Node) -> watch::Receiver<Arc<View>> + Send + Sync + 'static) -> Self {
        let shared = Shared {
            views: Box::new(views),
            book: Book::default(),
            ending: watch::Sender::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// How the streams are doing.
    pub fn status(&self) -> Streams {
        self.shared.book.status()
    }

    /// Serves in plaintext until `end`; then every stream ends with UNAVAILABLE and every connection with a GOAWAY. Needs a
    /// tokio runtime with IO and time.
    pub async fn serve(&self, listener: TcpListener, end: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut end = pin!(end);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            tokio::select! {
                () = &mut end => break,
                (place, accepted) = accepted => match accepted {
                    Ok((stream, _)) => {
                        let shared = Arc::clone(&self.shared);
                        connections.spawn(async move {
                            connection(shared, stream).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the xDS listener cannot accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        self.shared.ending.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE, all).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "clients did not take their end in time"
            );
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    // Without it, a response waits for the acknowledgement of the one before: slower, not wrong.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let response = answer(&shared, request);
        async { Ok::<_, Infallible>(response) }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(SEND_BUFFER);
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = shared.ended() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Responses> {
    let (protocol, requests) = match request.uri().path() {
        DELTA => (
            Protocol::Delta,
            read(Reading::<DeltaDiscoveryRequest>::default(), request),
        ),
        SOTW => (Protocol::Sotw, read(Reading::<DiscoveryRequest>::default(), request)),
        _ => return unknown(),
    };
    let (sender, parts) = mpsc::channel(1);
    let shared = Arc::clone(shared);
    tokio::spawn(async move { stream::serve(&shared, protocol, requests, sender).await });
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
