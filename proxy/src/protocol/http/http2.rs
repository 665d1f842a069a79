//! A client that speaks HTTP/2: every stream on a task of its own, each to the endpoint that balancing picks.

use super::attempt::{Attempts, Lease, Version};
use super::bridge::{Stream, to_http1, to_http2};
use super::h1::HeadLimits;
use super::http1::Failed;
use super::own;
use crate::failure::Reason;
use crate::lifecycle::Phase;
use crate::net::prefixed::Prefixed;
use crate::net::stream;
use crate::protocol::Session;
use crate::snapshot::HttpHandling;
use crate::telemetry::{Protocol, RequestRecord};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use std::rc::Rc;
use tokio::time::Instant;

/// Bytes that one stream may have waiting in the crate's send buffer.
const SEND_BUFFER: usize = 256 * 1024;

/// Serves a connection whose first bytes are `early`, until it ends.
pub async fn serve(session: Rc<Session>, stream: stream::Stream, early: Vec<u8>) -> Result<(), Reason> {
    let (_, handling) = session.now();
    let Some(http) = &handling.http else {
        return Err(Reason::ProtocolMismatch);
    };
    let handshake = h2::server::Builder::new()
        .max_concurrent_streams(http.http2.max_concurrent_streams)
        .initial_window_size(http.http2.stream_window)
        .initial_connection_window_size(http.http2.connection_window)
        .max_header_list_size(http.max_header_bytes as u32)
        .max_send_buffer_size(SEND_BUFFER)
        .handshake(Prefixed::new(stream, early));
    let mut connection = handshake.await.map_err(|error| ended(&error))?;
    let lifecycle = Rc::clone(&session);
    let mut draining = std::pin::pin!(async move { lifecycle.context.lifecycle.reached(Phase::Draining).await });
    let mut said_goodbye = false;
    loop {
        tokio::select! {
            biased;
            stream = connection.accept() => match stream {
                Some(Ok((request, respond))) => begin(&session, request, respond),
                Some(Err(error)) => return Err(ended(&error)),
                None => return Ok(()),
            },
            // GOAWAY in two steps (RFC 9113 6.8): the crate sends the second after a round trip.
            () = &mut draining, if !said_goodbye => {
                said_goodbye = true;
                connection.graceful_shutdown();
            }
        }
    }
}

fn begin(session: &Rc<Session>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let session = Rc::clone(session);
    tokio::task::spawn_local(async move { exchange(&session, request, respond).await });
}

/// One request and its answer.
async fn exchange(session: &Session, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let started = Instant::now();
    let (live, handling) = session.now();
    let grpc = own::is_grpc(request.headers());
    let mut record = session.request_record(if grpc { Protocol::Grpc } else { Protocol::Http2 }, started);
    let mut stream = Stream::new(request, respond);
    let path = stream.head.uri.path().as_bytes();
    let outcome = match Attempts::route(session, &live, &handling, path, started) {
        Ok(attempts) => run(session, handling.http.as_ref(), attempts, &mut stream, &mut record).await,
        Err(reason) => Err(reason),
    };
    match outcome {
        Ok(Ok(())) => {}
        // The head of an answer is out, or nobody waits for one.
        Ok(Err(reason)) => {
            record.set_failure(reason);
            stream.respond.send_reset(if reason == Reason::DownstreamGone {
                h2::Reason::CANCEL
            } else {
                h2::Reason::INTERNAL_ERROR
            });
        }
        Err(reason) => {
            record.set_failure(reason);
            own::answer_http2(&mut stream.respond, reason, grpc, &mut record);
        }
    }
}

/// The attempts, until one of them has an answer. The outer error is answered by us.
async fn run(
    session: &Session,
    http: Option<&HttpHandling>,
    mut attempts: Attempts<'_>,
    stream: &mut Stream,
    record: &mut RequestRecord,
) -> Result<Result<(), Reason>, Reason> {
    let Some(http) = http else { return Err(Reason::NoRoute) };
    let limits = HeadLimits {
        bytes: http.max_header_bytes,
        fields: http.max_header_fields,
    };
    let deadline = attempts.timeout.map(|timeout| attempts.started + timeout);
    loop {
        let lease = attempts.lease(Version::Two, false).await?;
        let address = lease.address();
        let attempt = async {
            match lease {
                Lease::One(up) => to_http1(session, &attempts, &limits, stream, up, record).await,
                Lease::Two(up) => to_http2(session, &attempts, stream, up, record).await,
            }
        };
        let outcome = match deadline {
            None => attempt.await,
            Some(deadline) => match tokio::time::timeout_at(deadline, attempt).await {
                Ok(outcome) => outcome,
                Err(_) => return Err(Reason::RequestTimeout),
            },
        };
        match outcome {
            Ok(outcome) => return Ok(outcome),
            Err(Failed {
                reason,
                reused,
                request,
            }) => {
                if !attempts.again(address, reason, reused, request) {
                    return Err(reason);
                }
                record.retried();
            }
        }
    }
}

/// The end of a connection that was not clean.
fn ended(error: &h2::Error) -> Reason {
    tracing::debug!(%error, "an HTTP/2 connection from a client ended");
    match error.reason() {
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Reason::Overloaded,
        Some(_) if !error.is_remote() => Reason::MalformedRequest,
        _ => Reason::DownstreamGone,
    }
}
