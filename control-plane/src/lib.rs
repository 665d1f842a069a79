//! Evenkeel's control plane: what a mesh is to have, served over xDS.
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
//! log           one line for each event
//! ```

pub mod access;
pub mod app;
pub mod cli;
pub mod inject;
pub mod kubernetes;
mod log;
pub mod source;
mod telemetry;
pub mod views;
pub mod webhook;
