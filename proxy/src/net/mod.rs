//! Sockets and the bytes between them: listening, connecting, the original destination, and the relay.
//!
//! Nothing here knows a protocol, but for [`meter`], which stands in front of the `h2` crate on either side of the proxy. What moves bytes is written as `poll` functions over the two closed kinds of
//! [`stream::Stream`], because the read buffer belongs to the thread and may not be held across an `await`.

pub mod backlog;
pub mod connect;
pub mod descriptors;
pub mod listen;
pub mod local;
pub mod meter;
pub mod options;
pub mod original_dst;
pub mod prefixed;
pub mod pump;
pub mod relay;
pub mod scratch;
pub mod spare;
pub mod splice;
pub mod stream;
pub mod unsent;

#[cfg(test)]
mod testing;
