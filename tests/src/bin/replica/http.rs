//! HTTP/1.1, h2c and WebSocket on one port. An answer's body is the request's, or the replica's name when it had none.

use std::sync::Arc;

use anyhow::Result;
use futures_util::SinkExt;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Version;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderMap;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::Replica;
use crate::grpc;
use crate::tally::count;

pub(crate) type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// The header that names the replica.
const REPLICA: HeaderName = HeaderName::from_static("x-replica");

/// One connection, whichever version the client begins with.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    replica: Arc<Replica>,
) -> Result<()> {
    count(&replica.tally.connections);
    let answer = service_fn(move |request| answer(request, Arc::clone(&replica)));
    let served = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), answer)
        .await;
    served.map_err(anyhow::Error::from_boxed)
}

async fn answer(request: Request<Incoming>, replica: Arc<Replica>) -> Result<Answer, hyper::Error> {
    if !replica.delay.is_zero() {
        tokio::time::sleep(replica.delay).await;
    }
    let name = HeaderValue::from_str(&replica.name).unwrap_or(HeaderValue::from_static("nameless"));
    let mut answer = if holds(request.headers(), header::CONTENT_TYPE, "application/grpc") {
        count(&replica.tally.grpc);
        grpc::answer(request, replica).await
    } else if holds(request.headers(), header::UPGRADE, "websocket") {
        count(&replica.tally.websocket);
        websocket(request)
    } else {
        count(if request.version() == Version::HTTP_2 {
            &replica.tally.http2
        } else {
            &replica.tally.http1
        });
        echo(request, &replica).await?
    };
    answer.headers_mut().insert(REPLICA, name);
    Ok(answer)
}

async fn echo(request: Request<Incoming>, replica: &Replica) -> Result<Answer, hyper::Error> {
    if request.body().is_end_stream() {
        return Ok(Response::new(whole(format!("{}\n", replica.name))));
    }
    Ok(Response::new(whole(request.into_body().collect().await?.to_bytes())))
}

fn websocket(mut request: Request<Incoming>) -> Answer {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        let mut refusal = Response::new(whole("no Sec-WebSocket-Key\n"));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return refusal;
    };
    let accept = derive_accept_key(key.as_bytes());
    tokio::spawn(converse(hyper::upgrade::on(&mut request)));
    let mut answer = Response::new(whole(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
}

/// Echoes messages until the client closes.
async fn converse(upgrade: OnUpgrade) -> Result<()> {
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgrade.await?), Role::Server, None).await;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

fn holds(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let value = headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

pub(crate) fn whole(body: impl Into<Bytes>) -> BoxBody<Bytes, hyper::Error> {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}
