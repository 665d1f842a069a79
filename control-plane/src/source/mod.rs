//! Where services come from.
//!
//! To add a source: a type that implements [`EndpointSource`], and where `app` runs it. It tells changes as it learns of them, each
//! service as a whole.

pub mod dns;
pub mod file;

use crate::views::Views;
use std::sync::Arc;

/// Something that knows services and their endpoints.
pub trait EndpointSource {
    /// Tells every change to `views`, for as long as there is anything to tell: most sources never end. What a source cannot
    /// find out any more stays in force as it was.
    fn run(self, views: Arc<Views>) -> impl Future<Output = ()> + Send;
}
