//! A cluster as a source: what its API server has, as services of the mesh.
//!
//! ```text
//! watch      one kind of objects, listed and watched for ever; failures outlived   async
//! objects    of each object the few fields that are used                           pure
//! world      all objects, and which services a change concerns                     pure
//! verdict    what is to be told of objects that cannot be used as they are         shared
//! ```
//!
//! To add a kind: a variant of [`Kind`] with its row in `kind.rs`, a variant of [`objects::Object`] with the services that it
//! concerns, its small struct in `objects/` with a `keep`, and its line in [`watch::begin`].

pub mod key;
pub mod kind;
pub mod objects;
pub mod verdict;
pub mod watch;
pub mod world;

pub use key::Key;
pub use kind::Kind;
