//! The way of a connection through the proxy, in process: real loopback sockets on both sides, upstreams that misbehave
//! on purpose. One binary, so that the support is compiled once and what nobody uses is seen.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod access_log;
mod answers;
mod bodies;
mod budget;
mod clusters;
mod connections;
mod destinations;
mod early;
mod endpoints;
mod forwarded_for;
mod goodbyes;
mod heads;
mod hops;
mod http2;
mod idle_race;
mod itself;
mod limits;
mod malformed;
mod mesh_routes;
mod opaque;
mod races;
mod refusals;
mod refused;
mod replays;
mod retries;
mod routes;
mod tap;
mod traces;
mod truncated;
mod upgrades;

#[path = "../support/mod.rs"]
mod support;
