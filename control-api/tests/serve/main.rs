//! The server kit over loopback, asked by a client that is generated from the same protocol.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod before;
mod conversation;
mod crowd;
mod end;
mod guarded;
#[path = "../recorded/mod.rs"]
mod recorded;
mod skew;
mod support;
