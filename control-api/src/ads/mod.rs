//! The ADS client: what a data plane gets its configuration with, from any control plane that speaks xDS v3.
//!
//! ```no_run
//! # async fn follow() -> Result<(), Box<dyn std::error::Error>> {
//! use evenkeel_control_api::ads::{Client, Options, bootstrap::Bootstrap};
//! let (bootstrap, _notes) = Bootstrap::read("/etc/evenkeel/xds.json".as_ref())?;
//! let client = Client::start(bootstrap, Options::default());
//! loop {
//!     let change = client.changed().await;
//!     println!("{} resources are new", change.update.set.len());
//! }
//! # }
//! ```
//!
//! # Floors
//! Everything below `connect` is a plain value: time and chance are arguments, and no socket is in sight.
//!
//! ```text
//! client                        the task: which server, and when
//! session                       one stream's reading and writing
//! csds                          what users see, for other people's tools
//! status, shared                what users see, and how it is shared with them
//! connect, wire, bootstrap      channels, generated types, where servers are
//! machine                       the whole state of a client
//! stream, warming, interest     what is written | what is in force | what is wanted
//! store                         what is known of each resource
//! references, names, intake     who names whom | subscriptions | resources as they arrive
//! servers, backoff, pending     pure parts
//! options                       what a client asks for
//! message                       requests and responses
//! ```

mod backoff;
pub mod bootstrap;
mod client;
mod connect;
pub mod csds;
mod intake;
mod interest;
mod machine;
mod message;
mod names;
mod options;
mod pending;
mod per_kind;
mod references;
#[cfg(test)]
#[path = "../../tests/ads/resources.rs"]
mod resources;
mod servers;
mod session;
mod shared;
mod status;
mod store;
mod stream;
mod warming;
mod wire;

pub use client::Client;
pub use client::Subscriptions;
pub use interest::Clusters;
pub use interest::Listeners;
pub use machine::Answer;
pub use machine::Change;
pub use machine::Doors;
pub use message::Mode;
pub use options::Options;
pub use status::Connection;
pub use status::Ended;
pub use status::KindStatus;
pub use status::ServerStatus;
pub use status::Status;
pub use store::Entry;
pub use store::Refusal;
pub use store::State;
