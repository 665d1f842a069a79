//! One body on its way from one side to the other.

use super::REPLAY;
use super::side::{Piece, Role, Side, Trouble};
use crate::failure::Reason;
use crate::net::backlog::Backlog;
use ::http::HeaderMap;
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
    /// The next piece has not come.
    starved: bool,
    /// What has left the source, while it is little enough to be sent once more.
    replay: Option<Replay>,
    backlog: Backlog,
    /// Bytes of content.
    pub(super) bytes: u64,
    /// `grpc-status` of the trailers.
    pub(super) grpc_status: Option<u32>,
    /// What becomes of the trailers beside that they pass.
    trailers: Trailers,
}

/// What becomes of trailers.
#[derive(Debug, Default)]
enum Trailers {
    /// Nobody tells of them.
    #[default]
    Unread,
    /// Somebody will.
    Awaited,
    /// These came.
    Kept(Box<HeaderMap>),
}

/// The pieces that another attempt begins with.
#[derive(Debug, Default)]
struct Replay {
    pieces: Vec<Piece>,
    /// Content of the pieces, in bytes.
    bytes: usize,
    /// The next one of them that is to be sent.
    next: usize,
}

/// Which side failed, and why.
#[derive(Debug)]
pub(super) enum Broken {
    /// The side that bytes come from.
    Source(Trouble),
    /// The side that bytes go to.
    Destination(Trouble),
    /// Too much waits for slow readers, and this destination is one.
    Limit,
}

impl Transfer {
    /// Of a body that keeps its beginning for another attempt.
    pub(super) fn replayable() -> Self {
        Self {
            replay: Some(Replay::default()),
            ..Self::default()
        }
    }

    /// Of an answer; `trailers`: somebody tells of them.
    pub(super) fn telling(trailers: bool) -> Self {
        Self {
            trailers: if trailers { Trailers::Awaited } else { Trailers::Unread },
            ..Self::default()
        }
    }

    /// The trailers that were awaited and came.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        match &self.trailers {
            Trailers::Kept(trailers) => Some(trailers),
            Trailers::Unread | Trailers::Awaited => None,
        }
    }

    /// Whether all of it could be sent to another destination.
    pub(super) fn is_replayable(&self) -> bool {
        self.replay.is_some()
    }

    /// Begins once more, for another destination.
    pub(super) fn rewind(&mut self) {
        if let Some(replay) = &mut self.replay {
            replay.next = 0;
            (self.given, self.complete) = (false, false);
        }
    }

    /// There will be no other attempt.
    pub(super) fn settle(&mut self) {
        if self
            .replay
            .as_ref()
            .is_some_and(|replay| replay.next == replay.pieces.len())
        {
            self.replay = None;
        }
    }

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

    /// More of it can only come from the source.
    pub(super) fn is_starved(&self) -> bool {
        self.starved
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
        self.starved = false;
        loop {
            match to.poll_taken(cx) {
                Poll::Ready(taken) => taken.map_err(Broken::Destination)?,
                Poll::Pending => {
                    let held = self.backlog.poll_hold(cx, from.received() + to.unsent());
                    return held.map(|()| Err(Broken::Limit));
                }
            }
            self.backlog.release();
            if self.owed > 0 {
                from.release(std::mem::take(&mut self.owed));
            }
            if self.given {
                self.complete = true;
                return Poll::Ready(Ok(()));
            }
            let piece = if let Some(piece) = self.replay.as_mut().and_then(Replay::next) {
                piece
            } else {
                let piece = from.poll_piece(cx);
                self.starved = piece.is_pending();
                let piece = ready!(piece).map_err(Broken::Source)?;
                self.note(&piece);
                piece
            };
            self.given = piece.is_last();
            to.give(cx, piece).map_err(Broken::Destination)?;
        }
    }

    fn note(&mut self, piece: &Piece) {
        match piece {
            Piece::Data(data, _) => {
                self.owed = data.len();
                self.bytes += data.len() as u64;
            }
            Piece::Trailers(trailers) => {
                self.grpc_status = grpc_status(trailers);
                if let Trailers::Awaited = self.trailers {
                    self.trailers = Trailers::Kept(Box::new(trailers.clone()));
                }
            }
            Piece::End => {}
        }
        self.replay = self.replay.take().and_then(|replay| replay.with(piece));
    }
}

impl Replay {
    fn next(&mut self) -> Option<Piece> {
        let piece = self.pieces.get(self.next)?.clone();
        self.next += 1;
        Some(piece)
    }

    /// With a piece that has just been sent; `None` when that is too much to keep.
    fn with(mut self, piece: &Piece) -> Option<Self> {
        if let Piece::Data(data, _) = piece {
            self.bytes += data.len();
        }
        self.pieces.push(piece.clone());
        self.next += 1;
        (self.bytes <= REPLAY).then_some(self)
    }
}

/// The `grpc-status` of trailers or of a head without a body.
pub(super) fn grpc_status(fields: &HeaderMap) -> Option<u32> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The name of what broke a transfer from `source` to `destination`.
pub(super) fn reason(broken: &Broken, source: Role, destination: Role) -> Reason {
    match broken {
        Broken::Source(trouble) => source.reason(*trouble),
        Broken::Destination(trouble) => destination.reason(*trouble),
        Broken::Limit => Reason::BufferLimit,
    }
}
