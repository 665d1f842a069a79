//! The way of a connection through the proxy, in process: real loopback sockets on both sides, upstreams that misbehave
//! on purpose. One binary, so that the support is compiled once and what nobody uses is seen.

mod answers;
mod bodies;
mod connections;
mod heads;
mod http2;
mod races;
mod retries;
#[path = "../support/mod.rs"]
mod support;
mod upgrades;
