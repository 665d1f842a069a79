//! A client of HTTP/2, an endpoint of either version.

use super::one::One;
use super::side::{Role, Side};
use super::transfer::{Broken, Transfer, grpc_status, reason};
use super::two::Two;
use crate::failure::Reason;
use crate::net::spare;
use crate::protocol::http::alarm::{Alarm, Rest, who_rests};
use crate::protocol::http::attempt::{Attempts, Repeatable};
use crate::protocol::http::clock::Clock;
use crate::protocol::http::failing::classify;
use crate::protocol::http::h1::{self, Asked, Body, Framing, HeadLimits, Parsed, write};
use crate::protocol::http::http1::{Failed, keep_for};
use crate::protocol::http::routing::change_answer;
use crate::protocol::http::verify::verify_answer;
use crate::protocol::{Interim, Session};
use crate::telemetry::RequestRecord;
use crate::telemetry::trace::{self, Onward};
use crate::upstream::{Http1, Http2};
use ::http::header::{CONTENT_LENGTH, EXPECT};
use ::http::{Method, Request, Response, Version, request};
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The client's side of the exchange, which outlives failed attempts.
pub(in crate::protocol::http) struct Stream {
    /// The head of the request.
    pub(in crate::protocol::http) head: request::Parts,
    /// What its head is told before it goes on.
    pub(in crate::protocol::http) onward: Option<Onward>,
    /// The request's body, and later the answer's.
    near: Side<'static>,
    /// Sends the answer's head.
    pub(in crate::protocol::http) respond: SendResponse<Bytes>,
    /// The request ended with its head.
    whole: bool,
    upward: Transfer,
    rest: Rest,
    /// Of the answer.
    silence: Rest,
    alarm: Alarm,
}

impl Stream {
    /// A request whose body may rest for the first time of `patience`, and that of its answer for the second.
    pub(in crate::protocol::http) fn new(
        request: Request<h2::RecvStream>,
        respond: SendResponse<Bytes>,
        patience: (Option<Duration>, Option<Duration>),
    ) -> Self {
        let (head, receive) = request.into_parts();
        let whole = receive.is_end_stream();
        let upward = if whole {
            Transfer::complete()
        } else {
            Transfer::replayable()
        };
        Self {
            head,
            onward: None,
            near: Side::Two(Two::receiving(receive)),
            respond,
            whole,
            upward,
            rest: Rest::new(patience.0),
            silence: Rest::new(patience.1),
            alarm: Alarm::default(),
        }
    }

    fn repeatable(&self) -> Repeatable {
        match () {
            () if !self.whole && !self.upward.is_replayable() => Repeatable::No,
            () if self.head.method.is_idempotent() => Repeatable::Idempotent,
            () => Repeatable::Once,
        }
    }

    /// Writes what its head is told into it.
    pub(in crate::protocol::http) fn write_onward(&mut self) {
        if let Some(onward) = self.onward.take() {
            onward.insert(&mut self.head.headers);
        }
    }

    /// As it is sent over HTTP/2; a copy of what came stays for another attempt.
    fn request(&mut self) -> Request<()> {
        let mut head = Request::from_parts(self.head.clone(), ());
        if let Some(onward) = &self.onward {
            // Into the fields that came, not into their copy: they have room for another, and its value is not copied.
            mem::swap(head.headers_mut(), &mut self.head.headers);
            onward.insert(head.headers_mut());
        }
        if head.uri().authority().is_none() {
            // The host is in its field alone (RFC 9113 8.3.1); of this version the crate lets the authority be missing.
            *head.version_mut() = Version::HTTP_11;
        }
        head
    }

    fn content_length(&self) -> Option<u64> {
        self.head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// Fails when the client has reset the stream.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Result<(), Reason> {
        if self.respond.poll_reset(cx).is_ready() {
            return Err(Reason::DownstreamGone);
        }
        Ok(())
    }

    /// The head of an upstream's answer was given to the client.
    pub(in crate::protocol::http) fn is_answered(&self) -> bool {
        matches!(&self.near, Side::Two(near) if near.send.is_some())
    }

    /// Moves the request on. Fails only for the client's part in it.
    fn poll_request(&mut self, cx: &mut Context<'_>, far: &mut Side<'_>) -> Result<(), Reason> {
        self.poll_reset(cx)?;
        match self.upward.poll(cx, &mut self.near, far) {
            Poll::Ready(Err(Broken::Source(trouble))) => Err(Role::Client.reason(trouble)),
            Poll::Ready(Err(Broken::Limit)) => Err(Reason::BufferLimit),
            Poll::Ready(_) | Poll::Pending => Ok(()),
        }
    }

    /// Ready when the client has let the body of its request rest for too long.
    fn poll_rest(&mut self, cx: &mut Context<'_>, interim: &Interim) -> Poll<Waiting> {
        // A client that waits for 100 waits for the endpoint.
        let expects = interim.seen() == 0 && self.head.headers.contains_key(EXPECT);
        if expects || !self.upward.is_starved() {
            return Poll::Pending;
        }
        let moved = self.upward.bytes + u64::from(interim.seen());
        let rested = self.rest.poll(&mut self.alarm, cx, moved);
        rested.map(|()| Waiting::Ours(Reason::BodyTimeout))
    }

    /// Ready when the endpoint has let the body of its answer rest for too long, and the client that of its request.
    fn poll_silence(&mut self, cx: &mut Context<'_>, downward: &Transfer) -> Poll<Result<(), Reason>> {
        if !downward.is_starved() {
            return Poll::Pending;
        }
        let moved = self.upward.bytes + downward.bytes;
        let silent = self.silence.poll(&mut self.alarm, cx, moved);
        silent.map(|()| Err(who_rests(self.upward.is_starved() && !self.upward.is_complete())))
    }
}

/// Why there is no answer.
enum Waiting {
    /// What we refuse, and tell the client.
    Ours(Reason),
    Client(Reason),
    Endpoint(Reason),
    Stream(h2::Error),
}

/// One attempt over HTTP/2.
pub(in crate::protocol::http) async fn to_http2(
    session: &Session,
    attempts: &Attempts<'_>,
    stream: &mut Stream,
    mut up: Http2,
    record: &mut RequestRecord,
) -> Result<Result<(), Reason>, Failed> {
    let reused = up.reused;
    let failed = |reason, request| Failed {
        reason,
        reused,
        request,
    };
    let opened = poll_fn(|cx| up.sender.poll_ready(cx)).await.and_then(|()| {
        let mut request = stream.request();
        if !reused {
            trace::introduce(request.headers_mut());
        }
        up.sender.send_request(request, stream.whole)
    });
    let (mut response, send) = opened.map_err(|error| failed(classify(&error, &up), Repeatable::Unsent))?;
    let mut far = Side::Two(Two::sending(send));
    stream.upward.rewind();
    let mut interim = session.context.bounds.interim();
    let head = poll_fn(|cx| {
        let head = poll_response(cx, stream, &mut far, &mut response, &mut interim);
        attempts.clock.asked(stream.upward.is_complete());
        head
    });
    let (mut head, receive) = match head.await {
        Ok(response) => {
            let (parts, receive) = response.into_parts();
            (Response::from_parts(parts, ()), receive)
        }
        Err(Waiting::Stream(error)) => {
            return Err(Failed {
                reason: classify(&error, &up),
                // Not for its age was a stream closed that had begun to be answered.
                reused: reused && interim.seen() == 0,
                request: stream.repeatable(),
            });
        }
        Err(Waiting::Ours(reason)) => return Err(limited(reason)),
        Err(Waiting::Client(reason) | Waiting::Endpoint(reason)) => return Ok(Err(reason)),
    };
    change_answer(attempts.changes, attempts.made(), head.headers_mut()).map_err(limited)?;
    attempts.answered();
    session.observe(up.in_flight.endpoint(), attempts.leased, Instant::now());
    let whole = receive.is_end_stream();
    if let Side::Two(far) = &mut far {
        far.receive = Some(receive);
    }
    let downward = match begin_answer(stream, head, whole, record) {
        Ok(downward) => downward,
        Err(reason) => return Ok(Err(reason)),
    };
    Ok(answer(stream, &mut far, downward, attempts.clock, record).await)
}

fn poll_response(
    cx: &mut Context<'_>,
    stream: &mut Stream,
    far: &mut Side<'_>,
    response: &mut ResponseFuture,
    interim: &mut Interim,
) -> Poll<Result<Response<h2::RecvStream>, Waiting>> {
    stream.poll_request(cx, far).map_err(Waiting::Client)?;
    while let Poll::Ready(Some(head)) = response.poll_informational(cx) {
        let head = head.map_err(Waiting::Stream)?;
        verify_answer(&head)
            .and_then(|()| interim.another())
            .map_err(Waiting::Ours)?;
        // It fails only on a stream that is over, which the next poll notices.
        let _ = stream.respond.send_informational(head);
    }
    if let Poll::Ready(response) = Pin::new(response).poll(cx) {
        let response = response.map_err(Waiting::Stream)?;
        verify_answer(&response).map_err(Waiting::Ours)?;
        return Poll::Ready(Ok(response));
    }
    stream.poll_rest(cx, interim).map(Err)
}

/// A failure of which the client is told, and that no other attempt follows.
fn limited(reason: Reason) -> Failed {
    Failed {
        reason,
        reused: false,
        request: Repeatable::No,
    }
}

/// One attempt over HTTP/1.
pub(in crate::protocol::http) async fn to_http1(
    session: &Session,
    attempts: &Attempts<'_>,
    limits: &HeadLimits,
    stream: &mut Stream,
    mut up: Http1,
    record: &mut RequestRecord,
) -> Result<Result<(), Reason>, Failed> {
    let framing = match stream.content_length() {
        // The bytes of a tunnel are no body of the request that opens it (RFC 9110 9.3.6).
        _ if stream.whole || stream.head.method == Method::CONNECT => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let asked = Asked {
        head: stream.head.method == Method::HEAD,
        connect: stream.head.method == Method::CONNECT,
        upgrade: false,
    };
    stream.upward.rewind();
    stream.write_onward();
    let mut out = spare::take();
    write::request_head(&stream.head, framing, &mut out);
    let mut ahead = spare::take();
    let (head, moved, reusable) = {
        let mut far = Side::One(One::new(&mut up.stream, &mut ahead, 0, Body::None));
        let mut begun = false;
        let mut interim = session.context.bounds.interim();
        let head = poll_fn(|cx| {
            if let (Side::One(far), false) = (&mut far, mem::replace(&mut begun, true))
                && far.begin(cx, &out, framing).is_err()
            {
                return Poll::Ready(Err(Waiting::Endpoint(Reason::UpstreamClosed)));
            }
            if asked.connect {
                ready!(far.poll_taken(cx)).map_err(|_| Waiting::Endpoint(Reason::UpstreamClosed))?;
                stream.poll_reset(cx).map_err(Waiting::Client)?;
            } else {
                stream.poll_request(cx, &mut far).map_err(Waiting::Client)?;
                attempts.clock.asked(stream.upward.is_complete());
            }
            if let Poll::Ready(head) = poll_head(cx, stream, &mut far, (asked, limits), &mut interim) {
                return Poll::Ready(head);
            }
            if asked.connect {
                return Poll::Pending;
            }
            stream.poll_rest(cx, &interim).map(Err)
        })
        .await;
        spare::give(out);
        let (head, mut response) = match head {
            Ok(head) => head,
            Err(Waiting::Endpoint(reason)) => {
                let (sent, silent) = match &far {
                    Side::One(far) => (far.sent, !far.heard),
                    Side::Two(_) => (true, false),
                };
                return Err(Failed {
                    reason,
                    reused: up.reused && silent,
                    request: match stream.repeatable() {
                        Repeatable::Idempotent | Repeatable::Once if !sent => Repeatable::Unsent,
                        repeatable => repeatable,
                    },
                });
            }
            Err(Waiting::Ours(reason)) => return Err(limited(reason)),
            Err(Waiting::Client(reason)) => return Ok(Err(reason)),
            Err(Waiting::Stream(_)) => return Ok(Err(Reason::UpstreamReset)),
        };
        change_answer(attempts.changes, attempts.made(), response.headers_mut()).map_err(limited)?;
        attempts.answered();
        session.observe(up.in_flight.endpoint(), attempts.leased, Instant::now());
        let whole = matches!(head.framing, Framing::None | Framing::Length(0)) && !head.upgrade;
        let moved = match begin_answer(stream, response, whole, record) {
            Ok(downward) => answer(stream, &mut far, downward, attempts.clock, record).await,
            Err(reason) => Err(reason),
        };
        let clean = matches!(&far, Side::One(far) if far.rest().is_empty() && !far.ended);
        let reusable = clean && head.persistent && !head.upgrade && stream.upward.is_complete();
        (head, moved, reusable)
    };
    spare::give(ahead);
    if moved.is_ok() && reusable && head.framing != Framing::UntilClose {
        let keep = keep_for(
            attempts.cluster.configuration.http.idle_timeout,
            head.keep_alive_timeout,
        );
        session.context.upstreams.recycle(up, Instant::now(), keep);
    }
    Ok(moved)
}

/// Reads the head of the answer, passing interim ones on.
fn poll_head(
    cx: &mut Context<'_>,
    stream: &mut Stream,
    far: &mut Side<'_>,
    (asked, limits): (Asked, &HeadLimits),
    interim: &mut Interim,
) -> Poll<Result<(h1::ResponseHead, Response<()>), Waiting>> {
    let Side::One(far) = far else {
        return Poll::Ready(Err(Waiting::Endpoint(Reason::UpstreamClosed)));
    };
    loop {
        let malformed = |_| Waiting::Endpoint(Reason::MalformedResponse);
        match h1::response(far.rest(), asked, limits).map_err(malformed)? {
            Parsed::Complete(head) => {
                let response = head.to_http(far.rest()).map_err(malformed)?;
                let at = far.used() + head.length;
                if head.status.is_informational() && !head.upgrade {
                    interim.another().map_err(Waiting::Ours)?;
                    far.receive(at, Body::None);
                    // It fails only on a stream that is over, which the next poll notices.
                    let _ = stream.respond.send_informational(response);
                    continue;
                }
                far.receive(at, Body::of_response(head.framing));
                if head.upgrade {
                    far.open_tunnel();
                }
                return Poll::Ready(Ok((head, response)));
            }
            Parsed::Partial => {
                if ready!(far.poll_more(cx)).map_or(true, |read| read == 0) {
                    return Poll::Ready(Err(Waiting::Endpoint(Reason::UpstreamClosed)));
                }
            }
        }
    }
}

/// Gives the client the head of the answer. Returns what is to follow.
fn begin_answer(
    stream: &mut Stream,
    head: Response<()>,
    whole: bool,
    record: &mut RequestRecord,
) -> Result<Transfer, Reason> {
    let told = record.answer(&head);
    stream.upward.settle();
    if let Some(status) = grpc_status(head.headers()) {
        record.set_grpc_status(status);
    }
    let bare = whole || stream.head.method == Method::HEAD;
    let send = stream
        .respond
        .send_response(head, bare)
        .map_err(|_| Reason::DownstreamGone)?;
    if let Side::Two(near) = &mut stream.near {
        near.send = Some(send);
    }
    Ok(if bare {
        Transfer::complete()
    } else {
        Transfer::telling(told)
    })
}

/// Moves the answer's body, and what is left of the request.
async fn answer(
    stream: &mut Stream,
    far: &mut Side<'_>,
    mut downward: Transfer,
    clock: &Clock,
    record: &mut RequestRecord,
) -> Result<(), Reason> {
    let moved = poll_fn(|cx| {
        if let Poll::Ready(()) = poll_client_gone(cx, &mut stream.near, &downward) {
            return Poll::Ready(Err(Reason::DownstreamGone));
        }
        match stream.upward.poll(cx, &mut stream.near, far) {
            Poll::Ready(Err(Broken::Source(trouble))) if !downward.is_complete() => {
                return Poll::Ready(Err(Role::Client.reason(trouble)));
            }
            Poll::Ready(Err(Broken::Limit)) => return Poll::Ready(Err(Reason::BufferLimit)),
            Poll::Ready(_) | Poll::Pending => {}
        }
        clock.asked(stream.upward.is_complete());
        let moved = downward.poll(cx, far, &mut stream.near);
        if moved.is_pending() {
            return stream.poll_silence(cx, &downward);
        }
        moved.map_err(|broken| reason(&broken, Role::Endpoint, Role::Client))
    })
    .await;
    record.request_bytes(stream.upward.bytes);
    record.response_bytes(downward.bytes);
    if let Some(status) = downward.grpc_status {
        record.set_grpc_status(status);
    }
    record.tell_trailers(downward.trailers());
    if let (Err(_), Side::Two(near)) = (&moved, &mut stream.near) {
        near.abort(h2::Reason::INTERNAL_ERROR);
    }
    moved
}

fn poll_client_gone(cx: &mut Context<'_>, near: &mut Side<'_>, downward: &Transfer) -> Poll<()> {
    match near {
        Side::Two(near) if !downward.is_complete() => near.poll_reset(cx),
        Side::One(_) | Side::Two(_) => Poll::Pending,
    }
}
