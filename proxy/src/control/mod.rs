//! Where snapshots come from: a mesh document that is watched, or a control plane.
//!
//! ```text
//! file          -> control-api (watched; typed resources) -> snapshot::Compiler -> Status (published)
//! control plane -> control-api (ADS client; typed resources that are warm) -> the same
//! ```
//!
//! A bad update is refused aloud and the last good one stays in force.

pub mod asking;
mod demand;
pub mod dns;
pub mod plane;
mod publisher;
pub mod source;
pub mod status;

pub use demand::Usage;
