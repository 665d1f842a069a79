//! The server kit over loopback, asked by a client that is generated from the same protocol.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod conversation;
mod crowd;
mod end;
mod guarded;
mod skew;
mod support;
