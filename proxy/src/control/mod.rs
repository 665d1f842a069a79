//! Where snapshots come from: a mesh document that is watched, or, later, a control plane.
//!
//! ```text
//! file -> Document (watched) -> control-api (typed resources) -> snapshot::compile -> Status (published)
//! ```
//!
//! A bad update is refused aloud and the last good one stays in force.

mod document;
mod source;
mod status;
mod watch;

pub use document::Document;
pub use document::Refused;
pub use document::SIZE_LIMIT;
pub use source::Source;
pub use status::Refusal;
pub use status::Status;
