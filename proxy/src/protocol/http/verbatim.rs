//! HTTP/1 to HTTP/1: both messages move as they came. Only hop-by-hop lines of the heads are cut; bodies are followed to
//! know where they end, and re-framed only where the client could not know otherwise.
//!
//! Both directions run at once, because an answer may come before the request is complete (behaviours 6 and 14).

use super::attempt::Repeatable;
use super::client::Client;
use super::h1::{
    self, Asked, Body, Delivery, Downstream, Fault, HeadLimits, Parsed, RequestHead, ResponseHead, Version, write,
};
use crate::failure::Reason;
use crate::net::scratch::poll_read_scratch;
use crate::net::spare;
use crate::net::stream::Stream;
use crate::net::unsent::Unsent;
use http::StatusCode;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

/// One read, and so the most that waits for a slow reader.
const READ: usize = 64 * 1024;

/// A request on its way up.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Outgoing {
    unsent: Unsent,
    body: Body,
    /// The client has sent all of it.
    complete: bool,
    /// The upstream takes no more; what still comes is thrown away, because an answer may be waiting.
    abandoned: bool,
    /// More than what was read ahead has gone up, so that it cannot be sent again.
    streamed: bool,
    /// A byte of it was taken by a socket.
    sent: bool,
    bytes: u64,
}

impl Outgoing {
    /// Makes the upstream form of the request whose head begins [`Client::ahead`]. Returns how much of that is this request.
    pub(super) fn begin(client: &Client, request: &RequestHead) -> Result<(Self, usize), Fault> {
        let mut out = spare::take();
        request.write_h1(&client.ahead, &mut out);
        let early = &client.ahead[request.length..];
        let mut body = Body::of_request(request.framing);
        let scanned = body.scan(early)?;
        out.extend_from_slice(&early[..scanned.length]);
        let outgoing = Self {
            bytes: scanned.length as u64,
            unsent: Unsent::starting_with(out),
            body,
            complete: scanned.done,
            abandoned: false,
            streamed: false,
            sent: false,
        };
        Ok((outgoing, request.length + scanned.length))
    }

    /// Whether the request could be sent once more, now that it has failed.
    pub(super) fn repeatable(&self, request: &RequestHead) -> Repeatable {
        match () {
            () if self.streamed => Repeatable::No,
            () if !self.sent => Repeatable::Unsent,
            () if request.idempotent() => Repeatable::Idempotent,
            () => Repeatable::Once,
        }
    }

    /// The client has sent all of it.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The upstream did not take all of it.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// Bytes that went up.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves what can be moved; then looks whether the client is still there. Ready only when it is not, or its body is broken.
    fn poll(&mut self, cx: &mut Context<'_>, client: &mut Client, up: &mut Stream, consumed: usize) -> Poll<Reason> {
        loop {
            ready!(self.poll_drain(cx, up));
            if self.complete {
                return client.poll_gone(cx, consumed).map(|()| Reason::DownstreamGone);
            }
            if let Some(reason) = ready!(self.poll_body(cx, client, up)) {
                return Poll::Ready(reason);
            }
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, up: &mut Stream) -> Poll<()> {
        if self.abandoned {
            return Poll::Ready(());
        }
        let before = self.unsent.len();
        let drained = self.unsent.poll_drain(cx, up);
        self.sent |= self.unsent.len() < before;
        if let Poll::Ready(Err(_)) = drained {
            self.abandoned = true;
            self.unsent = Unsent::default();
        }
        drained.map(|_| ())
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, client: &mut Client, up: &mut Stream) -> Poll<Option<Reason>> {
        let (ahead, this) = (&mut client.ahead, self);
        let read = poll_read_scratch(&mut client.stream, cx, READ, |cx, bytes| {
            if bytes.is_empty() {
                // Half a request is not a request: the upstream must not take it for a whole one.
                return Some(Reason::DownstreamGone);
            }
            let Ok(scanned) = this.body.scan(bytes) else {
                return Some(Reason::MalformedBody);
            };
            this.complete = scanned.done;
            this.streamed = true;
            this.bytes += scanned.length as u64;
            ahead.extend_from_slice(&bytes[scanned.length..]);
            if !this.abandoned && this.unsent.send(cx, up, &bytes[..scanned.length]).is_err() {
                this.abandoned = true;
            }
            None
        });
        read.map(|result| result.unwrap_or(Some(Reason::DownstreamGone)))
    }
}

/// What the client is told, decided when the head of the answer is known.
#[derive(Clone, Copy)]
pub(super) struct Terms {
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
    partial: Vec<u8>,
    /// How much of it was looked at and holds no end of a head.
    seen: usize,
    body: Body,
    delivery: Delivery,
    complete: bool,
    /// Bytes came behind the answer: the connection is out of step and must not be used again.
    pub(super) surplus: bool,
    early: Vec<u8>,
    /// Something of an answer was given to the client, be it interim.
    pub(super) begun: bool,
    /// The client was told that its connection is kept.
    pub(super) keeps: bool,
    /// The client was told to send its body.
    continued: bool,
    bytes: u64,
}

/// What an answer's bytes turned out to be.
enum Step {
    More,
    Head(ResponseHead),
    Failed(Reason),
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self {
            unsent: Unsent::default(),
            partial: Vec::new(),
            seen: 0,
            body: Body::None,
            delivery: Delivery::Verbatim,
            complete: false,
            surplus: false,
            early: Vec::new(),
            begun: false,
            keeps: false,
            continued: false,
            bytes: 0,
        }
    }

    /// All of it is here.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
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

    /// Bytes that went down.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits for the final head, passing interim ones on. What came behind the head is on its way when this is ready.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Stream,
        client: &mut Stream,
        terms: &Terms,
    ) -> Poll<Result<ResponseHead, Reason>> {
        loop {
            if ready!(self.unsent.poll_drain(cx, client)).is_err() {
                return Poll::Ready(Err(Reason::DownstreamGone));
            }
            let step = poll_read_scratch(up, cx, READ, |cx, bytes| {
                if bytes.is_empty() {
                    return Step::Failed(Reason::UpstreamClosed);
                }
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

    fn take(&mut self, cx: &mut Context<'_>, bytes: &[u8], client: &mut Stream, terms: &Terms) -> Step {
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
        head: ResponseHead,
        client: &mut Stream,
        terms: &Terms,
    ) -> Step {
        self.delivery = head.delivery(terms.version);
        // An upstream that closes will not read the rest of the request, and nothing can follow half a request. A client
        // that waited for 100 in vain need not send its body (RFC 9110 10.1.1): what it sends next could be either.
        let rest_comes = head.persistent && (!terms.expects || self.continued);
        self.keeps = terms.persistent && (terms.whole || rest_comes);
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
            if ready!(self.unsent.poll_drain(cx, client)).is_err() {
                return Poll::Ready(Err(Reason::DownstreamGone));
            }
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

impl Terms {
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
    consumed: usize,
    terms: &Terms,
) -> Result<ResponseHead, Reason> {
    poll_fn(|cx| {
        if let Poll::Ready(reason) = outgoing.poll(cx, client, up, consumed) {
            return Poll::Ready(Err(reason));
        }
        let terms = Terms {
            whole: outgoing.complete,
            ..*terms
        };
        incoming.poll_head(cx, up, &mut client.stream, &terms)
    })
    .await
}

/// Moves what is left of both bodies.
pub(super) async fn bodies(
    client: &mut Client,
    up: &mut Stream,
    outgoing: &mut Outgoing,
    incoming: &mut Incoming,
    consumed: usize,
) -> Result<(), Reason> {
    poll_fn(|cx| {
        if (!incoming.complete || !outgoing.complete)
            && let Poll::Ready(reason) = outgoing.poll(cx, client, up, consumed)
        {
            return Poll::Ready(Err(reason));
        }
        ready!(incoming.poll_body(cx, up, &mut client.stream))?;
        // An upstream that answered early and still reads gets the rest; one that does not ends the wait.
        if outgoing.complete || outgoing.abandoned || !incoming.keeps {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}
