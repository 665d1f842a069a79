//! Everything about the control API: the typed resources that a data plane runs on, the mesh document, and the
//! translation between both through real xDS v3 messages.
//!
//! ```text
//! mesh document (YAML)
//!   -> mesh::parse      -> mesh::MeshDocument    plain, every default filled in
//!   -> mesh::translate  -> xds::Messages         what a control plane would send
//!   -> xds::decode      -> resource::Resources   typed, checked once
//! ```
//!
//! The generated xDS types (`envoy-types`) stay inside this crate: no public signature names one.

pub mod ads;
pub mod defaults;
pub mod fault;
pub mod file;
pub mod host;
mod known;
pub mod mesh;
mod report;
pub mod resource;
pub mod serve;
pub mod tap;
pub mod xds;
