//! A pod: a namespace with an address of each family, and on request with the mesh in it.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use anyhow::Result;

use crate::cluster::Family;
use crate::document::Document;
use crate::mesh::Mesh;
use crate::namespace::Namespace;

/// A namespace on a cluster's network. Clones are the same pod; it is gone when the last of them is.
#[derive(Debug, Clone)]
pub struct Pod {
    namespace: Arc<Namespace>,
    node: Arc<Namespace>,
    ipv4: Ipv4Addr,
    ipv6: Ipv6Addr,
}

// === impl Pod ===

impl Pod {
    pub(crate) fn new(namespace: Arc<Namespace>, node: Arc<Namespace>, ipv4: Ipv4Addr, ipv6: Ipv6Addr) -> Self {
        Self {
            namespace,
            node,
            ipv4,
            ipv6,
        }
    }

    /// The namespace of its node.
    pub fn node(&self) -> &Namespace {
        &self.node
    }

    /// Its address.
    pub fn ip(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.ipv4.into(),
            Family::V6 => self.ipv6.into(),
        }
    }

    /// Its address with a port.
    pub fn at(&self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(family), port)
    }

    /// Puts the pod into the mesh: `evenkeel-init install`, then `evenkeel-proxy run` as the proxy's user, until ready.
    pub fn mesh(&self, document: &Document) -> Result<Mesh> {
        Mesh::install(self.clone(), document)
    }

    /// As [`Pod::mesh`], without waiting for the proxy to be ready, for a proxy whose configuration is not there yet.
    pub fn unready_mesh(&self, document: &Document) -> Result<Mesh> {
        Mesh::begin(self.clone(), document)
    }
}

impl Deref for Pod {
    type Target = Namespace;

    /// Whatever a namespace can do, a pod can.
    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}
