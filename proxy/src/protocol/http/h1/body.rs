//! Where a message body ends, followed through arbitrary splits.

use std::ops::Range;

use http::HeaderMap;

use super::Fault;
use super::chunked::Chunked;
use super::chunked::Trailers;
use super::framing::Framing;
use crate::failure::Reason;

/// One message body. A relay that forwards it verbatim calls `scan` for all of it, one that frames it anew `decode`.
#[derive(Debug)]
pub enum Body {
    /// No body.
    None,
    /// This many bytes are still to come.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// Everything until the connection ends.
    UntilClose,
}

/// What `scan` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// So many of the bytes belong to this message.
    pub length: usize,
    /// The message is complete with them.
    pub done: bool,
}

/// What `decode` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// So many of the bytes are used up; the rest is for the next call, or for the next message after the end.
    pub consumed: usize,
    /// Where among them the content is; may be empty.
    pub data: Range<usize>,
    /// The message is complete.
    pub end: bool,
}

impl Body {
    /// The body of a request: its faults are the client's.
    pub fn of_request(framing: Framing) -> Self {
        Self::new(framing, Reason::MalformedBody)
    }

    /// The body of a response: its faults are the upstream's.
    pub fn of_response(framing: Framing) -> Self {
        Self::new(framing, Reason::MalformedResponse)
    }

    fn new(framing: Framing, fault: Reason) -> Self {
        match framing {
            Framing::None => Self::None,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunked::new(fault)),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// How many of `bytes` belong to this message, verified, for a relay that forwards them as they are.
    ///
    /// Chunks are checked to the letter (RFC 9112 7.1) before a byte of them is forwarded: what one side takes for the
    /// end of a chunk the other must, too.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scanned, Fault> {
        let length = match self {
            Self::None => 0,
            Self::Length(left) => take(left, bytes.len()),
            Self::Chunked(chunked) => {
                let mut at = 0;
                loop {
                    at += chunked.framing(&bytes[at..], Trailers::Forwarded)?;
                    match chunked.data(bytes.len() - at) {
                        0 => break at,
                        data => at += data,
                    }
                }
            }
            Self::UntilClose => bytes.len(),
        };
        Ok(Scanned {
            length,
            done: self.done(),
        })
    }

    /// The next piece of content in `bytes`, for a relay that frames it anew. Call it until all is consumed.
    ///
    /// The end is told together with the last content where the bytes allow it.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Fault> {
        let (consumed, data) = match self {
            Self::None => (0, 0..0),
            Self::Length(left) => {
                let data = take(left, bytes.len());
                (data, 0..data)
            }
            Self::Chunked(chunked) => {
                let start = chunked.framing(bytes, Trailers::Kept)?;
                let end = start + chunked.data(bytes.len() - start);
                (end + chunked.framing(&bytes[end..], Trailers::Kept)?, start..end)
            }
            Self::UntilClose => (bytes.len(), 0..bytes.len()),
        };
        Ok(Decoded {
            consumed,
            data,
            end: self.done(),
        })
    }

    /// The trailers that `decode` met, if there were any; to be taken once the message is complete.
    pub fn trailers(&mut self) -> Option<HeaderMap> {
        match self {
            Self::Chunked(chunked) => chunked.take_trailers(),
            Self::None | Self::Length(_) | Self::UntilClose => None,
        }
    }

    /// Whether no byte can follow any more.
    pub fn done(&self) -> bool {
        match self {
            Self::None => true,
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.done(),
            Self::UntilClose => false,
        }
    }

    /// Whether the message is complete when the connection ends here.
    pub fn finish(&self) -> bool {
        matches!(self, Self::UntilClose) || self.done()
    }
}

/// Takes what there is of what is left.
pub(super) fn take(left: &mut u64, available: usize) -> usize {
    let taken = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= taken as u64;
    taken
}

#[cfg(test)]
mod tests;
