//! A cluster on one machine, wired as Calico and kube-proxy wire one.
//!
//! ```text
//!   pod ek-...-client              node ek-...-node                      pod ek-...-r1
//!   10.244.0.1, fd00:244::1  <-->  routes /32 and /128 to each pod  <--> 10.244.0.2, fd00:244::2
//!   default via the node           VIPs: DNAT in PREROUTING              default via the node
//! ```
//!
//! Every pod hangs on its own veth and the node routes between them, so a VIP's packets and their answers both pass the
//! node, where the translation is done and undone. Nothing of a service is configured in the pods: what happens to
//! a connection there is the mesh's doing. Clusters do not see each other, so all may use the same addresses.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

use anyhow::Result;

use crate::namespace::Namespace;
use crate::pod::Pod;
use crate::replica::Replica;
use crate::service::Service;
use crate::vip;

/// The node's own address on every veth.
const NODE_IPV4: Ipv4Addr = Ipv4Addr::new(10, 244, 255, 254);
const NODE_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x244, 0, 0, 0, 0, 0xffff, 0xfffe);

/// A node and the addresses it has given away. The pods are the caller's.
#[derive(Debug)]
pub struct Cluster {
    node: Arc<Namespace>,
    pods: AtomicU8,
}

/// An address family; tests run their story for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

// === impl Cluster ===

impl Cluster {
    /// A node without pods.
    pub fn new() -> Result<Self> {
        let node = Namespace::new("node")?;
        node.sysctl(&["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])?;
        Ok(Self {
            node: Arc::new(node),
            pods: AtomicU8::new(0),
        })
    }

    /// The namespace that routes and translates.
    pub fn node(&self) -> &Namespace {
        &self.node
    }

    /// The node's address, from which a kubelet looks at its pods.
    pub fn node_ip(family: Family) -> IpAddr {
        match family {
            Family::V4 => NODE_IPV4.into(),
            Family::V6 => NODE_IPV6.into(),
        }
    }

    /// A pod with the next free addresses, reachable at once from every other pod.
    pub fn pod(&self, role: &str) -> Result<Pod> {
        let number = self.pods.fetch_add(1, Ordering::Relaxed) + 1;
        let (ipv4, ipv6) = pod_addresses(number);
        let namespace = Namespace::new(role)?;
        let link = format!("pod{number}");
        self.node.ip(&format!(
            "link add {link} type veth peer name eth0 netns {}",
            namespace.name()
        ))?;
        for (end, name, own, other) in [
            (&*self.node, link.as_str(), (NODE_IPV4, NODE_IPV6), (ipv4, ipv6)),
            (&namespace, "eth0", (ipv4, ipv6), (NODE_IPV4, NODE_IPV6)),
        ] {
            end.ip(&format!("link set {name} up"))?;
            end.ip(&format!("addr add {}/32 dev {name}", own.0))?;
            end.ip(&format!("addr add {}/128 dev {name} nodad", own.1))?;
            end.ip(&format!("route add {}/32 dev {name}", other.0))?;
            end.ip(&format!("route add {}/128 dev {name}", other.1))?;
        }
        namespace.ip(&format!("route add default via {NODE_IPV4}"))?;
        namespace.ip(&format!("route add default via {NODE_IPV6}"))?;
        Ok(Pod::new(Arc::new(namespace), Arc::clone(&self.node), ipv4, ipv6))
    }

    /// `count` replicas named `r1`, `r2`, ..., each in a pod of its own, ready to serve.
    pub fn replicas(&self, count: usize) -> Result<Vec<Replica>> {
        (1..=count)
            .map(|number| self.replica(&format!("r{number}"), 0))
            .collect()
    }

    /// One replica that thinks for `delay` milliseconds before each answer.
    pub fn replica(&self, name: &str, delay: u64) -> Result<Replica> {
        Replica::start(self.pod(name)?, name, delay)
    }

    /// Makes the service's VIP reachable from every pod, as kube-proxy does it.
    pub fn expose(&self, service: &Service) -> Result<()> {
        vip::install(&self.node, service)
    }
}

// === impl Family ===

impl Family {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// An address of this family that is a Service's; `number` tells services apart.
    pub fn vip(self, number: u8) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, 96, 0, number).into(),
            Self::V6 => Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, number.into()).into(),
        }
    }

    /// The loopback address.
    pub fn loopback(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::LOCALHOST.into(),
            Self::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }
}

fn pod_addresses(number: u8) -> (Ipv4Addr, Ipv6Addr) {
    (
        Ipv4Addr::new(10, 244, 0, number),
        Ipv6Addr::new(0xfd00, 0x244, 0, 0, 0, 0, 0, number.into()),
    )
}
