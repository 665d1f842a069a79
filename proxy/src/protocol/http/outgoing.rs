//! A request on its way from a client of HTTP/1 to an endpoint of HTTP/1, as it came; and what of it stays for another
//! attempt.

use super::attempt::{REPLAY, Repeatable};
use super::client::Client;
use super::h1::{Body, Fault, RequestHead};
use crate::failure::Reason;
use crate::net::backlog::Backlog;
use crate::net::scratch::poll_read_scratch;
use crate::net::spare;
use crate::net::stream::Stream;
use crate::net::unsent::Unsent;
use std::task::{Context, Poll, ready};

/// One read, and so the most that waits for a slow reader.
const READ: usize = 64 * 1024;

/// A request on its way up.
pub(super) struct Outgoing {
    unsent: Unsent,
    backlog: Backlog,
    body: Body,
    /// The client has sent all of it.
    complete: bool,
    /// The upstream takes no more; what still comes is thrown away, because an answer may be waiting.
    abandoned: bool,
    /// A byte of it was taken by a socket.
    sent: bool,
    /// How much of [`Client::ahead`] was this request when it began to go up.
    begun: usize,
    /// How much is now.
    consumed: usize,
    replay: Replay,
    /// Of its body, so far.
    bytes: u64,
}

/// What becomes of the parts of a body that arrive after the head. Those that stay are in [`Client::ahead`], where another
/// attempt finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replay {
    /// They stay while nothing has left us: only then may another attempt follow.
    WhileUnsent,
    /// They stay while they fit, for the request may lose the idle race.
    WhileFitting,
    /// A part has gone up and did not stay.
    Lost,
}

impl Outgoing {
    /// Makes the upstream form of the request whose head begins [`Client::ahead`].
    pub(super) fn begin(client: &Client, request: &RequestHead) -> Result<Self, Fault> {
        let mut out = spare::take();
        request.write_h1(&client.ahead, &mut out);
        let early = &client.ahead[request.length..];
        let mut body = Body::of_request(request.framing);
        let scanned = body.scan(early)?;
        out.extend_from_slice(&early[..scanned.length]);
        let begun = request.length + scanned.length;
        Ok(Self {
            bytes: scanned.length as u64,
            unsent: Unsent::starting_with(out),
            backlog: Backlog::default(),
            body,
            complete: scanned.done,
            abandoned: false,
            sent: false,
            begun,
            consumed: begun,
            replay: Replay::WhileUnsent,
        })
    }

    /// Of an idempotent request on a connection that was used before, so that the idle race is possible.
    pub(super) fn racing(self) -> Self {
        Self {
            replay: Replay::WhileFitting,
            ..self
        }
    }

    /// Whether the request could be sent once more, now that it has failed.
    pub(super) fn repeatable(&self, request: &RequestHead) -> Repeatable {
        match () {
            () if self.replay == Replay::Lost => Repeatable::No,
            () if !self.sent => Repeatable::Unsent,
            () if request.idempotent() => Repeatable::Idempotent,
            () => Repeatable::Once,
        }
    }

    /// There will be no other attempt. Returns how much of [`Client::ahead`] was kept for one, and is to be forgotten.
    pub(super) fn settle(&mut self) -> usize {
        self.replay = Replay::Lost;
        self.begun = 0;
        std::mem::take(&mut self.consumed)
    }

    /// How much of [`Client::ahead`] is this request.
    pub(super) fn consumed(&self) -> usize {
        self.consumed
    }

    /// The client has sent all of it.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The upstream did not take all of it.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// More of it can only come from the client.
    pub(super) fn is_starved(&self) -> bool {
        !self.complete && (self.abandoned || self.unsent.is_empty())
    }

    /// Bytes that went up.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves what can be moved; then looks whether the client is still there. Ready only when it is not, or its body is broken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, client: &mut Client, up: &mut Stream) -> Poll<Reason> {
        loop {
            if self.poll_drain(cx, up).is_pending() {
                return self
                    .backlog
                    .poll_hold(cx, self.unsent.len())
                    .map(|()| Reason::BufferLimit);
            }
            self.backlog.release();
            if self.complete {
                return client.poll_gone(cx, self.consumed).map(|()| Reason::DownstreamGone);
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
            let (part, rest) = bytes.split_at(scanned.length);
            this.complete = scanned.done;
            this.bytes += part.len() as u64;
            this.keep(ahead, part);
            ahead.extend_from_slice(rest);
            if !this.abandoned && this.unsent.send(cx, up, part).is_err() {
                this.abandoned = true;
            }
            None
        });
        read.map(|result| result.unwrap_or(Some(Reason::DownstreamGone)))
    }

    /// Keeps a part of the body for another attempt, as long as there may be one.
    fn keep(&mut self, ahead: &mut Vec<u8>, part: &[u8]) {
        let fits = self.bytes <= REPLAY as u64;
        let keeps = match self.replay {
            Replay::WhileUnsent => fits && !self.sent,
            Replay::WhileFitting => fits,
            Replay::Lost => return,
        };
        if keeps {
            ahead.extend_from_slice(part);
            self.consumed += part.len();
        } else {
            ahead.truncate(self.begun);
            self.consumed = self.begun;
            self.replay = Replay::Lost;
        }
    }
}
