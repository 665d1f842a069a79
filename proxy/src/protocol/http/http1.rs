//! A client that speaks HTTP/1: one request after the other, each to the endpoint that balancing picks.

use super::attempt::{Attempts, Lease, Repeatable, Version as Wire};
use super::bridge::from_http1;
use super::client::{Client, Next};
use super::h1::write::{self, Client as Reader};
use super::h1::{Asked, Fault, Framing, HeadLimits, RequestHead, Version};
use super::own;
use super::verbatim::{self, Incoming, Outgoing, Terms};
use crate::failure::Reason;
use crate::net::relay::{self, Early, relay};
use crate::net::spare;
use crate::net::stream::Stream;
use crate::protocol::Session;
use crate::snapshot::{Handling, HttpHandling};
use crate::telemetry::{Protocol, RequestRecord};
use crate::upstream::{Http1, Live};
use evenkeel_control_api::resource::listener::ForwardedFor;
use http::Method;
use std::pin::{Pin, pin};
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

/// Serves a connection whose first bytes are `early`, until it ends. The reason is that of an end that was not clean.
pub async fn serve(session: &Session, stream: Stream, early: Vec<u8>) -> Result<(), Reason> {
    let mut client = Client::new(stream, early);
    let (mut live, mut handling) = session.now();
    loop {
        let Some(http) = &handling.http else {
            return Err(Reason::ProtocolMismatch);
        };
        // Nothing of the configuration is held through the wait but the limits of a head.
        drop(live);
        let mut request = match client.next(http).await {
            Next::Request(request) => request,
            Next::Nothing => return Ok(()),
            Next::Gone => return Err(Reason::DownstreamGone),
            Next::Refused(fault) => return refuse(session, client, fault).await,
        };
        // The wait may have been long: the request is handled as of now.
        (live, handling) = session.now();
        let Some(http) = &handling.http else {
            return Err(Reason::ProtocolMismatch);
        };
        if http.forwarded_for == ForwardedFor::Append {
            request.append_forwarded_for(&client.ahead, session.client_ip());
        }
        match exchange(session, &live, &handling, http, &mut client, &request).await {
            After::Keep => {}
            After::Done => return Ok(()),
            After::Close => {
                client.linger().await;
                return Ok(());
            }
            After::Cut(reason) => {
                client.stream.reset_when_dropped();
                return Err(reason);
            }
        }
    }
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
    handling: &Handling,
    http: &HttpHandling,
    client: &mut Client,
    request: &RequestHead,
) -> After {
    let started = Instant::now();
    client.begun = false;
    let mut record = session.request_record(Protocol::Http1, started);
    if let Some(entry) = record.entry() {
        let ahead = &client.ahead;
        let (path, query) = (request.path(ahead), request.query(ahead));
        entry.ask(
            request.method.as_str().as_bytes(),
            path,
            query,
            request.authority(ahead),
        );
    }
    let mut attempts = match Attempts::route(session, live, handling, request.path(&client.ahead), started) {
        Ok(attempts) => attempts,
        Err(reason) => return answer(session, client, request, reason, Repeatable::Unsent, &mut record).await,
    };
    let needs_http1 = request.upgrade || request.method == Method::CONNECT;
    let deadline = attempts.timeout.map(|timeout| started + timeout);
    loop {
        let leased = attempts.lease(Wire::One, needs_http1).await;
        if let Some(entry) = record.entry() {
            entry.reach(attempts.newest, attempts.made);
        }
        let lease = match leased {
            Ok(lease) => lease,
            Err(reason) => return answer(session, client, request, reason, Repeatable::Unsent, &mut record).await,
        };
        let address = lease.address();
        let outcome = {
            let attempt = pin!(async {
                match lease {
                    Lease::One(up) => pass(session, &attempts, http, client, request, up, &mut record).await,
                    // Boxed: an idle connection holds the room for everything that may come next.
                    Lease::Two(up) => Box::pin(from_http1(session, &attempts, client, request, up, &mut record)).await,
                }
            });
            within(deadline, attempt).await
        };
        match outcome {
            Ok(after) => return after,
            Err(failed) if client.begun => {
                record.set_failure(failed.reason);
                return After::Cut(failed.reason);
            }
            Err(failed) if attempts.again(address, failed.reason, failed.reused, failed.request) => record.retried(),
            Err(failed) => return answer(session, client, request, failed.reason, failed.request, &mut record).await,
        }
    }
}

/// Gives up on an attempt at the end of the route's timeout, which is for the whole exchange.
async fn within(
    deadline: Option<Instant>,
    attempt: Pin<&mut impl Future<Output = Result<After, Failed>>>,
) -> Result<After, Failed> {
    let Some(deadline) = deadline else { return attempt.await };
    let late = Failed {
        reason: Reason::RequestTimeout,
        reused: false,
        request: Repeatable::No,
    };
    tokio::time::timeout_at(deadline, attempt).await.unwrap_or(Err(late))
}

/// Sends an answer of our own instead of an upstream's. The connection survives when the request is all here: where a
/// part of it has gone up, what was read behind it may be the next request.
async fn answer(
    session: &Session,
    client: &mut Client,
    request: &RequestHead,
    reason: Reason,
    left: Repeatable,
    record: &mut RequestRecord,
) -> After {
    record.set_failure(reason);
    if reason == Reason::DownstreamGone {
        return After::Cut(reason);
    }
    record.set_status(reason.status());
    let (whole, consumed) = match Outgoing::begin(client, request) {
        Ok((outgoing, consumed)) => (left != Repeatable::No && outgoing.is_complete(), consumed),
        Err(_) => (false, client.ahead.len()),
    };
    let persistent = whole && request.persistent && !client.ended && !session.context.lifecycle.draining();
    let mut out = spare::take();
    let reader = Reader {
        version: request.version,
        persistent,
        head: request.method == Method::HEAD,
    };
    write::own_response(reason, own::detail(reason), reader, &mut out);
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
    let (mut outgoing, consumed) = Outgoing::begin(client, request).map_err(broken)?;
    let mut incoming = Incoming::new();
    let terms = terms(session, http, client, request);
    let head = verbatim::head(client, &mut up.stream, &mut outgoing, &mut incoming, consumed, &terms).await;
    let head = match head {
        Ok(head) => head,
        Err(reason) if incoming.begun || reason == Reason::DownstreamGone => {
            record.set_failure(reason);
            return Ok(After::Cut(reason));
        }
        Err(reason) => {
            return Err(Failed {
                reason,
                reused: up.reused,
                request: outgoing.repeatable(request),
            });
        }
    };
    client.begun = true;
    let now = Instant::now();
    session.observe(up.in_flight.endpoint(), attempts.leased, now);
    record.set_status(head.status);
    let early = client.ahead.split_off(consumed);
    client.consume(consumed);
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
    let moved = verbatim::bodies(client, &mut up.stream, &mut outgoing, &mut incoming, 0).await;
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

fn terms(session: &Session, http: &HttpHandling, client: &Client, request: &RequestHead) -> Terms {
    Terms {
        asked: Asked {
            head: request.method == Method::HEAD,
            connect: request.method == Method::CONNECT,
            upgrade: request.upgrade,
        },
        version: request.version,
        persistent: request.persistent && !client.ended && !session.context.lifecycle.draining(),
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
