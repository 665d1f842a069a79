//! How a message says where its body ends: `Content-Length` and `Transfer-Encoding` (RFC 9112 6).

use super::Fault;
use super::Version;
use super::octets;
use crate::failure::Reason;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// This many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// All bytes until the connection is closed: responses alone.
    UntilClose,
}

/// What the framing fields of one head said.
#[derive(Default)]
pub(super) struct FramingFields {
    length: Option<u64>,
    /// A `Transfer-Encoding` was there.
    coded: bool,
    /// Its last coding so far is chunked.
    chunked: bool,
    /// Another coding was there too.
    other: bool,
}

impl FramingFields {
    /// One `Content-Length` line. A second is refused even if it says the same: RFC 9112 6.3 lets a recipient choose,
    /// and what this one forwards the next one must not have to judge.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.length.is_some() {
            return Err(Fault::malformed("Content-Length more than once"));
        }
        let Some(length) = octets::decimal(value) else {
            return Err(Fault::malformed("a Content-Length that is not one number"));
        };
        self.length = Some(length);
        Ok(())
    }

    /// One `Transfer-Encoding` line.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.coded = true;
        for coding in value.split(|byte| *byte == b',').map(octets::trim) {
            if coding.is_empty() {
                return Err(Fault::malformed("an empty element in Transfer-Encoding"));
            }
            if self.chunked {
                return Err(Fault::malformed("chunked is not the last transfer coding"));
            }
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = true;
            } else {
                self.other = true;
            }
        }
        Ok(())
    }

    /// The body's framing, after the last field line; `None` if no field spoke of it.
    pub(super) fn settle(&self, version: Version) -> Result<Option<Framing>, Fault> {
        if !self.coded {
            return Ok(self.length.map(Framing::Length));
        }
        if self.length.is_some() {
            return Err(Fault::malformed("Content-Length beside Transfer-Encoding"));
        }
        if version == Version::Http10 {
            return Err(Fault::malformed("Transfer-Encoding in HTTP/1.0"));
        }
        if !self.chunked {
            return Err(Fault::malformed("the last transfer coding is not chunked"));
        }
        if self.other {
            return Err(Fault::because(
                Reason::UnknownCoding,
                "a transfer coding other than chunked",
            ));
        }
        Ok(Some(Framing::Chunked))
    }
}
