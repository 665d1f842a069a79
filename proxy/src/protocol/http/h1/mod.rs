//! The HTTP/1 codec: heads read as byte ranges, bodies followed without re-framing, both as pure functions of bytes.
//!
//! # Why our own
//! A relay wants to know where a message ends and to hand it on as it came; a header map, a channel and a task per
//! connection cost 20,000 instructions a request more than that (measured with hyper). A head is parsed in one pass,
//! without an allocation on the common path, into ranges of the buffer that it lies in, and is written again as a copy
//! of that buffer minus the lines that concern one hop alone.
//!
//! # What is strict, and why
//! What two parsers read differently is how requests are smuggled past policy (RFC 9112 11.2). Nothing ambiguous is
//! repaired here: it is refused, and the other side never sees it. A line ends with CRLF and nothing else; no CR, NUL or
//! other control byte stands inside one; no folded line; no space before a colon; one `Host`, always there in HTTP/1.1;
//! at most one `Content-Length`, of digits alone; a `Transfer-Encoding` that ends with its only `chunked`, in HTTP/1.1
//! alone, and never beside a `Content-Length`; chunk sizes of hexadecimal digits alone, and extensions by their grammar.
//!
//! # What is let through, and why
//! A transparent proxy must not break an application that works without it, where no two readers can differ about the
//! framing: bytes from 0x80 in a target or a field value (raw UTF-8, which RFC 3986 forbids and servers take), any visible
//! byte but `#` in a path or query (browsers send `|` and `"`), one CRLF before a request (RFC 9112 2.2), a missing reason
//! phrase, any status from 100 to 999, any method.
//!
//! # Layout
//! `octets` < `head` (lines) < `framing`, `connection`, `target` (fields that mean something) < `request`, `response`;
//! `fields` for header maps; `extension` < `chunked` < `body`; `write` for messages that do not come from HTTP/1.

mod body;
mod chunked;
mod connection;
mod extension;
mod fields;
mod forwarded_for;
mod framing;
mod head;
mod octets;
mod request;
mod response;
mod target;
pub mod write;

#[cfg(test)]
mod corpus;

use std::fmt;

use crate::failure::Reason;

pub use body::Body;
pub use body::Decoded;
pub use body::Scanned;
pub use chunked::Chunked;
pub use forwarded_for::forwarded_for;
pub use framing::Framing;
pub use head::Cuts;
pub use head::HeadLimits;
pub use head::Parsed;
pub use head::Span;
pub use head::head_end;
pub use request::RequestFields;
pub use request::RequestHead;
pub use request::request;
pub use response::Asked;
pub use response::Delivery;
pub use response::Downstream;
pub use response::ResponseFields;
pub use response::ResponseHead;
pub use response::response;
pub use target::TargetForm;
pub use target::is_authority;

/// The two versions that are spoken; any other is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, connections close unless both sides say otherwise.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// A message that is refused: the reason that is counted and answered, and the sentence for log and response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What follows from it.
    pub reason: Reason,
    /// What was wrong, in words of our own: never bytes of the peer.
    pub detail: &'static str,
}

impl Version {
    /// As it stands in a start line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }

    fn of(text: &[u8]) -> Result<Self, Fault> {
        match text {
            b"HTTP/1.1" => Ok(Self::Http11),
            b"HTTP/1.0" => Ok(Self::Http10),
            _ => Err(Fault::malformed("the version is not HTTP/1.0 or HTTP/1.1")),
        }
    }
}

impl Fault {
    const fn malformed(detail: &'static str) -> Self {
        Self {
            reason: Reason::MalformedRequest,
            detail,
        }
    }

    const fn because(reason: Reason, detail: &'static str) -> Self {
        Self { reason, detail }
    }

    /// The same words about a response: whatever is wrong with one, the upstream is to blame.
    const fn of_response(self) -> Self {
        Self {
            reason: Reason::MalformedResponse,
            detail: self.detail,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl std::error::Error for Fault {}
