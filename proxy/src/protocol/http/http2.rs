//! A client that speaks HTTP/2: every stream on a task of its own, each to the endpoint that balancing picks.

use super::attempt::{Attempts, Lease, Version};
use super::bridge::{Stream, to_http1, to_http2};
use super::h1::{HeadLimits, forwarded_for};
use super::http1::Failed;
use super::own;
use super::verify::verify;
use crate::failure::Reason;
use crate::lifecycle::Phase;
use crate::net::prefixed::Prefixed;
use crate::net::stream;
use crate::protocol::Session;
use crate::snapshot::{Handling, HttpHandling};
use crate::telemetry::{Protocol, RequestRecord};
use crate::upstream::Live;
use bytes::Bytes;
use evenkeel_control_api::resource::listener::ForwardedFor;
use h2::RecvStream;
use h2::server::SendResponse;
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use std::cell::Cell;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Bytes that one stream may have waiting in the crate's send buffer.
const SEND_BUFFER: usize = 64 * 1024;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

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
    let mut draining = pin!(async move { lifecycle.context.lifecycle.reached(Phase::Draining).await });
    let mut said_goodbye = false;
    let streams = Rc::new(Streams::new());
    let patience = http.idle_timeout;
    let mut idle = pin!(sleep(patience.unwrap_or(Duration::MAX)));
    loop {
        tokio::select! {
            biased;
            stream = connection.accept() => match stream {
                Some(Ok((request, respond))) => begin(&session, &streams, request, respond),
                Some(Err(error)) => return Err(ended(&error)),
                None => return Ok(()),
            },
            () = &mut idle, if patience.is_some() && !said_goodbye => {
                // Armed once and moved when it rings: nothing touches the timer for a stream.
                let until = streams.idle_since() + patience.unwrap_or_default();
                if until <= Instant::now() {
                    said_goodbye = true;
                    connection.graceful_shutdown();
                } else {
                    idle.as_mut().reset(until);
                }
            }
            // GOAWAY in two steps (RFC 9113 6.8): the crate sends the second after a round trip.
            () = &mut draining, if !said_goodbye => {
                said_goodbye = true;
                connection.graceful_shutdown();
            }
        }
    }
}

/// The open streams of one connection, and since when there are none.
struct Streams {
    open: Cell<usize>,
    since: Cell<Instant>,
}

impl Streams {
    fn new() -> Self {
        Self {
            open: Cell::new(0),
            since: Cell::new(Instant::now()),
        }
    }

    fn idle_since(&self) -> Instant {
        if self.open.get() > 0 {
            Instant::now()
        } else {
            self.since.get()
        }
    }
}

fn begin(session: &Rc<Session>, streams: &Rc<Streams>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let (session, streams) = (Rc::clone(session), Rc::clone(streams));
    streams.open.set(streams.open.get() + 1);
    tokio::task::spawn_local(async move {
        exchange(&session, request, respond).await;
        streams.open.set(streams.open.get() - 1);
        if streams.open.get() == 0 {
            streams.since.set(Instant::now());
        }
    });
}

/// One request and its answer.
async fn exchange(session: &Session, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let started = Instant::now();
    let (live, handling) = session.now();
    let grpc = own::is_grpc(request.headers());
    let mut record = session.request_record(if grpc { Protocol::Grpc } else { Protocol::Http2 }, started);
    if let Some(entry) = record.entry() {
        let (method, uri) = (request.method().as_str(), request.uri());
        let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes()).or(host);
        entry.ask(
            method.as_bytes(),
            uri.path().as_bytes(),
            uri.query().map(str::as_bytes),
            authority,
        );
    }
    let mut stream = Stream::new(request, respond);
    let outcome = match begin_attempts(session, &live, &handling, &mut stream, started) {
        Ok((http, attempts)) => run(session, http, attempts, &mut stream, &mut record).await,
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

fn begin_attempts<'a>(
    session: &'a Session,
    live: &Live,
    handling: &'a Handling,
    stream: &mut Stream,
    started: Instant,
) -> Result<(&'a HttpHandling, Attempts<'a>), Reason> {
    let http = handling.http.as_ref().ok_or(Reason::NoRoute)?;
    verify(&mut stream.head, http.max_header_fields)?;
    if http.forwarded_for == ForwardedFor::Append {
        append_forwarded_for(&mut stream.head.headers, session.client_ip())?;
    }
    let path = stream.head.uri.path().as_bytes();
    Ok((http, Attempts::route(session, live, handling, path, started)?))
}

fn append_forwarded_for(headers: &mut HeaderMap, client: IpAddr) -> Result<(), Reason> {
    let came = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
    let list = HeaderValue::from_maybe_shared(Bytes::from(forwarded_for(came, client)));
    let list = list.map_err(|_| Reason::MalformedRequest)?;
    headers
        .try_insert(FORWARDED_FOR, list)
        .map_err(|_| Reason::HeadTooLarge)?;
    Ok(())
}

/// The attempts, until one of them has an answer. The outer error is answered by us.
async fn run(
    session: &Session,
    http: &HttpHandling,
    mut attempts: Attempts<'_>,
    stream: &mut Stream,
    record: &mut RequestRecord,
) -> Result<Result<(), Reason>, Reason> {
    let limits = HeadLimits {
        bytes: http.max_header_bytes,
        fields: http.max_header_fields,
    };
    let deadline = attempts.timeout.map(|timeout| attempts.started + timeout);
    loop {
        let leased = attempts.lease(Version::Two, false).await;
        if let Some(entry) = record.entry() {
            entry.reach(attempts.newest, attempts.made);
        }
        let lease = leased?;
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
                // The head of an answer is out: all that is left is to cut it off.
                Err(_) if stream.is_answered() => return Ok(Err(Reason::RequestTimeout)),
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
