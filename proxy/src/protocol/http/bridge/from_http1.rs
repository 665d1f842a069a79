//! A client of HTTP/1, an endpoint of HTTP/2.

use super::REPLAY;
use super::one::One;
use super::side::{Role, Side};
use super::transfer::{Broken, Transfer, grpc_status, reason};
use super::two::Two;
use crate::failure::Reason;
use crate::net::spare;
use crate::protocol::http::alarm::{Alarm, Rest, who_rests};
use crate::protocol::http::attempt::{Attempts, Repeatable};
use crate::protocol::http::client::Client;
use crate::protocol::http::clock::Clock;
use crate::protocol::http::failing::classify;
use crate::protocol::http::h1::{Body, Framing, RequestHead, Version, write};
use crate::protocol::http::http1::{After, Failed};
use crate::protocol::http::routing::change_answer;
use crate::protocol::http::verify::verify_answer;
use crate::protocol::{Interim, Session};
use crate::telemetry::RequestRecord;
use crate::telemetry::trace;
use crate::upstream::Http2;
use ::http::header::CONTENT_LENGTH;
use ::http::{Method, Response, StatusCode};
use h2::RecvStream;
use h2::client::ResponseFuture;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;

/// One attempt.
pub(in crate::protocol::http) async fn from_http1(
    session: &Session,
    attempts: &Attempts<'_>,
    client: &mut Client,
    request: &RequestHead,
    mut up: Http2,
    record: &mut RequestRecord,
) -> Result<After, Failed> {
    let reused = up.reused;
    let failed = |reason, request| Failed {
        reason,
        reused,
        request,
    };
    let mut head = request
        .to_http(&client.ahead)
        .map_err(|fault| failed(fault.reason, Repeatable::No))?;
    if !reused {
        trace::introduce(head.headers_mut());
    }
    let whole = matches!(request.framing, Framing::None | Framing::Length(0));
    let opened = poll_fn(|cx| up.sender.poll_ready(cx))
        .await
        .and_then(|()| up.sender.send_request(head, whole));
    let (response, send) = opened.map_err(|error| failed(classify(&error, &up), Repeatable::Unsent))?;

    let leaving = client.is_leaving();
    let body = Body::of_request(request.framing);
    let near = One::new(&mut client.stream, &mut client.ahead, request.length, body);
    let mut near = Side::One(near.keeping(REPLAY));
    let mut far = Side::Two(Two::sending(send));
    let mut upward = if whole {
        Transfer::complete()
    } else {
        Transfer::default()
    };
    let mut watch = Watch::new(session, attempts.clock, request, &mut client.alarm);
    let head = wait(&mut near, &mut far, &mut upward, response, &mut watch).await;
    let answering = watch.interim.seen() > 0;
    client.ended |= matches!(&near, Side::One(near) if near.ended);
    let (mut head, receive) = match head {
        Ok(head) => head,
        Err(Waiting::Answer(error)) => {
            let again = match &near {
                Side::One(near) if near.is_intact() => repeatable(request),
                Side::One(_) | Side::Two(_) => Repeatable::No,
            };
            return Err(Failed {
                reason: classify(&error, &up),
                // Not for its age was a stream closed that had begun to be answered.
                reused: reused && !answering,
                request: again,
            });
        }
        Err(Waiting::Client(reason)) => {
            record.set_failure(reason);
            return Ok(After::Cut(reason));
        }
        Err(Waiting::Ours(reason)) => return Err(failed(reason, Repeatable::No)),
    };
    change_answer(attempts.changes, attempts.made(), head.headers_mut())
        .map_err(|reason| failed(reason, Repeatable::No))?;
    client.begun = true;
    attempts.answered();
    let now = Instant::now();
    session.observe(up.in_flight.endpoint(), attempts.leased, now);
    let told = record.answer(&head);

    // Nothing can follow half a request, and of the rest nobody will read anything.
    let early = receive.is_end_stream() && !upward.is_complete();
    let persistent = request.persistent && !early && !leaving && !session.context.lifecycle.says_goodbye();
    let bare = request.method == Method::HEAD || bodiless(head.status());
    let framing = framing(&head, &receive, bare, request.version);
    let mut downward = if bare || receive.is_end_stream() {
        Transfer::complete()
    } else {
        Transfer::telling(told)
    };
    if let Some(status) = grpc_status(head.headers()) {
        record.set_grpc_status(status);
    }
    let moved = answer(
        &mut near,
        &mut far,
        &mut upward,
        &mut downward,
        (head, receive, framing),
        (request.version, persistent, attempts.clock),
        (silence(session, request), &mut client.alarm),
    )
    .await;
    record.request_bytes(upward.bytes);
    record.response_bytes(downward.bytes);
    if let Some(status) = downward.grpc_status {
        record.set_grpc_status(status);
    }
    record.tell_trailers(downward.trailers());
    let Side::One(near) = near else { return Ok(After::Close) };
    let (used, done, ended) = (near.used(), near.is_done(), near.ended);
    drop(near);
    client.consume(used);
    client.ended |= ended;
    client.since = now;
    if let Err(reason) = moved {
        record.set_failure(reason);
        return Ok(After::Cut(reason));
    }
    let kept = persistent && done && framing != Framing::UntilClose;
    Ok(if kept { After::Keep } else { After::Close })
}

/// Why there is no answer.
enum Waiting {
    Client(Reason),
    Answer(h2::Error),
    /// What we refuse, and tell the client.
    Ours(Reason),
}

/// What is looked at while the answer is awaited.
struct Watch<'a> {
    version: Version,
    /// The client waits for 100 before it sends its body.
    expects: bool,
    interim: Interim,
    rest: Rest,
    alarm: &'a mut Alarm,
    clock: &'a Clock,
}

impl<'a> Watch<'a> {
    fn new(session: &Session, clock: &'a Clock, request: &RequestHead, alarm: &'a mut Alarm) -> Self {
        let bounds = &session.context.bounds;
        Self {
            version: request.version,
            expects: request.expect_continue,
            interim: bounds.interim(),
            rest: Rest::new(bounds.body_timeout.filter(|_| !request.conversation)),
            alarm,
            clock,
        }
    }
}

/// Moves the request until the head of the answer is here.
async fn wait(
    near: &mut Side<'_>,
    far: &mut Side<'_>,
    upward: &mut Transfer,
    mut response: ResponseFuture,
    watch: &mut Watch<'_>,
) -> Result<(Response<()>, RecvStream), Waiting> {
    let mut surplus = None;
    poll_fn(|cx| {
        poll_request(cx, near, far, upward).map_err(Waiting::Client)?;
        watch.clock.asked(upward.is_complete());
        while surplus.is_none()
            && let Poll::Ready(Some(interim)) = response.poll_informational(cx)
        {
            let interim = interim.map_err(Waiting::Answer)?;
            surplus = verify_answer(&interim).and_then(|()| watch.interim.another()).err();
            if surplus.is_none() && watch.version == Version::Http11 {
                give_head(cx, near, &interim, Framing::None, (watch.version, true)).map_err(Waiting::Client)?;
            }
        }
        if let Some(reason) = surplus {
            // Our own answer follows those that the client gets whole.
            let taken = ready!(near.poll_taken(cx));
            taken.map_err(|trouble| Waiting::Client(Role::Client.reason(trouble)))?;
            return Poll::Ready(Err(Waiting::Ours(reason)));
        }
        if let Poll::Ready(response) = Pin::new(&mut response).poll(cx) {
            let response = response.map_err(Waiting::Answer)?;
            verify_answer(&response).map_err(Waiting::Ours)?;
            let (parts, receive) = response.into_parts();
            return Poll::Ready(Ok((Response::from_parts(parts, ()), receive)));
        }
        // A client that waits for 100 waits for the endpoint.
        if upward.is_starved() && (!watch.expects || watch.interim.seen() > 0) {
            let moved = upward.bytes + u64::from(watch.interim.seen());
            ready!(watch.rest.poll(watch.alarm, cx, moved));
            return Poll::Ready(Err(Waiting::Ours(Reason::BodyTimeout)));
        }
        Poll::Pending
    })
    .await
}

/// Moves the request on, and looks whether the client is still there. Fails only for the client's part in it: an
/// endpoint that takes no more may be answering.
fn poll_request(
    cx: &mut Context<'_>,
    near: &mut Side<'_>,
    far: &mut Side<'_>,
    upward: &mut Transfer,
) -> Result<(), Reason> {
    match upward.poll(cx, near, far) {
        Poll::Ready(Err(Broken::Source(trouble))) => return Err(Role::Client.reason(trouble)),
        Poll::Ready(Err(Broken::Limit)) => return Err(Reason::BufferLimit),
        Poll::Ready(Err(Broken::Destination(_))) | Poll::Pending => return Ok(()),
        Poll::Ready(Ok(())) => {}
    }
    let gone = match near {
        Side::One(near) => near.poll_gone(cx).is_ready(),
        Side::Two(_) => false,
    };
    if gone { Err(Reason::DownstreamGone) } else { Ok(()) }
}

fn give_head(
    cx: &mut Context<'_>,
    near: &mut Side<'_>,
    head: &Response<()>,
    framing: Framing,
    (version, persistent): (Version, bool),
) -> Result<(), Reason> {
    let Side::One(near) = near else { return Ok(()) };
    let mut out = spare::take();
    write::response_head(head.status(), head.headers(), framing, version, persistent, &mut out);
    let given = near.begin(cx, &out, framing);
    spare::give(out);
    given.map_err(|trouble| Role::Client.reason(trouble))
}

/// How long the answer may rest.
fn silence(session: &Session, request: &RequestHead) -> Rest {
    let patience = session.context.bounds.answer_timeout;
    Rest::new(patience.filter(|_| !request.conversation))
}

/// Moves the answer, and what is left of the request.
async fn answer(
    near: &mut Side<'_>,
    far: &mut Side<'_>,
    upward: &mut Transfer,
    downward: &mut Transfer,
    (head, receive, framing): (Response<()>, RecvStream, Framing),
    (version, persistent, clock): (Version, bool, &Clock),
    (mut rest, alarm): (Rest, &mut Alarm),
) -> Result<(), Reason> {
    if let Side::Two(far) = far {
        far.receive = Some(receive);
    }
    let mut begun = false;
    poll_fn(|cx| {
        if !std::mem::replace(&mut begun, true) {
            give_head(cx, near, &head, framing, (version, persistent))?;
        }
        if !downward.is_complete() {
            poll_request(cx, near, far, upward)?;
            clock.asked(upward.is_complete());
        }
        let moved = downward.poll(cx, far, near);
        if moved.is_pending() && downward.is_starved() {
            ready!(rest.poll(alarm, cx, upward.bytes + downward.bytes));
            return Poll::Ready(Err(who_rests(upward.is_starved() && !upward.is_complete())));
        }
        ready!(moved).map_err(|broken| reason(&broken, Role::Endpoint, Role::Client))?;
        near.poll_taken(cx).map_err(|trouble| Role::Client.reason(trouble))
    })
    .await
}

fn framing(head: &Response<()>, receive: &RecvStream, bare: bool, version: Version) -> Framing {
    let length = head
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    match (length, version) {
        _ if bare => Framing::None,
        (Some(length), _) => Framing::Length(length),
        (None, _) if receive.is_end_stream() => Framing::Length(0),
        (None, Version::Http11) => Framing::Chunked,
        (None, Version::Http10) => Framing::UntilClose,
    }
}

fn bodiless(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

fn repeatable(request: &RequestHead) -> Repeatable {
    if request.idempotent() {
        Repeatable::Idempotent
    } else {
        Repeatable::Once
    }
}
