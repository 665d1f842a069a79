//! A message that is made and not packed yet: who reads it may need it otherwise.

use crate::xds::Packed;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;

/// A message that is about to be packed.
#[derive(Debug)]
pub(super) enum Outgoing {
    Cluster(Box<Cluster>),
    Assignment(ClusterLoadAssignment),
    Listener(Box<Listener>),
}

impl From<Cluster> for Outgoing {
    fn from(cluster: Cluster) -> Self {
        Self::Cluster(cluster.into())
    }
}

impl From<ClusterLoadAssignment> for Outgoing {
    fn from(assignment: ClusterLoadAssignment) -> Self {
        Self::Assignment(assignment)
    }
}

impl From<Listener> for Outgoing {
    fn from(listener: Listener) -> Self {
        Self::Listener(listener.into())
    }
}

impl Outgoing {
    /// The message as it is.
    pub(super) fn pack(&self) -> Packed {
        match self {
            Self::Cluster(cluster) => Packed::new(&**cluster),
            Self::Assignment(assignment) => Packed::new(assignment),
            Self::Listener(listener) => Packed::new(&**listener),
        }
    }
}
