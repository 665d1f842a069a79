//! Evenkeel's control plane: what a mesh is to have, served over xDS.
//!
//! ```text
//! cli           the command line
//! app           wiring: file -> server -> pages -> the end
//! source        a mesh document that is watched, as views
//! inject        a pod in, what it is to become out
//! telemetry     /metrics, /ready, /live
//! log           one line for each event
//! ```

pub mod app;
pub mod cli;
pub mod inject;
pub mod kubernetes;
mod log;
mod source;
mod telemetry;
