//! A side that speaks HTTP/1.

use super::side::{Piece, Trouble};
use crate::net::scratch::poll_read_scratch;
use crate::net::spare;
use crate::net::stream::Stream;
use crate::net::unsent::Unsent;
use crate::protocol::http::h1::{Body, Framing, write};
use bytes::Bytes;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// One read, and so the most that waits for a slow reader.
const READ: usize = 64 * 1024;

/// A connection in the middle of a message each way.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct One<'a> {
    stream: &'a mut Stream,
    /// Bytes that were read; those before `at` are used up.
    ahead: &'a mut Vec<u8>,
    at: usize,
    /// The head of the message. It stays while the body comes and goes, because the message may be answered by ourselves.
    head: usize,
    /// So does the beginning of the body, while that is all of it: the message may be sent once more.
    intact: bool,
    /// How much of the body is kept for that.
    replay: usize,
    /// What the peer sends.
    body: Body,
    /// How what we send is framed.
    framing: Framing,
    unsent: Unsent,
    /// A byte of ours was taken by the socket.
    pub(super) sent: bool,
    /// A byte of the peer came.
    pub(super) heard: bool,
    /// Only the end of the connection tells the peer where our message ends, and it has.
    fin: bool,
    /// The peer has sent its FIN.
    pub(super) ended: bool,
}

impl<'a> One<'a> {
    /// A peer whose message goes on in `ahead[at..]`, framed as `body`.
    pub(super) fn new(stream: &'a mut Stream, ahead: &'a mut Vec<u8>, at: usize, body: Body) -> Self {
        Self {
            stream,
            ahead,
            at,
            head: at,
            intact: true,
            replay: 0,
            body,
            framing: Framing::None,
            unsent: Unsent::default(),
            sent: false,
            heard: false,
            fin: false,
            ended: false,
        }
    }

    /// Keeps the first `replay` bytes of the body after they were used.
    pub(super) fn keeping(self, replay: usize) -> Self {
        Self { replay, ..self }
    }

    /// Sends a head; what follows is framed as it says.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>, head: &[u8], framing: Framing) -> Result<(), Trouble> {
        self.framing = framing;
        self.send(cx, head)
    }

    /// What follows in either direction is another protocol's.
    pub(super) fn open_tunnel(&mut self) {
        self.body = Body::UntilClose;
        self.framing = Framing::UntilClose;
    }

    /// The peer's message begins with these bytes (after its head), framed as `body`.
    pub(super) fn receive(&mut self, at: usize, body: Body) {
        (self.at, self.body) = (at, body);
    }

    /// What was read and not used: where, and whose body is at its end.
    pub(super) fn used(&self) -> usize {
        self.at
    }

    /// Whether the peer's message is complete.
    pub(super) fn is_done(&self) -> bool {
        self.body.done()
    }

    /// Whether all of the message that was used is still there.
    pub(super) fn is_intact(&self) -> bool {
        self.intact
    }

    /// The bytes that were read and not used.
    pub(super) fn rest(&self) -> &[u8] {
        &self.ahead[self.at..]
    }

    /// Bytes that the peer has not taken.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Reads more behind what is there; zero is the peer's FIN.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Trouble>> {
        let (ahead, at) = (&mut *self.ahead, &mut self.at);
        let (head, intact) = (self.head, &mut self.intact);
        let read = poll_read_scratch(self.stream, cx, READ, |_, bytes| {
            if *at == ahead.len() && *at > head + self.replay {
                ahead.truncate(head);
                *at = head;
                *intact = false;
            }
            if ahead.capacity() == 0 {
                *ahead = spare::take();
            }
            ahead.extend_from_slice(bytes);
            bytes.len()
        });
        let read = ready!(read).map_err(|_| Trouble::Gone)?;
        self.ended |= read == 0;
        self.heard |= read > 0;
        Poll::Ready(Ok(read))
    }

    /// Ready when nobody is there any more to read what we send; a FIN alone does not say that (behaviour 18).
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.ended && self.rest().is_empty() {
            if ready!(self.poll_more(cx)).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Trouble>> {
        loop {
            if self.body.done() {
                return Poll::Ready(Ok(self.body.trailers().map_or(Piece::End, Piece::Trailers)));
            }
            if !self.rest().is_empty() {
                let decoded = self
                    .body
                    .decode(&self.ahead[self.at..])
                    .map_err(|_| Trouble::Malformed)?;
                let content = &self.ahead[self.at..][decoded.data.clone()];
                let data = Bytes::copy_from_slice(content);
                self.at += decoded.consumed;
                if !data.is_empty() {
                    // The last piece of a body of known length says so; chunks may be followed by trailers.
                    let last = decoded.end && matches!(self.body, Body::Length(_));
                    return Poll::Ready(Ok(Piece::Data(data, last)));
                }
                continue;
            }
            if ready!(self.poll_more(cx))? == 0 {
                return Poll::Ready(if self.body.finish() {
                    Ok(Piece::End)
                } else {
                    Err(Trouble::Gone)
                });
            }
        }
    }

    pub(super) fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        let waiting = self.unsent.len();
        let drained = self.unsent.poll_drain(cx, self.stream);
        self.sent |= self.unsent.len() < waiting;
        ready!(drained).map_err(|_| Trouble::Gone)?;
        if !self.fin {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut *self.stream).poll_shutdown(cx).map_err(|_| Trouble::Gone)
    }

    pub(super) fn give(&mut self, cx: &mut Context<'_>, piece: Piece) -> Result<(), Trouble> {
        if self.framing != Framing::Chunked {
            return match piece {
                Piece::Data(data, last) => {
                    self.fin = last && self.framing == Framing::UntilClose;
                    self.send(cx, &data)
                }
                // Trailers have no place behind a body of known length; the length itself is the end, or the connection's.
                Piece::Trailers(_) | Piece::End => {
                    self.fin = self.framing == Framing::UntilClose;
                    Ok(())
                }
            };
        }
        let mut out = spare::take();
        match piece {
            Piece::Data(data, last) => {
                if !data.is_empty() {
                    write::chunk_header(data.len(), &mut out);
                    out.extend_from_slice(&data);
                    out.extend_from_slice(write::CHUNK_END);
                }
                if last {
                    write::last_chunk(None, &mut out);
                }
            }
            Piece::Trailers(trailers) => write::last_chunk(Some(&trailers), &mut out),
            Piece::End => write::last_chunk(None, &mut out),
        }
        let sent = self.send(cx, &out);
        spare::give(out);
        sent
    }

    fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<(), Trouble> {
        let waiting = self.unsent.len() + bytes.len();
        self.unsent.send(cx, self.stream, bytes).map_err(|_| Trouble::Gone)?;
        self.sent |= self.unsent.len() < waiting;
        Ok(())
    }
}
