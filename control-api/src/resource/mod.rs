//! The typed resources that a data plane is built from: what came out of xDS messages, checked once, closed for ever.
//!
//! To add an xDS field: its decode and its type are in `resource/<kind>.rs`, its consumer in the proxy's `snapshot`.

pub mod cluster;
pub mod endpoint;
mod filters;
mod hash;
mod http_options;
mod kind;
pub mod listener;
pub mod matcher;
pub mod route;
mod update;
mod value;

pub use cluster::Cluster;
pub use endpoint::ClusterLoadAssignment;
pub use hash::HashKey;
pub use kind::Kind;
pub use listener::Listener;
pub use route::RouteConfiguration;
pub use update::{Catalog, Resource, Update};

/// One consistent set of resources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// LDS.
    pub listeners: Vec<Listener>,
    /// RDS, for listeners that name their routes instead of carrying them.
    pub routes: Vec<RouteConfiguration>,
    /// CDS.
    pub clusters: Vec<Cluster>,
    /// EDS.
    pub assignments: Vec<ClusterLoadAssignment>,
}
