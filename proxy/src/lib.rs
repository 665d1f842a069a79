//! Evenkeel's data plane: takes over a pod's TCP traffic, finds out what is spoken, and balances every request.
//!
//! # Layout
//! A module imports only from floors below its own, never from a neighbour (`tests/floors.rs` is the judge).

// The words that everyone shares.
pub mod failure;
pub mod lifecycle;
// Sockets | counters; pure deciders, which do not know each other.
pub mod balance;
pub mod net;
pub mod route;
pub mod telemetry;
// The compiled, immutable configuration.
pub mod snapshot;
// The live state of endpoints: load, pools, connecting.
pub mod upstream;
// Where configurations come from.
pub mod control;
// What each protocol does with a connection.
pub mod protocol;
// The story of one connection.
pub mod flow;
// The operator's door | one thread that carries traffic.
pub mod admin;
pub mod worker;
// Wiring.
pub mod app;
// The program's command line.
pub mod cli;
