//! A mesh document in a file: read, and watched for changes.

mod document;
mod watch;

pub use document::{Document, Refused, SIZE_LIMIT};
pub use watch::Watch;
