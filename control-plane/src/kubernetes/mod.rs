//! A cluster as a source: what its API server has, as services of the mesh.
//!
//! ```text
//! cluster    the world kept up to date, and told as changes                        async
//! status     what is to be told, written into status and as Events                 async
//! lease      which replica writes                                                  async
//! events     what is told of objects that have no status of ours                   pure
//! watch      one kind of objects, listed and watched for ever; failures outlived   async
//! translate  a Service and what is said about it, as a service of the mesh         pure
//! gateway    routes and policies at one Service                                    pure
//! world      all objects, and which services a change concerns                     pure
//! objects    of each object the few fields that are used                           pure
//! verdict    what is to be told of objects that cannot be used as they are         shared
//! ```
//!
//! To add a kind: a variant of [`Kind`] with its row in `kind.rs`, a variant of [`objects::Object`] with the services that it
//! concerns, its small struct in `objects/` with a `keep`, and its line in [`watch::begin`].

pub mod cluster;
pub mod events;
pub mod gateway;
pub mod key;
pub mod kind;
pub mod lease;
pub mod objects;
pub mod status;
pub mod translate;
pub mod verdict;
pub mod watch;
pub mod world;

pub use cluster::Cluster;
pub use key::Key;
pub use kind::Kind;
