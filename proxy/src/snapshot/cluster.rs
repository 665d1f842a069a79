//! A cluster with its endpoints joined in.

use evenkeel_control_api::resource;
use evenkeel_control_api::resource::ClusterLoadAssignment;
use evenkeel_control_api::resource::cluster;
use evenkeel_control_api::resource::cluster::{Algorithm, Spread, TcpOptions, UpstreamHttp};
use http::HeaderName;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

/// A set of endpoints that do the same, and how to talk to them.
#[derive(Debug, PartialEq)]
pub struct Cluster {
    /// Unique in the snapshot; live state is kept by it.
    pub name: Arc<str>,
    /// The service in metrics.
    pub service: Arc<str>,
    /// Where connections go.
    pub discovery: Discovery,
    /// How an endpoint is chosen.
    pub algorithm: Algorithm,
    /// Among which of them.
    pub spread: Spread,
    /// For the TCP handshake.
    pub connect_timeout: Duration,
    /// Which HTTP is spoken.
    pub http: UpstreamHttp,
    /// How a vanished peer is noticed.
    pub tcp: TcpOptions,
}

/// How the address that a client sent a connection to is changed.
#[derive(Debug, Default, PartialEq)]
pub struct OriginalDestination {
    /// The field of a request that names another address; `None`: no request may.
    pub header: Option<HeaderName>,
    /// Instead of the address's own.
    pub port: Option<NonZeroU16>,
}

/// Where connections of a cluster go.
#[derive(Debug, PartialEq)]
pub enum Discovery {
    /// To one of these, which the snapshot shares with the resource that they came by.
    Endpoints(Arc<ClusterLoadAssignment>),
    /// To where the client sent them.
    OriginalDestination(OriginalDestination),
}

impl Cluster {
    /// Joins the endpoints in: `assignment` finds them by name. Those that have not come yet are none.
    pub(super) fn compile(
        name: &Arc<str>,
        cluster: &resource::Cluster,
        assignment: impl FnOnce(&str) -> Option<Arc<ClusterLoadAssignment>>,
    ) -> Self {
        let named = |name: &str| assignment(name).unwrap_or_else(|| Arc::new(ClusterLoadAssignment::empty(name)));
        let discovery = match &cluster.discovery {
            cluster::Discovery::OriginalDestination(original) => Discovery::OriginalDestination(original.into()),
            cluster::Discovery::Static(assignment) => Discovery::Endpoints(Arc::clone(assignment)),
            cluster::Discovery::Eds(name) => Discovery::Endpoints(named(name)),
            cluster::Discovery::Dns(dns) => Discovery::Endpoints(named(&dns.assignment)),
        };
        Self {
            name: Arc::clone(name),
            service: Arc::from(cluster.stat_name.as_str()),
            discovery,
            algorithm: cluster.algorithm,
            spread: cluster.spread,
            connect_timeout: cluster.connect_timeout,
            http: cluster.http,
            tcp: cluster.tcp,
        }
    }

    /// The one endpoint that a connection to `destination` has to reach; `None`: balancing picks. `pinned` is where it has
    /// to go if the cluster lists its endpoints; `header` looks a field of the request up.
    pub fn pinned<'a>(
        &self,
        destination: SocketAddr,
        pinned: Option<SocketAddr>,
        header: impl FnOnce(&HeaderName) -> Option<&'a [u8]>,
    ) -> Option<SocketAddr> {
        let Discovery::OriginalDestination(original) = &self.discovery else {
            return pinned;
        };
        let named = original.header.as_ref().and_then(header);
        let named = named.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        // What is no address is disregarded, as in Envoy.
        let mut address: SocketAddr = named.unwrap_or(destination);
        if let Some(port) = original.port {
            address.set_port(port.get());
        }
        Some(address)
    }
}

impl From<&cluster::OriginalDestination> for OriginalDestination {
    fn from(decoded: &cluster::OriginalDestination) -> Self {
        let header = decoded.header.as_deref();
        Self {
            header: header.and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok()),
            port: decoded.port,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::mesh;

    fn original(header: Option<&str>, port: u16) -> Cluster {
        let resources = mesh::load("").unwrap().resources;
        let mut cluster = resources.clusters.into_iter().next().unwrap();
        cluster.discovery = cluster::Discovery::OriginalDestination(cluster::OriginalDestination {
            header: header.map(str::to_owned),
            port: NonZeroU16::new(port),
        });
        Cluster::compile(&Arc::from("original"), &cluster, |_| None)
    }

    fn pinned(cluster: &Cluster, said: Option<&'static str>) -> String {
        let destination = "10.0.0.1:80".parse().unwrap();
        let header = |name: &HeaderName| (name == "x-where").then_some(said?.as_bytes());
        let pinned = cluster.pinned(destination, Some(destination), header);
        pinned.unwrap().to_string()
    }

    #[test]
    fn a_request_names_another_address_where_it_may() {
        let may = original(Some("x-where"), 0);
        for (said, expected) in [
            (Some("10.0.0.2:8080"), "10.0.0.2:8080"),
            (Some("[fd00::1]:1"), "[fd00::1]:1"),
            (Some("db.test:80"), "10.0.0.1:80"),
            (Some("10.0.0.2"), "10.0.0.1:80"),
            (None, "10.0.0.1:80"),
        ] {
            assert_eq!(pinned(&may, said), expected, "{said:?}");
        }
        assert_eq!(pinned(&original(None, 0), Some("10.0.0.2:8080")), "10.0.0.1:80");
    }

    #[test]
    fn the_port_is_that_of_the_configuration_whoever_named_the_address() {
        let cluster = original(Some("x-where"), 8443);
        assert_eq!(pinned(&cluster, None), "10.0.0.1:8443");
        assert_eq!(pinned(&cluster, Some("10.0.0.2:1")), "10.0.0.2:8443");
    }
}
