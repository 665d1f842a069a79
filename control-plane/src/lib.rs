//! Evenkeel's control plane: what a mesh is to have, served over xDS. A module imports only from floors below its own, never
//! from a neighbour (`tests/floors.rs` is the judge).
//!
//! ```text
//! cli           the command line
//! app           wiring: sources -> views -> server -> pages -> the end
//! telemetry     /metrics, /ready, /live
//! webhook       what the API server asks about new pods, over HTTPS
//! kubernetes    a cluster as a source: its objects, watched
//! source        where services come from: a mesh document, names that are resolved
//! views         what each class of nodes is to have
//! access        who may come in, and how we show who we are
//! inject        a pod in, what it is to become out
//! door          a listener that everybody may reach
//! log, outage   one line for each event | what is said once
//! ```

// One line for each event | what is said once | a listener that everybody may reach.
mod door;
mod log;
mod outage;
// A pod in, what it is to become out | who may come in.
pub mod access;
pub mod inject;
// What each class of nodes is to have.
pub mod views;
// Where services come from.
pub mod source;
// A cluster as a source.
pub mod kubernetes;
// What the API server asks about new pods.
pub mod webhook;
// What anybody may see.
mod telemetry;
// Wiring.
pub mod app;
// The program's command line.
pub mod cli;
