//! A client that speaks HTTP/2: every stream on a task of its own, each to the endpoint that balancing picks.

use super::attempt::{Attempts, Lease, Version};
use super::bridge::{Stream, to_http1, to_http2};
use super::clock::Clock;
use super::configured::Configured;
use super::h1::{HeadLimits, forwarded_for};
use super::http1::Failed;
use super::own;
use super::patience::Patience;
use super::routing::{self, Refused, Routed};
use super::streams::Streams;
use super::traced::{self, Spoken};
use super::verify::verify;
use crate::failure::Reason;
use crate::lifecycle::Phase;
use crate::net::meter::{Meter, Peer, Seen};
use crate::net::prefixed::Prefixed;
use crate::net::scratch;
use crate::net::stream;
use crate::protocol::Session;
use crate::route::Full;
use crate::snapshot::HttpHandling;
use crate::telemetry::access_log::Entry;
use crate::telemetry::trace;
use crate::telemetry::{Protocol, RequestRecord};
use crate::upstream::Live;
use bytes::Bytes;
use evenkeel_control_api::resource::listener::ForwardedFor;
use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, request};
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::time::Instant;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Serves a connection whose first bytes are `early`, until it ends.
pub async fn serve(session: Rc<Session>, stream: stream::Stream, early: Vec<u8>) -> Result<(), Reason> {
    let mut served = greet(session, stream, early).await?;
    served.run().await
}

/// Exchanges the first frames. What that takes, the configuration of now with it, is not held for as long as the connection.
async fn greet(session: Rc<Session>, stream: stream::Stream, early: Vec<u8>) -> Result<Served, Reason> {
    let (_, handling) = session.now();
    let Some(http) = &handling.http else {
        return Err(Reason::ProtocolMismatch);
    };
    let meter = Meter::new(
        Peer::Client,
        session.context.bounds.flood.control_frames,
        Instant::now(),
    );
    let seen = meter.seen();
    let handshake = h2::server::Builder::new()
        .max_concurrent_streams(http.http2.max_concurrent_streams)
        .initial_window_size(http.http2.stream_window)
        .initial_connection_window_size(http.http2.connection_window)
        // Heads that are larger than the limit are seen, and answered and counted by us; the crate answers by itself
        // those that are larger than its own.
        .max_header_list_size(2 * http.max_header_bytes as u32)
        .max_send_buffer_size(scratch::most())
        .handshake(Prefixed::metered(stream, early, meter));
    let mut patience = Patience::new(http.idle_timeout, http.head_timeout);
    let mut handshake = pin!(handshake);
    let connection = poll_fn(|cx| {
        if let Poll::Ready(outcome) = handshake.as_mut().poll(cx) {
            return Poll::Ready(outcome.map_err(|error| ended(&error, &seen)));
        }
        let late = patience.poll_head(cx, seen.awaited_head());
        late.map(|()| Err(Reason::HeadTimeout))
    });
    let connection = connection.await?;
    Ok(Served {
        session: Rc::clone(&session),
        streams: Rc::new(Streams::new(Instant::now())),
        most: http.max_requests,
        connection,
        seen,
        patience,
    })
}

/// A connection on which streams come and go.
struct Served {
    session: Rc<Session>,
    connection: Connection<Prefixed, Bytes>,
    seen: Rc<Seen>,
    streams: Rc<Streams>,
    patience: Patience,
    /// Streams until we say goodbye.
    most: Option<NonZeroU32>,
}

/// What happens on it.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack: a box would be an allocation for each request"
)]
enum Event {
    Stream(Request<RecvStream>, SendResponse<Bytes>),
    Ended(Result<(), Reason>),
    /// It is to end now, for the client's fault.
    Dismissed(Reason),
    /// Nobody has asked for anything for long.
    Idle,
    Draining,
}

impl Served {
    async fn run(&mut self) -> Result<(), Reason> {
        let lifecycle = Rc::clone(&self.session);
        let mut draining = pin!(async move { lifecycle.context.lifecycle.reached(Phase::Parting).await });
        let (mut said_goodbye, mut why) = (false, None);
        // Who connects while we drain gets an answer first, as over HTTP/1: a client that waits for our SETTINGS before
        // it asks would else find the connection closed.
        let mut welcomed = !self.session.context.lifecycle.says_goodbye();
        loop {
            let leaving = said_goodbye;
            let event = poll_fn(|cx| {
                let event = self.poll(cx, leaving);
                if event.is_pending() && welcomed && !leaving {
                    return draining.as_mut().poll(cx).map(|()| Event::Draining);
                }
                event
            });
            match event.await {
                Event::Stream(request, respond) => {
                    welcomed = true;
                    self.seen.accept(respond.stream_id().as_u32());
                    let begun = begin(&self.session, &self.streams, request, respond);
                    if said_goodbye || self.most.is_none_or(|most| begun < most.get()) {
                        continue;
                    }
                    why = Some(Reason::RequestLimit);
                }
                Event::Ended(outcome) => return outcome.and(why.map_or(Ok(()), Err)),
                Event::Dismissed(reason) => return self.dismiss(reason).await,
                Event::Idle => why = Some(Reason::IdleTimeout),
                Event::Draining => {}
            }
            // GOAWAY in two steps (RFC 9113 6.8): the crate sends the second after a round trip.
            said_goodbye = true;
            self.connection.graceful_shutdown();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, leaving: bool) -> Poll<Event> {
        let accepted = self.connection.poll_accept(cx);
        if let Poll::Ready(Some(Ok((request, respond)))) = accepted {
            return Poll::Ready(Event::Stream(request, respond));
        }
        self.count_rejected();
        match accepted {
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Event::Ended(Err(ended(&error, &self.seen)))),
            Poll::Ready(_) => return Poll::Ready(Event::Ended(Ok(()))),
            Poll::Pending => {}
        }
        if self.streams.are_flood(self.session.context.bounds.flood.resets) {
            return Poll::Ready(Event::Dismissed(Reason::Http2Flood));
        }
        if self.patience.poll_head(cx, self.seen.awaited_head()).is_ready() {
            return Poll::Ready(Event::Dismissed(Reason::HeadTimeout));
        }
        if leaving {
            return Poll::Pending;
        }
        self.patience.poll_idle(cx, &self.streams).map(|()| Event::Idle)
    }

    /// Counts the streams that the crate has refused by itself.
    fn count_rejected(&self) {
        for reason in self.seen.take_rejected() {
            let mut record = self.session.request_record(Protocol::Http2, Instant::now());
            record.set_failure(reason);
            if reason == Reason::HeadTooLarge {
                record.set_status(reason.status());
            }
        }
    }

    /// Says why with a GOAWAY, if the client takes it at once, and closes.
    async fn dismiss(&mut self, reason: Reason) -> Result<(), Reason> {
        self.connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
        poll_fn(|cx| {
            let _ = self.connection.poll_closed(cx);
            Poll::Ready(())
        })
        .await;
        Err(reason)
    }
}

/// Serves a stream on a task of its own; how many there were on this connection with it.
fn begin(
    session: &Rc<Session>,
    streams: &Rc<Streams>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> u32 {
    let begun = streams.begin();
    let bounds = &session.context.bounds;
    let patience = if own::is_conversation(&request) {
        (None, None)
    } else {
        (bounds.body_timeout, bounds.answer_timeout)
    };
    let stream = Box::new(Stream::new(request, respond, patience));
    // The runtime moves a task about eight times in its life; boxed, 1.6 KiB of it stay where they are.
    tokio::task::spawn_local(Box::pin(exchange(Rc::clone(session), Rc::clone(streams), stream)));
    begun
}

/// One request and its answer.
async fn exchange(session: Rc<Session>, streams: Rc<Streams>, mut stream: Box<Stream>) {
    let started = Instant::now();
    let (live, handling) = session.now();
    let grpc = own::is_grpc(&stream.head.headers);
    let mut record = session.request_record(if grpc { Protocol::Grpc } else { Protocol::Http2 }, started);
    if let Some(entry) = record.entry() {
        ask(entry, &stream.head);
    }
    let spoken = Spoken {
        protocol: if grpc { Protocol::Grpc } else { Protocol::Http2 },
        version: "2",
        traced: session.context.tracer.is_some() && trace::carries(&stream.head.headers),
    };
    stream.onward = traced::begin(&session, &mut record, spoken, &stream.head.headers, || {
        routing::ask(&stream.head)
    });
    let place = session.context.bounds.admit();
    let outcome = match (&place, &handling.http) {
        (Ok(_), Some(http)) => carry(&session, &live, http, &mut stream, (grpc, started), &mut record).await,
        (Ok(_), None) => Err(Reason::NoRoute.into()),
        (Err(reason), _) => Err((*reason).into()),
    };
    match outcome {
        Ok(Ok(())) => {}
        // The head of an answer is out, or nobody waits for one.
        Ok(Err(reason)) => {
            record.set_failure(reason);
            if reason == Reason::DownstreamGone && !stream.is_answered() {
                streams.reset(started, Instant::now());
            }
            stream.respond.send_reset(if reason == Reason::DownstreamGone {
                h2::Reason::CANCEL
            } else {
                h2::Reason::INTERNAL_ERROR
            });
        }
        Err(refused) => {
            record.set_failure(refused.reason);
            let bodiless = stream.head.method == Method::HEAD;
            own::answer_http2(&mut stream.respond, refused, (grpc, bodiless), &mut record);
        }
    }
    streams.end();
}

/// Notes what a request asks for.
fn ask(entry: &mut Entry, head: &request::Parts) {
    let host = head.headers.get(HOST).map(HeaderValue::as_bytes);
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let path = (head.uri.path().as_bytes(), head.uri.query().map(str::as_bytes));
    entry.ask("HTTP/2", head.method.as_str().as_bytes(), path, authority.or(host));
    entry.request(&head.headers);
}

/// To the cluster that the rules name, or an answer that stands in them. The outer error is answered by us.
async fn carry(
    session: &Session,
    live: &Live,
    http: &HttpHandling,
    stream: &mut Stream,
    (grpc, started): (bool, Instant),
    record: &mut RequestRecord,
) -> Result<Result<(), Reason>, Refused> {
    verify(&mut stream.head, http.max_header_bytes, http.max_header_fields)?;
    if http.forwarded_for == ForwardedFor::Append {
        append_forwarded_for(&mut stream.head.headers, session.client_ip())?;
        if let Some(entry) = record.entry() {
            entry.request(&stream.head.headers);
        }
    }
    let (forward, cluster) = match routing::route(session, live, http, || routing::ask(&stream.head), record)? {
        Routed::Forward(forward, cluster) => (forward, cluster),
        Routed::Answer(answer) => {
            let configured = Configured::new(answer, &routing::ask(&stream.head))?;
            let bodiless = stream.head.method == Method::HEAD;
            configured.answer_http2(&mut stream.respond, (grpc, bodiless), record);
            return Ok(Ok(()));
        }
    };
    let clock = Clock::new(routing::limits(&stream.head, grpc, forward), started);
    let mut attempts = Attempts::begin(session, forward, cluster, &clock, &stream.head.headers)?;
    if let Some(changes) = attempts.changes {
        // What they say of the fields of a trace holds.
        stream.write_onward();
        routing::change_parts(changes, &mut stream.head)?;
    }
    Ok(run(session, http, &mut attempts, stream, record).await?)
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
    attempts: &mut Attempts<'_>,
    stream: &mut Stream,
    record: &mut RequestRecord,
) -> Result<Result<(), Reason>, Reason> {
    let limits = HeadLimits {
        bytes: http.max_header_bytes,
        fields: http.max_header_fields,
    };
    let clock = attempts.clock;
    loop {
        let lease = {
            let lease = pin!(attempts.lease(Version::Two, false, record));
            clock.watch(lease).await.flatten()?
        };
        if attempts.changes.is_some_and(|changes| changes.tells_endpoints_attempts) {
            let told = routing::tell_attempts(&mut stream.head.headers, attempts.made());
            told.map_err(|Full| Reason::HeadTooLarge)?;
        }
        let outcome = {
            let attempt = pin!(async {
                match lease {
                    // Boxed, so that tasks without it are smaller.
                    Lease::One(up) => Box::pin(to_http1(session, attempts, &limits, stream, up, record)).await,
                    Lease::Two(up) => to_http2(session, attempts, stream, up, record).await,
                }
            });
            clock.watch(attempt).await
        };
        match outcome {
            // The head of an answer is out: all that is left is to cut it off.
            Err(reason) if stream.is_answered() => return Ok(Err(reason)),
            Err(reason) => return Err(reason),
            Ok(Ok(outcome)) => return Ok(outcome),
            Ok(Err(Failed {
                reason,
                reused,
                request,
            })) => {
                if !attempts.again(reason, reused, request, record) {
                    return Err(reason);
                }
            }
        }
    }
}

/// The end of a connection that was not clean.
fn ended(error: &h2::Error, seen: &Seen) -> Reason {
    tracing::debug!(%error, "an HTTP/2 connection from a client ended");
    match error.reason() {
        _ if seen.is_flood() => Reason::Http2Flood,
        Some(_) if error.is_remote() => Reason::DownstreamGone,
        // What the crate bounds by itself; see the doc of `net::meter`.
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Reason::Http2Flood,
        Some(_) => Reason::MalformedRequest,
        None => Reason::DownstreamGone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_answer<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_task_for_a_stream_is_small() {
        // Each KiB costs 700 instructions a request, for a task is moved again and again.
        assert!(size_of_answer(exchange) <= 1_800, "{}", size_of_answer(exchange));
    }
}
