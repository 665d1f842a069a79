//! Exchanges with HTTP/2 on at least one side: pieces of a body move from one side to the other, one at a time.
//!
//! ```text
//!   side (client) --piece--> transfer --piece--> side (endpoint)      and the answer the other way
//! ```
//! The source gets its flow-control credit back only when the destination has taken the bytes, so that a slow reader
//! slows its writer and nothing piles up here.

mod from_http1;
mod from_http2;
mod one;
mod side;
mod transfer;
mod two;

use super::attempt::REPLAY;

pub(super) use from_http1::from_http1;
pub(super) use from_http2::{Stream, to_http1, to_http2};
