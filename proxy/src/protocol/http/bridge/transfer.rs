//! One body on its way from one side to the other.

use super::side::{Piece, Role, Side, Trouble};
use crate::failure::Reason;
use std::task::{Context, Poll, ready};

/// The state of one direction.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    /// Bytes whose credit the source gets back once they are taken.
    owed: usize,
    /// The last piece was given.
    given: bool,
    /// And taken.
    complete: bool,
    /// A piece has left the source, so that the message cannot be sent again.
    pub(super) begun: bool,
    /// Bytes of content.
    pub(super) bytes: u64,
    /// `grpc-status` of the trailers.
    pub(super) grpc_status: Option<u32>,
}

/// Which side failed, and why.
#[derive(Debug)]
pub(super) enum Broken {
    /// The side that bytes come from.
    Source(Trouble),
    /// The side that bytes go to.
    Destination(Trouble),
}

impl Transfer {
    /// A body that is empty, and whose end went with the head.
    pub(super) fn complete() -> Self {
        Self {
            given: true,
            complete: true,
            ..Self::default()
        }
    }

    /// Whether the destination has all of it.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Moves pieces until the last is taken.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Side<'_>,
        to: &mut Side<'_>,
    ) -> Poll<Result<(), Broken>> {
        if self.complete {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(to.poll_taken(cx)).map_err(Broken::Destination)?;
            if self.owed > 0 {
                from.release(std::mem::take(&mut self.owed));
            }
            if self.given {
                self.complete = true;
                return Poll::Ready(Ok(()));
            }
            let piece = ready!(from.poll_piece(cx)).map_err(Broken::Source)?;
            self.note(&piece);
            to.give(cx, piece).map_err(Broken::Destination)?;
        }
    }

    fn note(&mut self, piece: &Piece) {
        self.begun = true;
        match piece {
            Piece::Data(data, last) => {
                self.owed = data.len();
                self.bytes += data.len() as u64;
                self.given = *last;
            }
            Piece::Trailers(trailers) => {
                self.given = true;
                self.grpc_status = grpc_status(trailers);
            }
            Piece::End => self.given = true,
        }
    }
}

/// The `grpc-status` of trailers or of a head without a body.
pub(super) fn grpc_status(fields: &http::HeaderMap) -> Option<u32> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The name of what broke a transfer from `source` to `destination`.
pub(super) fn reason(broken: &Broken, source: Role, destination: Role) -> Reason {
    match broken {
        Broken::Source(trouble) => source.reason(*trouble),
        Broken::Destination(trouble) => destination.reason(*trouble),
    }
}
