//! One side of an exchange, in either version.

use super::one::One;
use super::two::Two;
use crate::failure::Reason;
use bytes::Bytes;
use http::HeaderMap;
use std::task::{Context, Poll};

/// A part of a body.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Content, and whether it is the last of the body.
    Data(Bytes, bool),
    /// The trailers, which end the body.
    Trailers(HeaderMap),
    /// The end, after all content.
    End,
}

impl Piece {
    /// Whether the body ends with it.
    pub(super) fn is_last(&self) -> bool {
        !matches!(self, Self::Data(_, false))
    }
}

/// Who is on a side: decides what its failures mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Endpoint,
}

/// What can go wrong while a body is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The peer reset the stream or the connection, or closed where bytes were due.
    Gone,
    /// The peer broke its protocol.
    Malformed,
}

impl Role {
    /// What trouble on this side is called.
    pub(super) fn reason(self, trouble: Trouble) -> Reason {
        match (self, trouble) {
            (Self::Client, Trouble::Gone) => Reason::DownstreamGone,
            (Self::Client, Trouble::Malformed) => Reason::MalformedBody,
            (Self::Endpoint, Trouble::Gone) => Reason::TruncatedResponse,
            (Self::Endpoint, Trouble::Malformed) => Reason::MalformedResponse,
        }
    }
}

/// One side.
pub(super) enum Side<'a> {
    One(One<'a>),
    Two(Two),
}

impl Side<'_> {
    /// The next piece that this side sends us.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Trouble>> {
        match self {
            Self::One(one) => one.poll_piece(cx),
            Self::Two(two) => two.poll_piece(cx),
        }
    }

    /// The peer may send this many bytes more: those that it sent have been passed on.
    pub(super) fn release(&mut self, bytes: usize) {
        match self {
            // TCP's window opens by reading.
            Self::One(_) => {}
            Self::Two(two) => two.release(bytes),
        }
    }

    /// Bytes that the peer has sent and that were not passed on.
    pub(super) fn received(&mut self) -> usize {
        match self {
            Self::One(one) => one.rest().len(),
            Self::Two(two) => two.received(),
        }
    }

    /// Bytes that the peer was given and may not have taken.
    pub(super) fn unsent(&self) -> usize {
        match self {
            Self::One(one) => one.unsent(),
            Self::Two(two) => two.unsent(),
        }
    }

    /// Ready when everything given to [`Side::give`] was taken by the peer's window or socket.
    pub(super) fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        match self {
            Self::One(one) => one.poll_taken(cx),
            Self::Two(two) => two.poll_taken(cx),
        }
    }

    /// Sends a piece; to be called only when [`Side::poll_taken`] is ready.
    pub(super) fn give(&mut self, cx: &mut Context<'_>, piece: Piece) -> Result<(), Trouble> {
        match self {
            Self::One(one) => one.give(cx, piece),
            Self::Two(two) => two.give(piece),
        }
    }
}
