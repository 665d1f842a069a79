//! What all that goes to a collector of OTLP has in common. All of it runs on the control thread, but for what writes messages.
//!
//! ```text
//! sender    one message to the collector, over gRPC or over HTTP     way     whether it takes them, told when that changes
//! sent      what became of one                                       counts  what became of all
//! resource  who we are                                               wire    messages as bytes, for signals without the SDK
//! ```
//!
//! A signal with few kinds of messages is written as bytes: the generated types and the SDK behind them would be resident in
//! every idle sidecar.

mod counts;
mod resource;
mod sender;
mod sent;
mod way;
pub mod wire;

pub use counts::Counts;
pub use resource::resource;
pub use sender::LOGS;
pub use sender::METRICS;
pub use sender::Sender;
pub use sender::Signal;
pub use sent::Rejected;
pub use sent::Sent;
pub use way::Way;

/// The conventions that names of attributes follow.
pub const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";
/// The scope of what we tell.
pub const SCOPE: &str = "evenkeel";
