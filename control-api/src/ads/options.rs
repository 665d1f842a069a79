//! What a client asks for, and how much it takes.

use crate::ads::interest::Clusters;
use crate::ads::interest::Listeners;
use crate::ads::message::Mode;

/// What a client asks for, and how much it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which listeners.
    pub listeners: Listeners,
    /// Which clusters.
    pub clusters: Clusters,
    /// What is spoken first. A server that does not know delta is asked for the state of the world.
    pub mode: Mode,
    /// Of one response, in bytes. The default is 256 MiB; gRPC's own, 4 MiB, is too little for a large mesh.
    pub most_message_bytes: usize,
    /// Of one resource, in bytes. The default is 16 MiB.
    pub most_resource_bytes: usize,
    /// Of one type. The default is 100,000.
    pub most_resources: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listeners: Listeners::Wildcard,
            clusters: Clusters::Wildcard,
            mode: Mode::Delta,
            most_message_bytes: 256 << 20,
            most_resource_bytes: 16 << 20,
            most_resources: 100_000,
        }
    }
}
