//! HTTP/1 to HTTP/1: both messages move as they came. Only hop-by-hop lines of the heads are cut; bodies are followed to
//! know where they end, and re-framed only where the client could not know otherwise.
//!
//! Both directions run at once, because an answer may come before the request is complete (behaviours 6 and 14).

use super::alarm::{Rest, who_rests};
use super::client::Client;
use super::clock::Clock;
use super::h1::{self, Asked, Body, Delivery, Downstream, Fault, HeadLimits, Parsed, ResponseHead, Version, write};
use super::outgoing::Outgoing;
use super::routing;
use crate::failure::Reason;
use crate::net::backlog::Backlog;
use crate::net::scratch::poll_read_scratch;
use crate::net::spare;
use crate::net::stream::Stream;
use crate::net::unsent::Unsent;
use crate::protocol::Interim;
use crate::route::Changes;
use crate::telemetry::access_log::{Told, Wanted};
use http::StatusCode;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// One read, and so the most that waits for a slow reader.
const READ: usize = 64 * 1024;

/// What the client is told, decided when the head of the answer is known.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// What is changed of the answer's head.
    pub(super) changes: Option<&'a Changes>,
    /// How many there were.
    pub(super) attempts: u32,
    /// Of the whole exchange.
    pub(super) clock: &'a Clock,
    /// What was asked, which decides what may be answered.
    pub(super) asked: Asked,
    /// Of the client.
    pub(super) version: Version,
    /// The client's connection may carry another request.
    pub(super) persistent: bool,
    /// The client has sent all of its request.
    pub(super) whole: bool,
    /// The client waits for 100 before it sends its body.
    pub(super) expects: bool,
    /// Of an answer's head.
    pub(super) limits: HeadLimits,
}

/// An answer on its way down.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Incoming {
    unsent: Unsent,
    backlog: Backlog,
    partial: Vec<u8>,
    /// How much of it was looked at and holds no end of a head.
    seen: usize,
    body: Body,
    delivery: Delivery,
    complete: bool,
    /// Bytes came behind the answer: the connection is out of step and must not be used again.
    pub(super) surplus: bool,
    early: Vec<u8>,
    /// A byte of an answer came, be it interim: the connection was not closed for its age.
    pub(super) heard: bool,
    /// Something of an answer was given to the client, be it interim.
    pub(super) begun: bool,
    /// The client was told that its connection is kept.
    pub(super) keeps: bool,
    /// The client was told to send its body.
    continued: bool,
    /// Interim ones before it.
    interim: Interim,
    /// Why there will be no answer, once the interim ones are with the client.
    failed: Option<Reason>,
    /// Of its head; nothing where nobody tells.
    wanted: Option<Arc<Wanted>>,
    told: Told,
    bytes: u64,
}

/// What an answer's bytes turned out to be.
enum Step {
    More,
    Head(ResponseHead),
    Failed(Reason),
}

impl Incoming {
    /// `wanted`: what is told of the head.
    pub(super) fn new(interim: Interim, wanted: Option<Arc<Wanted>>) -> Self {
        Self {
            unsent: Unsent::default(),
            backlog: Backlog::default(),
            partial: Vec::new(),
            seen: 0,
            body: Body::None,
            delivery: Delivery::Verbatim,
            complete: false,
            surplus: false,
            early: Vec::new(),
            heard: false,
            begun: false,
            keeps: false,
            continued: false,
            interim,
            failed: None,
            wanted: wanted.filter(|wanted| wanted.wants_answer()),
            told: Told::default(),
            bytes: 0,
        }
    }

    /// All of it is here.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// More of it can only come from the endpoint.
    fn is_starved(&self) -> bool {
        self.unsent.is_empty()
    }

    /// After an upgrade: bytes that came behind the head.
    pub(super) fn take_early(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early)
    }

    /// The end of the body was told to the client although the upstream told it by closing.
    pub(super) fn was_reframed(&self) -> bool {
        self.delivery == Delivery::ToChunked
    }

    /// Only the end of the connection tells the client where the body ends.
    pub(super) fn ends_with_connection(&self) -> bool {
        self.delivery == Delivery::UntilClose
    }

    /// What is told of its head, once that has passed.
    pub(super) fn take_told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }

    /// Bytes that went down.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, client: &mut Stream) -> Poll<Result<(), Reason>> {
        match self.unsent.poll_drain(cx, client) {
            Poll::Ready(drained) => {
                self.backlog.release();
                Poll::Ready(drained.map_err(|_| Reason::DownstreamGone))
            }
            Poll::Pending => {
                let held = self.backlog.poll_hold(cx, self.unsent.len());
                held.map(|()| Err(Reason::BufferLimit))
            }
        }
    }

    /// Waits for the final head, passing interim ones on. What came behind the head is on its way when this is ready.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Stream,
        client: &mut Stream,
        terms: &Terms<'_>,
    ) -> Poll<Result<ResponseHead, Reason>> {
        loop {
            ready!(self.poll_drain(cx, client))?;
            if let Some(reason) = self.failed {
                return Poll::Ready(Err(reason));
            }
            let step = poll_read_scratch(up, cx, READ, |cx, bytes| {
                if bytes.is_empty() {
                    return Step::Failed(Reason::UpstreamClosed);
                }
                self.heard = true;
                if self.partial.is_empty() {
                    return self.take(cx, bytes, client, terms);
                }
                let mut joined = std::mem::take(&mut self.partial);
                joined.extend_from_slice(bytes);
                self.take(cx, &joined, client, terms)
            });
            match ready!(step) {
                Ok(Step::More) => {}
                Ok(Step::Head(head)) => return Poll::Ready(Ok(head)),
                Ok(Step::Failed(reason)) => return Poll::Ready(Err(reason)),
                Err(_) => return Poll::Ready(Err(Reason::UpstreamClosed)),
            }
        }
    }

    fn take(&mut self, cx: &mut Context<'_>, bytes: &[u8], client: &mut Stream, terms: &Terms<'_>) -> Step {
        let mut rest = bytes;
        let mut seen = std::mem::take(&mut self.seen);
        loop {
            // A head that dribbles in is parsed when it is all here, and not from its start for every byte.
            if seen > 0 && h1::head_end(rest, seen).is_none() && rest.len() <= terms.limits.bytes {
                return self.wait(rest);
            }
            seen = 0;
            match h1::response(rest, terms.asked, &terms.limits) {
                Ok(Parsed::Partial) => return self.wait(rest),
                Ok(Parsed::Complete(head)) if head.status.is_informational() && !head.upgrade => {
                    if let Err(reason) = self.interim.another() {
                        self.failed = Some(reason);
                        return Step::More;
                    }
                    self.continued |= head.status == StatusCode::CONTINUE;
                    if terms.version == Version::Http11 {
                        self.begun = true;
                        let mut out = spare::take();
                        head.write_h1(rest, terms.downstream(Delivery::Verbatim), &mut out);
                        // A client that is gone is noticed by the next write.
                        let _ = self.unsent.send(cx, client, &out);
                        spare::give(out);
                    }
                    rest = &rest[head.length..];
                }
                Ok(Parsed::Complete(head)) => return self.start(cx, rest, head, client, terms),
                Err(_) => return Step::Failed(Reason::MalformedResponse),
            }
        }
    }

    fn wait(&mut self, head: &[u8]) -> Step {
        self.seen = head.len();
        self.partial = head.to_vec();
        Step::More
    }

    /// Sends the final head and what is here of the body, in one write.
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        mut head: ResponseHead,
        client: &mut Stream,
        terms: &Terms<'_>,
    ) -> Step {
        self.delivery = head.delivery(terms.version);
        // An upstream that closes will not read the rest of the request, and nothing can follow half a request. A client
        // that waited for 100 in vain need not send its body (RFC 9110 10.1.1): what it sends next could be either.
        let rest_comes = head.persistent && (!terms.expects || self.continued);
        self.keeps = terms.persistent && (terms.whole || rest_comes);
        if let Err(reason) = routing::change_answer(terms.changes, terms.attempts, &mut head.editing(bytes)) {
            return Step::Failed(reason);
        }
        if let Some(wanted) = &self.wanted {
            self.told = wanted.of_answer(&head.editing(bytes));
        }
        let mut out = spare::take();
        let downstream = Downstream {
            persistent: self.keeps,
            ..terms.downstream(self.delivery)
        };
        head.write_h1(bytes, downstream, &mut out);
        let rest = &bytes[head.length..];
        if head.upgrade {
            self.early = rest.to_vec();
            self.complete = true;
        } else {
            self.body = Body::of_response(head.framing);
            if self.append(rest, &mut out).is_err() {
                return Step::Failed(Reason::MalformedResponse);
            }
        }
        self.begun = true;
        self.bytes += rest.len() as u64;
        let sent = self.unsent.send(cx, client, &out);
        spare::give(out);
        if sent.is_err() {
            Step::Failed(Reason::DownstreamGone)
        } else {
            Step::Head(head)
        }
    }

    /// Adds body bytes to `out` in the form in which the client gets them.
    fn append(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.delivery == Delivery::Verbatim {
            let scanned = self.body.scan(bytes)?;
            self.complete = scanned.done;
            self.surplus = scanned.length < bytes.len();
            out.extend_from_slice(&bytes[..scanned.length]);
            return Ok(());
        }
        let mut rest = bytes;
        while !rest.is_empty() && !self.complete {
            let decoded = self.body.decode(rest)?;
            let data = &rest[decoded.data.clone()];
            if self.delivery == Delivery::ToChunked && !data.is_empty() {
                write::chunk_header(data.len(), out);
                out.extend_from_slice(data);
                out.extend_from_slice(write::CHUNK_END);
            } else {
                out.extend_from_slice(data);
            }
            self.complete = decoded.end;
            rest = &rest[decoded.consumed..];
        }
        self.surplus = !rest.is_empty();
        Ok(())
    }

    /// Moves the body until its end is with the client.
    fn poll_body(&mut self, cx: &mut Context<'_>, up: &mut Stream, client: &mut Stream) -> Poll<Result<(), Reason>> {
        loop {
            ready!(self.poll_drain(cx, client))?;
            if self.complete {
                return Poll::Ready(Ok(()));
            }
            let read = poll_read_scratch(up, cx, READ, |cx, bytes| self.pass(cx, bytes, client));
            ready!(read).unwrap_or(Err(Reason::TruncatedResponse))?;
        }
    }

    fn pass(&mut self, cx: &mut Context<'_>, bytes: &[u8], client: &mut Stream) -> Result<(), Reason> {
        if bytes.is_empty() && !self.body.finish() {
            return Err(Reason::TruncatedResponse);
        }
        if self.delivery == Delivery::Verbatim && !bytes.is_empty() {
            let scanned = self.body.scan(bytes).map_err(|_| Reason::MalformedResponse)?;
            self.complete = scanned.done;
            self.surplus = scanned.length < bytes.len();
            self.bytes += scanned.length as u64;
            return self
                .unsent
                .send(cx, client, &bytes[..scanned.length])
                .map_err(|_| Reason::DownstreamGone);
        }
        let mut out = spare::take();
        self.append(bytes, &mut out).map_err(|_| Reason::MalformedResponse)?;
        if bytes.is_empty() {
            self.complete = true;
            if self.delivery == Delivery::ToChunked {
                write::last_chunk(None, &mut out);
            }
        }
        self.bytes += out.len() as u64;
        let sent = self.unsent.send(cx, client, &out);
        spare::give(out);
        sent.map_err(|_| Reason::DownstreamGone)
    }
}

impl Terms<'_> {
    fn downstream(&self, delivery: Delivery) -> Downstream {
        Downstream {
            version: self.version,
            persistent: self.persistent,
            delivery,
        }
    }
}

/// Sends the request and waits for the head of the answer, whose first bytes are then on their way to the client.
pub(super) async fn head(
    client: &mut Client,
    up: &mut Stream,
    outgoing: &mut Outgoing,
    incoming: &mut Incoming,
    terms: &Terms<'_>,
    rest: &mut Rest,
) -> Result<ResponseHead, Reason> {
    poll_fn(|cx| {
        if let Poll::Ready(reason) = outgoing.poll(cx, client, up) {
            return Poll::Ready(Err(reason));
        }
        terms.clock.asked(outgoing.is_complete());
        let terms = Terms {
            whole: outgoing.is_complete(),
            ..*terms
        };
        if let Poll::Ready(head) = incoming.poll_head(cx, up, &mut client.stream, &terms) {
            return Poll::Ready(head);
        }
        // A client that waits for 100 waits for the upstream.
        if outgoing.is_starved() && (!terms.expects || incoming.continued) {
            let moved = outgoing.bytes() + u64::from(incoming.interim.seen());
            ready!(rest.poll(&mut client.alarm, cx, moved));
            return Poll::Ready(Err(Reason::BodyTimeout));
        }
        Poll::Pending
    })
    .await
}

/// Moves what is left of both bodies: `rest` is of the request's, `silence` of the answer's.
pub(super) async fn bodies(
    client: &mut Client,
    up: &mut Stream,
    outgoing: &mut Outgoing,
    incoming: &mut Incoming,
    terms: &Terms<'_>,
    (mut rest, mut silence): (Rest, Rest),
) -> Result<(), Reason> {
    poll_fn(|cx| {
        if (!incoming.complete || !outgoing.is_complete())
            && let Poll::Ready(reason) = outgoing.poll(cx, client, up)
        {
            return Poll::Ready(Err(reason));
        }
        terms.clock.asked(outgoing.is_complete());
        let moved = incoming.poll_body(cx, up, &mut client.stream);
        if moved.is_pending() && incoming.is_starved() {
            ready!(silence.poll(&mut client.alarm, cx, outgoing.bytes() + incoming.bytes));
            return Poll::Ready(Err(who_rests(outgoing.is_starved() && !outgoing.is_abandoned())));
        }
        ready!(moved)?;
        // An upstream that answered early and still reads gets the rest; one that does not ends the wait.
        if outgoing.is_complete() || outgoing.is_abandoned() || !incoming.keeps {
            return Poll::Ready(Ok(()));
        }
        if outgoing.is_starved() {
            ready!(rest.poll(&mut client.alarm, cx, outgoing.bytes()));
            return Poll::Ready(Err(Reason::BodyTimeout));
        }
        Poll::Pending
    })
    .await
}
