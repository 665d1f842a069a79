//! The program, run as it is, and asked over the wire.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod api;
mod client;
mod objects;
mod program;
mod run;
mod scale;
mod serve;
