//! A side that speaks HTTP/2.

use super::side::{Piece, Trouble};
use crate::net::scratch;
use crate::protocol::http::verify::has_malformed_value;
use bytes::Bytes;
use h2::{RecvStream, SendStream};
use std::task::{Context, Poll, ready};

/// The two halves of a stream, each there once its head has passed.
#[derive(Default)]
pub(super) struct Two {
    /// What the peer sends.
    pub(super) receive: Option<RecvStream>,
    /// What we send.
    pub(super) send: Option<SendStream<Bytes>>,
    /// Content that the peer's window did not take yet.
    held: Bytes,
    /// The held content is the last.
    last: bool,
    /// Content that the crate was given, as far as it may still hold it: its `max_send_buffer_size` at most.
    lent: usize,
}

impl Two {
    pub(super) fn receiving(receive: RecvStream) -> Self {
        Self {
            receive: Some(receive),
            ..Self::default()
        }
    }

    pub(super) fn sending(send: SendStream<Bytes>) -> Self {
        Self {
            send: Some(send),
            ..Self::default()
        }
    }

    /// Ready when the peer has reset the stream that we send on.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.send {
            Some(send) => send.poll_reset(cx).map(|_| ()),
            None => Poll::Pending,
        }
    }

    /// Ends what we send with an error, so that no peer takes it for the whole.
    pub(super) fn abort(&mut self, reason: h2::Reason) {
        if let Some(send) = &mut self.send {
            send.send_reset(reason);
        }
    }

    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Trouble>> {
        let Some(receive) = &mut self.receive else {
            return Poll::Ready(Ok(Piece::End));
        };
        match ready!(receive.poll_data(cx)) {
            Some(Ok(data)) => {
                let last = receive.is_end_stream();
                return Poll::Ready(Ok(Piece::Data(data, last)));
            }
            Some(Err(error)) => return Poll::Ready(Err(trouble(&error))),
            None => {}
        }
        Poll::Ready(match ready!(receive.poll_trailers(cx)) {
            Ok(Some(trailers)) if has_malformed_value(&trailers) => Err(Trouble::Malformed),
            Ok(Some(trailers)) => Ok(Piece::Trailers(trailers)),
            Ok(None) => Ok(Piece::End),
            Err(error) => Err(trouble(&error)),
        })
    }

    pub(super) fn release(&mut self, bytes: usize) {
        if let Some(receive) = &mut self.receive {
            // Fails only for more than was received, and for a stream that is over.
            let _ = receive.flow_control().release_capacity(bytes);
        }
    }

    /// What the crate holds of what the peer has sent, the piece that is being passed on included.
    pub(super) fn received(&mut self) -> usize {
        let receive = self.receive.as_mut();
        receive.map_or(0, |receive| receive.flow_control().used_capacity())
    }

    /// What the peer's window did not take, and what the crate may have in its buffer: it does not tell.
    pub(super) fn unsent(&self) -> usize {
        self.held.len() + self.lent
    }

    pub(super) fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        let Some(send) = &mut self.send else {
            return Poll::Ready(Err(Trouble::Gone));
        };
        while !self.held.is_empty() {
            let room = send.capacity();
            if room == 0 {
                match ready!(send.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Poll::Ready(Err(trouble(&error))),
                    None => return Poll::Ready(Err(Trouble::Gone)),
                }
            }
            let part = self.held.split_to(room.min(self.held.len()));
            let end = self.last && self.held.is_empty();
            self.lent = scratch::most().min(self.lent + part.len());
            send.send_data(part, end).map_err(|error| trouble(&error))?;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn give(&mut self, piece: Piece) -> Result<(), Trouble> {
        let Some(send) = &mut self.send else {
            return Err(Trouble::Gone);
        };
        let outcome = match piece {
            Piece::Data(data, last) if data.is_empty() => {
                if last {
                    send.send_data(data, true)
                } else {
                    Ok(())
                }
            }
            Piece::Data(data, last) => {
                send.reserve_capacity(data.len());
                if send.capacity() >= data.len() {
                    self.lent = scratch::most().min(self.lent + data.len());
                    send.send_data(data, last)
                } else {
                    (self.held, self.last) = (data, last);
                    Ok(())
                }
            }
            Piece::Trailers(trailers) => send.send_trailers(trailers),
            Piece::End => send.send_data(Bytes::new(), true),
        };
        outcome.map_err(|error| trouble(&error))
    }
}

fn trouble(error: &h2::Error) -> Trouble {
    match error.reason() {
        Some(h2::Reason::PROTOCOL_ERROR | h2::Reason::FRAME_SIZE_ERROR) if !error.is_remote() => Trouble::Malformed,
        _ => Trouble::Gone,
    }
}
