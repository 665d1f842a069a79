//! HTTPS on a listener. The certificate may change at any time: each connection takes the one in force.

use super::answer::answer;
use super::counts::Counted;
use super::{Rule, Webhook};
use crate::door;
use bytes::Bytes;
use evenkeel_control_api::serve::Place;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

/// Connections at once: when one more comes, the one that has been idle the longest goes. An API server has a few.
const CONNECTIONS: usize = 512;
/// For the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For the next request: longer than the 90 s after which an API server closes what it does not use, so that it is
/// never us who close a connection under its request.
const IDLE: Duration = Duration::from_mins(2);
/// For the body of a question.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Bytes of a question: an object has at most 3 MiB on its way to an API server, and may be there twice.
const BODY_SIZE: usize = 8 << 20;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Answers on `listener` for ever.
pub async fn serve(listener: TcpListener, tls: watch::Receiver<Arc<ServerConfig>>, webhook: Arc<Webhook>) {
    let serve = |stream, place| connection(stream, place, acceptor(&tls), Arc::clone(&webhook));
    door::open(listener, "webhook", CONNECTIONS, serve).await;
}

/// With the certificate in force, and for HTTP/1.1, whatever else is served with the same certificate.
fn acceptor(tls: &watch::Receiver<Arc<ServerConfig>>) -> TlsAcceptor {
    let mut config = ServerConfig::clone(&tls.borrow());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn connection(stream: TcpStream, place: Place, acceptor: TlsAcceptor, webhook: Arc<Webhook>) {
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection to the webhook has no TLS that we take");
            return;
        }
        Err(_) => return,
    };
    let service = service_fn(async |request| {
        place.stirs();
        let response = respond(request, &webhook).await;
        place.stirs();
        Ok::<_, Infallible>(response)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the webhook ended early");
    }
}

async fn respond(request: Request<Incoming>, webhook: &Webhook) -> Response<Full<Bytes>> {
    let began = Instant::now();
    let path = request.uri().path();
    let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.path() == path) else {
        let [namespace, pod] = Rule::ALL.map(Rule::path);
        return response(
            StatusCode::NOT_FOUND,
            TEXT,
            format!("there are {namespace} and {pod}\n"),
        );
    };
    if request.method() != Method::POST {
        let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "questions come by POST\n");
        let headers = refused.headers_mut();
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        return refused;
    }
    let answered = match question(request.into_body()).await {
        Ok(question) => answer(webhook, rule, &question).map_err(|reason| (StatusCode::BAD_REQUEST, reason)),
        Err(refused) => Err(refused),
    };
    let (status, reason) = match answered {
        Ok(answer) => {
            webhook.counts.took(began.elapsed());
            return response(StatusCode::OK, JSON, answer);
        }
        Err(refused) => refused,
    };
    webhook.counts.count(Counted::Error);
    tracing::warn!(
        status = status.as_u16(),
        reason,
        "a question to the webhook cannot be answered"
    );
    let mut refused = response(status, TEXT, format!("{reason}\n"));
    // What is left of the body is not read.
    let headers = refused.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    refused
}

/// All of it, or why there is none. Of one that is declared too long nothing is read: who waits for `100 Continue` sends nothing.
async fn question(body: Incoming) -> Result<Bytes, (StatusCode, String)> {
    let too_long = || {
        let reason = format!("a question has at most {} MiB", BODY_SIZE >> 20);
        (StatusCode::PAYLOAD_TOO_LARGE, reason)
    };
    if body.size_hint().lower() > BODY_SIZE as u64 {
        return Err(too_long());
    }
    match timeout(BODY_TIME, Limited::new(body, BODY_SIZE).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(error)) => Err((StatusCode::BAD_REQUEST, format!("the question broke off: {error}"))),
        Err(_) => {
            let reason = format!("the question did not come within {BODY_TIME:?}");
            Err((StatusCode::REQUEST_TIMEOUT, reason))
        }
    }
}

fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
