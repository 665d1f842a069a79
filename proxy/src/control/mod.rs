//! Where snapshots come from: a mesh document that is watched, or, later, a control plane.
//!
//! ```text
//! file -> Document (watched) -> control-api (typed resources) -> snapshot::compile -> Status (published)
//! ```
//!
//! A bad update is refused aloud and the last good one stays in force.

pub mod document;
pub mod source;
pub mod status;
mod watch;
