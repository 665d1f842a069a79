//! Envoy 1.40 as the oracle: the same resources and the same requests, given to it and to us.
//!
//! Both stand behind the same redirection in pods that are alike, as the same user. What they do differently on purpose is listed
//! in `expected.rs` and shown in `differences.rs`, and `docs/envoy.md` says why; nothing else may differ.

mod actions;
mod chains;
mod differences;
mod exchange;
mod expected;
mod idle;
mod mirror;
mod refusals;
mod routes;
mod shares;
mod streams;
mod world;
