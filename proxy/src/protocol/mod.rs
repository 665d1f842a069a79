//! What each protocol does with a connection.
//!
//! To add a protocol: `protocol/<name>/` with a `serve`, its signature in `detect`, and its row in [`Spoken`]; the
//! compiler then names the match in `flow` that wants a line.

mod bounds;
pub mod detect;
pub mod http;
pub mod opaque;
mod session;

pub use bounds::{Bounds, Interim};
pub use session::{Context, Session};

/// What is spoken on a connection, once that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// Bytes that are passed on as they are.
    Opaque,
}
