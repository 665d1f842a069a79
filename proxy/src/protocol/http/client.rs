//! The client's end of an HTTP/1 connection: bytes that were read ahead, and the waits between requests.

use super::alarm::Alarm;
use super::h1::{self, Fault, HeadLimits, Parsed, RequestHead};
use crate::failure::Reason;
use crate::net::scratch::poll_read_scratch;
use crate::net::spare;
use crate::net::stream::Stream;
use crate::snapshot::HttpHandling;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

/// How long bytes are read and thrown away so that a client which is still sending reads our answer before the reset
/// that closing under unread bytes would cause (RFC 9112 9.6).
const LINGER_TIME: Duration = Duration::from_secs(5);
/// One read of a head.
const READ: usize = 64 * 1024;

/// The client's end of a connection.
pub(super) struct Client {
    pub(super) stream: Stream,
    /// Read, and not done with: the current request's head and the bytes behind it.
    pub(super) ahead: Vec<u8>,
    /// The client sent its FIN; it still reads (behaviour 18).
    pub(super) ended: bool,
    /// The current request is the last that the connection may carry.
    pub(super) last: bool,
    /// The head of an upstream's answer to the current request was given to it.
    pub(super) begun: bool,
    /// When the last exchange ended.
    pub(super) since: Instant,
    /// Of its waits, one at a time.
    pub(super) alarm: Alarm,
}

/// What comes next on the connection.
#[expect(
    clippy::large_enum_variant,
    reason = "the head is taken out of it at once; a box is an allocation for each request"
)]
pub(super) enum Next {
    /// A request whose head is at the beginning of [`Client::ahead`].
    Request(RequestHead),
    /// The client is done.
    Nothing,
    /// It was idle for too long.
    Idle,
    /// The client went away in the middle of a head.
    Gone,
    /// A head that is refused.
    Refused(Fault),
}

impl Client {
    pub(super) fn new(stream: Stream, early: Vec<u8>) -> Self {
        Self {
            stream,
            ahead: early,
            ended: false,
            last: false,
            begun: false,
            since: Instant::now(),
            alarm: Alarm::default(),
        }
    }

    /// Waits for the next head.
    pub(super) async fn next(&mut self, handling: &HttpHandling) -> Next {
        let limits = HeadLimits {
            bytes: handling.max_header_bytes,
            fields: handling.max_header_fields,
        };
        let mut seen = 0;
        let mut begun = None;
        poll_fn(|cx| {
            loop {
                if !self.ahead.is_empty() {
                    if let Some(next) = parse(&self.ahead, &mut seen, &limits) {
                        return Poll::Ready(next);
                    }
                    begun.get_or_insert_with(Instant::now);
                }
                match self.read(cx) {
                    Poll::Ready(Ok(0)) if self.ahead.is_empty() => return Poll::Ready(Next::Nothing),
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Gone),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => return self.poll_patience(cx, begun, handling),
                }
            }
        })
        .await
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let ahead = &mut self.ahead;
        poll_read_scratch(&mut self.stream, cx, READ, |_, bytes| {
            if ahead.capacity() == 0 {
                *ahead = spare::take();
            }
            ahead.extend_from_slice(bytes);
            bytes.len()
        })
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>, begun: Option<Instant>, handling: &HttpHandling) -> Poll<Next> {
        let (from, patience) = match begun {
            Some(begun) => (begun, handling.head_timeout),
            None => (self.since, handling.idle_timeout),
        };
        let Some(patience) = patience else { return Poll::Pending };
        self.alarm.poll(cx, from + patience).map(|()| match begun {
            Some(_) => Next::Refused(Fault {
                reason: Reason::HeadTimeout,
                detail: "the head was not complete in time",
            }),
            None => Next::Idle,
        })
    }

    /// Looks whether the client is still there while its answer is awaited. Bytes of a next request stay for later;
    /// a FIN is no goodbye (behaviour 18); only an error means that nobody will read the answer.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>, consumed: usize) -> Poll<()> {
        while !self.ended && self.ahead.len() <= consumed {
            match self.read(cx) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }

    /// Whether no other request can follow the current one.
    pub(super) fn is_leaving(&self) -> bool {
        self.ended || self.last
    }

    /// Forgets the first `count` bytes read ahead: they were a request that is answered.
    pub(super) fn consume(&mut self, count: usize) {
        if count >= self.ahead.len() {
            spare::give(std::mem::take(&mut self.ahead));
        } else {
            self.ahead.drain(..count);
        }
    }

    /// Sends bytes of ours, all of them.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Closes so that the client can read what was sent: FIN first, then its bytes are thrown away for a while.
    pub(super) async fn linger(mut self) {
        if self.stream.shutdown().await.is_err() || self.ended {
            return;
        }
        let drained = poll_fn(|cx| {
            loop {
                match poll_read_scratch(&mut self.stream, cx, READ, |_, bytes| bytes.len()) {
                    Poll::Ready(Ok(read)) if read > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        // Whether it drained or time ran out, the connection is closed now.
        let _ = tokio::time::timeout(LINGER_TIME, drained).await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.ahead));
    }
}

fn parse(ahead: &[u8], seen: &mut usize, limits: &HeadLimits) -> Option<Next> {
    let complete = h1::head_end(ahead, *seen).is_some();
    *seen = ahead.len();
    if !complete && ahead.len() <= limits.bytes {
        return None;
    }
    match h1::request(ahead, limits) {
        Ok(Parsed::Complete(head)) => Some(Next::Request(head)),
        Ok(Parsed::Partial) => None,
        Err(fault) => Some(Next::Refused(fault)),
    }
}
