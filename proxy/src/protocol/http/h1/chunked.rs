//! The chunked coding (RFC 9112 7.1), one byte of framing at a time.

use http::HeaderMap;

use super::Fault;
use super::body::take;
use super::extension::Extension;
use super::fields;
use super::head;
use crate::failure::Reason;

/// Bytes of one chunk's extensions. Nobody sends any; they are a way to make a server work for nothing.
const MOST_EXTENSION: u16 = 256;
/// Bytes of the trailer section.
const MOST_TRAILER_BYTES: usize = 64 * 1024;
/// Lines of the trailer section.
const MOST_TRAILER_FIELDS: usize = 100;

/// Follows one chunked body.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    /// The reason that a fault in it is counted under.
    fault: Reason,
    /// The trailer line that is being read; empty until there is one.
    line: Vec<u8>,
    trailer_bytes: usize,
    trailer_fields: usize,
    trailers: Option<Box<HeaderMap>>,
}

/// ```text
/// Size -> [Extension ->] SizeLf -> Data -> DataCr -> DataLf -> Size ...
///                              \-> (0) Line -> ... -> Line (empty) -> Done
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many digits of the size were read.
    Size {
        size: u64,
        digits: u8,
    },
    /// Behind the size and a semicolon, before the CR.
    Extension {
        size: u64,
        length: u16,
        place: Extension,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// In a line of the trailer section.
    Line,
    Done,
}

/// What becomes of trailers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trailers {
    /// They are verified, and go on as they are.
    Forwarded,
    /// They are verified and kept.
    Kept,
}

impl Chunked {
    pub(super) fn new(fault: Reason) -> Self {
        Self {
            state: State::Size { size: 0, digits: 0 },
            fault,
            line: Vec::new(),
            trailer_bytes: 0,
            trailer_fields: 0,
            trailers: None,
        }
    }

    pub(super) fn done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take().map(|trailers| *trailers)
    }

    /// Steps over framing, up to content, the end of the message, or the end of `bytes`; how many bytes that is.
    pub(super) fn framing(&mut self, bytes: &[u8], trailers: Trailers) -> Result<usize, Fault> {
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(self.state, State::Data { .. } | State::Done) {
                return Ok(at);
            }
            self.state = match self.step(*byte, trailers) {
                Ok(state) => state,
                Err(detail) => return Err(Fault::because(self.fault, detail)),
            };
        }
        Ok(bytes.len())
    }

    /// Steps over content, of which `available` bytes are there; how many of them are.
    pub(super) fn data(&mut self, available: usize) -> usize {
        let State::Data { left } = &mut self.state else {
            return 0;
        };
        let taken = take(left, available);
        if *left == 0 {
            self.state = State::DataCr;
        }
        taken
    }

    fn step(&mut self, byte: u8, trailers: Trailers) -> Result<State, &'static str> {
        match (self.state, byte) {
            (State::Size { size, digits }, _) => after_size(size, digits, byte),
            (State::Extension { size, length, place }, _) => in_extension(size, length, place, byte),
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::Line),
            (State::SizeLf { size }, b'\n') => Ok(State::Data { left: size }),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            (State::Line, _) => self.trailer_byte(byte, trailers),
            (State::SizeLf { .. } | State::DataCr | State::DataLf, _) => Err("a chunk that does not end with CRLF"),
            // `framing` does not step in these.
            (State::Data { .. } | State::Done, _) => Ok(self.state),
        }
    }

    fn trailer_byte(&mut self, byte: u8, trailers: Trailers) -> Result<State, &'static str> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > MOST_TRAILER_BYTES {
            return Err("trailers of more than 64 KiB");
        }
        self.line.push(byte);
        if byte != b'\n' {
            return Ok(State::Line);
        }
        if self.line == b"\r\n" {
            self.line = Vec::new();
            return Ok(State::Done);
        }
        if !self.line.ends_with(b"\r\n") {
            return Err("a line feed without a carriage return in the trailers");
        }
        self.trailer_fields += 1;
        if self.trailer_fields > MOST_TRAILER_FIELDS {
            return Err("more than 100 trailers");
        }
        let field = head::field(&self.line, 0, self.line.len()).map_err(|fault| fault.detail)?;
        if is_framing(field.name) {
            return Err("a framing field among the trailers");
        }
        if trailers == Trailers::Kept && !is_hop_by_hop(field.name) {
            let kept = self.trailers.get_or_insert_default();
            fields::append(field.name, field.value, kept).map_err(|fault| fault.detail)?;
        }
        self.line.clear();
        Ok(State::Line)
    }
}

fn after_size(size: u64, digits: u8, byte: u8) -> Result<State, &'static str> {
    match (byte as char).to_digit(16) {
        // 15 digits are below 2^60: no overflow, and more than anyone sends.
        Some(_) if digits == 15 => Err("a chunk size that is too large"),
        Some(digit) => Ok(State::Size {
            size: size << 4 | u64::from(digit),
            digits: digits + 1,
        }),
        None if digits == 0 => Err("a chunk without a size"),
        None if byte == b'\r' => Ok(State::SizeLf { size }),
        None if byte == b';' => Ok(State::Extension {
            size,
            length: 0,
            place: Extension::Semicolon,
        }),
        None => Err("a chunk size that is not hexadecimal digits alone"),
    }
}

fn in_extension(size: u64, length: u16, place: Extension, byte: u8) -> Result<State, &'static str> {
    match (byte, place.step(byte)) {
        (b'\r', _) if place.may_end() => Ok(State::SizeLf { size }),
        (b'\n', _) => Err("a line feed without a carriage return in a chunk"),
        (_, None) => Err("a byte in a chunk extension that may not stand there"),
        _ if length == MOST_EXTENSION => Err("a chunk extension that is too long"),
        (_, Some(place)) => Ok(State::Extension {
            size,
            length: length + 1,
            place,
        }),
    }
}

/// RFC 9110 6.5.1: what a reader that merges trailers into the head would frame or route by.
fn is_framing(name: &[u8]) -> bool {
    [&b"content-length"[..], b"transfer-encoding", b"host"]
        .iter()
        .any(|framing| framing.eq_ignore_ascii_case(name))
}

/// What HTTP/2 has no place for.
fn is_hop_by_hop(name: &[u8]) -> bool {
    [
        &b"connection"[..],
        b"keep-alive",
        b"proxy-connection",
        b"upgrade",
        b"te",
    ]
    .iter()
    .any(|hop| hop.eq_ignore_ascii_case(name))
}
