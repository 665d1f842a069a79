//! A client that speaks HTTP/1: one request after the other, each to the endpoint that balancing picks.

use super::alarm::Rest;
use super::attempt::{Attempts, Lease, Repeatable, Version as Wire};
use super::bridge::from_http1;
use super::client::{Client, Next};
use super::clock::Clock;
use super::configured::Configured;
use super::h1::write::{self, Client as Reader};
use super::h1::{Asked, Fault, Framing, HeadLimits, RequestHead, Version};
use super::outgoing::Outgoing;
use super::own;
use super::routing::{self, Lines, Refused, Routed};
use super::traced::{self, Spoken};
use super::verbatim::{self, Incoming, Terms};
use crate::failure::Reason;
use crate::net::relay::{self, Early, relay};
use crate::net::spare;
use crate::net::stream::Stream;
use crate::protocol::Session;
use crate::route::Answer;
use crate::snapshot::HttpHandling;
use crate::telemetry::{Protocol, RequestRecord};
use crate::upstream::{Http1, Live};
use evenkeel_control_api::resource::listener::ForwardedFor;
use http::Method;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// How one exchange left the client's connection.
pub(super) enum After {
    /// Another request may come.
    Keep,
    /// It is over, and nothing is left to be read: the client asked for that, or it was another protocol for a while.
    Done,
    /// The answer was the last one, and the client may still be sending.
    Close,
    /// The answer was cut off, and the client must see that.
    Cut(Reason),
}

/// An attempt that failed before anything of an answer was given to the client.
pub(super) struct Failed {
    pub(super) reason: Reason,
    pub(super) reused: bool,
    pub(super) request: Repeatable,
}

/// Serves a connection whose first bytes are `early`, until it ends. The reason is that of an end that was not clean, or not
/// the client's wish.
pub async fn serve(session: &Session, stream: Stream, early: Vec<u8>) -> Result<(), Reason> {
    let mut client = Client::new(stream, early);
    let (mut live, mut handling) = session.now();
    let mut requests: u32 = 0;
    // What ends it is awaited behind the loop: an idle connection holds the room for all that a round of it may await.
    let fault = loop {
        let Some(http) = &handling.http else {
            return Err(Reason::ProtocolMismatch);
        };
        // Nothing of the configuration is held through the wait but the limits of a head.
        drop(live);
        let mut request = match client.next(http).await {
            Next::Request(request) => request,
            Next::Nothing => return Ok(()),
            Next::Idle => return Err(Reason::IdleTimeout),
            Next::Gone => return Err(Reason::DownstreamGone),
            Next::Refused(fault) => break fault,
        };
        // The wait may have been long: the request is handled as of now.
        (live, handling) = session.now();
        let Some(http) = &handling.http else {
            return Err(Reason::ProtocolMismatch);
        };
        requests = requests.saturating_add(1);
        client.last = http.max_requests.is_some_and(|most| requests >= most.get());
        if http.forwarded_for == ForwardedFor::Append {
            request.append_forwarded_for(&client.ahead, session.client_ip());
        }
        match exchange(session, &live, http, &mut client, &mut request).await {
            After::Keep => {}
            After::Done => return Ok(()),
            After::Close => {
                let last = client.last;
                client.linger().await;
                return if last { Err(Reason::RequestLimit) } else { Ok(()) };
            }
            After::Cut(reason) => {
                client.stream.reset_when_dropped();
                return Err(reason);
            }
        }
    };
    refuse(session, client, fault).await
}

/// Answers a connection whose first bytes were HTTP, but not to be served, and closes it.
pub async fn refuse_connection(session: &Session, stream: Stream, reason: Reason) -> Result<(), Reason> {
    let fault = Fault {
        reason,
        detail: own::detail(reason),
    };
    refuse(session, Client::new(stream, Vec::new()), fault).await
}

/// Answers a head that is no request, and closes: what follows it cannot be told apart any more.
async fn refuse(session: &Session, mut client: Client, fault: Fault) -> Result<(), Reason> {
    let mut record = session.request_record(Protocol::Http1, Instant::now());
    record.set_failure(fault.reason);
    record.set_status(fault.reason.status());
    let mut out = Vec::new();
    write::own_response(
        fault.reason.status(),
        fault.reason,
        fault.detail,
        Reader {
            version: Version::Http11,
            persistent: false,
            head: false,
        },
        &mut out,
    );
    if client.send(&out).await.is_ok() {
        client.linger().await;
    }
    Err(fault.reason)
}

/// One request and its answer.
async fn exchange(
    session: &Session,
    live: &Live,
    http: &HttpHandling,
    client: &mut Client,
    request: &mut RequestHead,
) -> After {
    let started = Instant::now();
    client.begun = false;
    let mut record = session.request_record(Protocol::Http1, started);
    if let Some(entry) = record.entry() {
        let ahead = &client.ahead;
        let version = match request.version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        };
        let path = (request.path(ahead), request.query(ahead));
        entry.ask(
            version,
            request.method.as_str().as_bytes(),
            path,
            request.authority(ahead),
        );
        entry.request(&Lines {
            head: request,
            bytes: ahead,
        });
    }
    let place = session.context.bounds.admit();
    let lines = Lines {
        head: request,
        bytes: &client.ahead,
    };
    let spoken = Spoken {
        protocol: Protocol::Http1,
        version: if request.version == Version::Http11 {
            "1.1"
        } else {
            "1.0"
        },
        traced: request.traced,
    };
    let onward = traced::begin(session, &mut record, spoken, &lines, || lines.ask());
    let routed = place
        .as_ref()
        .map_err(|reason| Refused::from(*reason))
        .and_then(|_| routing::route(session, live, http, || lines.ask(), &mut record));
    let (forward, cluster) = match routed {
        Ok(Routed::Forward(forward, cluster)) => (forward, cluster),
        Ok(Routed::Answer(answer)) => return answer_as_configured(session, client, request, answer, &mut record).await,
        Err(refused) => return answer(session, client, request, refused, Repeatable::Unsent, &mut record).await,
    };
    let clock = Clock::new(lines.limits(forward), started);
    let attempts = Attempts::begin(session, forward, cluster, &clock, &lines);
    let mut changed = attempts.and_then(|attempts| {
        if let Some(onward) = onward {
            request.carry(&client.ahead, onward);
        }
        let changes = attempts
            .changes
            .map(|changes| routing::change_lines(changes, request, &client.ahead));
        changes.unwrap_or(Ok(())).map(|()| attempts)
    });
    match &mut changed {
        Ok(attempts) => forward_to_endpoint(session, attempts, http, client, request, &mut record).await,
        Err(reason) => answer(session, client, request, *reason, Repeatable::Unsent, &mut record).await,
    }
}

/// The attempts, until one of them has an answer.
async fn forward_to_endpoint(
    session: &Session,
    attempts: &mut Attempts<'_>,
    http: &HttpHandling,
    client: &mut Client,
    request: &mut RequestHead,
    record: &mut RequestRecord,
) -> After {
    let needs_http1 = request.upgrade || request.method == Method::CONNECT;
    let clock = attempts.clock;
    loop {
        let lease = {
            let lease = pin!(attempts.lease(Wire::One, needs_http1, record));
            clock.watch(lease).await.flatten()
        };
        let lease = match lease {
            Ok(lease) => lease,
            Err(reason) => return answer(session, client, request, reason, Repeatable::Unsent, record).await,
        };
        if attempts.changes.is_some_and(|changes| changes.tells_endpoints_attempts) {
            // A head of HTTP/1 is never full.
            let _ = routing::tell_attempts(&mut request.editing(&client.ahead), attempts.made());
        }
        let outcome = {
            let attempt = pin!(async {
                match lease {
                    Lease::One(up) => pass(session, attempts, http, client, request, up, record).await,
                    // Boxed: an idle connection holds the room for everything that may come next.
                    Lease::Two(up) => Box::pin(from_http1(session, attempts, client, request, up, record)).await,
                }
            });
            clock.watch(attempt).await
        };
        let late = |reason| {
            Err(Failed {
                reason,
                reused: false,
                request: Repeatable::No,
            })
        };
        match outcome.unwrap_or_else(late) {
            Ok(after) => return after,
            Err(failed) if client.begun => {
                record.set_failure(failed.reason);
                return After::Cut(failed.reason);
            }
            Err(failed) if attempts.again(failed.reason, failed.reused, failed.request, record) => {}
            Err(failed) => return answer(session, client, request, failed.reason, failed.request, record).await,
        }
    }
}

/// Sends an answer of our own instead of an upstream's.
async fn answer(
    session: &Session,
    client: &mut Client,
    request: &RequestHead,
    refused: impl Into<Refused>,
    left: Repeatable,
    record: &mut RequestRecord,
) -> After {
    let Refused { reason, status } = refused.into();
    record.set_failure(reason);
    if reason == Reason::DownstreamGone {
        return After::Cut(reason);
    }
    record.set_status(status);
    let write = |reader, out: &mut Vec<u8>| write::own_response(status, reason, own::detail(reason), reader, out);
    conclude(session, client, request, left, write).await
}

/// Sends what the configuration says instead of an upstream's answer.
async fn answer_as_configured(
    session: &Session,
    client: &mut Client,
    request: &RequestHead,
    configured: &Answer,
    record: &mut RequestRecord,
) -> After {
    let lines = Lines {
        head: request,
        bytes: &client.ahead,
    };
    match Configured::new(configured, &lines.ask()) {
        Ok(configured) => {
            record.answered_by_configuration();
            record.set_status(configured.status);
            let write = |reader, out: &mut Vec<u8>| configured.write_http1(reader, out);
            conclude(session, client, request, Repeatable::Unsent, write).await
        }
        Err(reason) => answer(session, client, request, reason, Repeatable::Unsent, record).await,
    }
}

/// Sends an answer that no upstream made. The connection survives when the request is all here: where a part of it has
/// gone up, what was read behind it may be the next request.
async fn conclude(
    session: &Session,
    client: &mut Client,
    request: &RequestHead,
    left: Repeatable,
    write: impl FnOnce(Reader, &mut Vec<u8>),
) -> After {
    let (whole, consumed) = match Outgoing::begin(client, request) {
        Ok(outgoing) => (left != Repeatable::No && outgoing.is_complete(), outgoing.consumed()),
        Err(_) => (false, client.ahead.len()),
    };
    let persistent = whole && request.persistent && !client.is_leaving() && !session.context.lifecycle.says_goodbye();
    let mut out = spare::take();
    let reader = Reader {
        version: request.version,
        persistent,
        head: request.method == Method::HEAD,
    };
    write(reader, &mut out);
    let sent = client.send(&out).await;
    spare::give(out);
    client.consume(consumed);
    match sent {
        Ok(()) if persistent => After::Keep,
        Ok(()) if whole && !request.persistent => After::Done,
        Ok(()) => After::Close,
        Err(_) => After::Cut(Reason::DownstreamGone),
    }
}

/// One attempt over HTTP/1: both messages as they came.
async fn pass(
    session: &Session,
    attempts: &Attempts<'_>,
    http: &HttpHandling,
    client: &mut Client,
    request: &RequestHead,
    mut up: Http1,
    record: &mut RequestRecord,
) -> Result<After, Failed> {
    let broken = |fault: Fault| Failed {
        reason: fault.reason,
        reused: false,
        request: Repeatable::No,
    };
    let mut outgoing = Outgoing::begin(client, request).map_err(broken)?;
    if up.reused && request.idempotent() {
        outgoing = outgoing.racing();
    }
    let bounds = &session.context.bounds;
    let wanted = record.entry().and_then(|entry| entry.wanted().cloned());
    let mut incoming = Incoming::new(bounds.interim(), wanted);
    let patience = |patience: Option<Duration>| Rest::new(patience.filter(|_| !request.conversation));
    let mut rest = patience(bounds.body_timeout);
    let terms = terms(session, attempts, http, client, request);
    let head = match verbatim::head(client, &mut up.stream, &mut outgoing, &mut incoming, &terms, &mut rest).await {
        Ok(head) => head,
        // Interim answers are followed by a final one of ours; it is sent once they are with the client.
        Err(reason) if reason == Reason::DownstreamGone || (incoming.begun && reason != Reason::TooManyInterim) => {
            record.set_failure(reason);
            return Ok(After::Cut(reason));
        }
        Err(reason) => {
            return Err(Failed {
                reason,
                reused: up.reused && !incoming.heard,
                request: outgoing.repeatable(request),
            });
        }
    };
    client.begun = true;
    attempts.answered();
    let now = Instant::now();
    session.observe(up.in_flight.endpoint(), attempts.leased, now);
    record.answered(now);
    record.set_status(head.status);
    if let Some(entry) = record.entry() {
        entry.answer(incoming.take_told());
    }
    let kept = outgoing.settle();
    let early = client.ahead.split_off(kept);
    client.consume(kept);
    client.ahead = early;
    if head.upgrade {
        let early = Early {
            to_up: std::mem::take(&mut client.ahead),
            to_down: incoming.take_early(),
        };
        record.request_bytes(outgoing.bytes());
        record.response_bytes(incoming.bytes());
        return Ok(Box::pin(tunnel(client, up, early, record)).await);
    }
    let at_once = incoming.is_complete();
    let rests = (rest, patience(bounds.answer_timeout));
    let moved = verbatim::bodies(client, &mut up.stream, &mut outgoing, &mut incoming, &terms, rests).await;
    let now = if at_once { now } else { Instant::now() };
    record.request_bytes(outgoing.bytes());
    record.response_bytes(incoming.bytes());
    if let Err(reason) = moved {
        record.set_failure(reason);
        return Ok(After::Cut(reason));
    }
    let in_step = outgoing.is_complete() && !outgoing.is_abandoned() && !incoming.surplus;
    if head.persistent && in_step && head.framing != Framing::UntilClose {
        let keep = keep_for(
            attempts.cluster.configuration.http.idle_timeout,
            head.keep_alive_timeout,
        );
        session.context.upstreams.recycle(up, now, keep);
    }
    client.since = now;
    let delimited = head.framing != Framing::UntilClose || incoming.was_reframed();
    let kept = incoming.keeps && outgoing.is_complete() && delimited && !incoming.ends_with_connection();
    Ok(match kept {
        true => After::Keep,
        false if outgoing.is_complete() && !request.persistent => After::Done,
        false => After::Close,
    })
}

fn terms<'a>(
    session: &Session,
    attempts: &Attempts<'a>,
    http: &HttpHandling,
    client: &Client,
    request: &RequestHead,
) -> Terms<'a> {
    Terms {
        changes: attempts.changes,
        attempts: attempts.made(),
        clock: attempts.clock,
        asked: Asked {
            head: request.method == Method::HEAD,
            connect: request.method == Method::CONNECT,
            upgrade: request.upgrade,
        },
        version: request.version,
        persistent: request.persistent && !client.is_leaving() && !session.context.lifecycle.says_goodbye(),
        whole: false,
        expects: request.expect_continue,
        limits: HeadLimits {
            bytes: http.max_header_bytes,
            fields: http.max_header_fields,
        },
    }
}

/// A server that says when it closes is left a second earlier (behaviour 13).
pub(super) fn keep_for(configured: Duration, server: Option<u32>) -> Duration {
    match server {
        Some(seconds) => Duration::from_secs(u64::from(seconds).saturating_sub(1)),
        None => configured,
    }
}

/// After a 101, or a 2xx to CONNECT: bytes, until both sides are done.
async fn tunnel(client: &mut Client, mut up: Http1, early: Early, record: &mut RequestRecord) -> After {
    let outcome = relay(
        &mut client.stream,
        &mut up.stream,
        early,
        None,
        |side, count| match side {
            relay::Side::Up => record.request_bytes(count as u64),
            relay::Side::Down => record.response_bytes(count as u64),
        },
    )
    .await;
    tracing::debug!(?outcome, upstream = %up.in_flight.endpoint().address, "an upgraded connection ended");
    After::Done
}
