//! A Service: one description, from which both halves of a comparison are made, kube-proxy's rules and the mesh document.

use std::fmt::Write;
use std::net::IpAddr;
use std::net::SocketAddr;

use crate::cluster::Family;
use crate::replica::Replica;

/// A name, a virtual address and ports.
#[derive(Debug, Clone)]
pub struct Service {
    name: String,
    vip: IpAddr,
    ports: Vec<Port>,
}

/// A port of a service and what stands behind it.
#[derive(Debug, Clone)]
pub struct Port {
    number: u16,
    protocol: Option<&'static str>,
    balance: Option<&'static str>,
    endpoints: Vec<Endpoint>,
}

/// Who serves.
#[derive(Debug, Clone)]
struct Endpoint {
    address: SocketAddr,
    weight: u32,
    /// Its workload and zone.
    place: Option<[&'static str; 2]>,
}

// === impl Service ===

impl Service {
    /// A service without ports.
    pub fn new(name: &str, vip: IpAddr) -> Self {
        Self {
            name: name.to_owned(),
            vip,
            ports: Vec::new(),
        }
    }

    /// With another port.
    #[must_use]
    pub fn with(mut self, port: Port) -> Self {
        self.ports.push(port);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its virtual address.
    pub fn vip(&self) -> IpAddr {
        self.vip
    }

    /// Its virtual address with a port, as a client dials it.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.vip, port)
    }

    /// Its ports.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Its entry in a mesh document's list of services.
    pub(crate) fn document(&self) -> String {
        let mut text = format!("- name: {}\n  vips: [\"{}\"]\n  ports:\n", self.name, self.vip);
        for port in &self.ports {
            text += &port.document();
        }
        text
    }
}

// === impl Port ===

impl Port {
    /// A port in front of these endpoints, each with weight 1; the protocol is detected and the balance is the default.
    pub fn new(number: u16, endpoints: impl IntoIterator<Item = SocketAddr>) -> Self {
        let endpoint = |address| Endpoint {
            address,
            weight: 1,
            place: None,
        };
        Self {
            number,
            protocol: None,
            balance: None,
            endpoints: endpoints.into_iter().map(endpoint).collect(),
        }
    }

    /// A port in front of the replicas' HTTP port.
    pub fn http(number: u16, replicas: &[Replica], family: Family) -> Self {
        Self::new(number, replicas.iter().map(|replica| replica.http(family)))
    }

    /// A port in front of the replicas' server-first port.
    pub fn banner(number: u16, replicas: &[Replica], family: Family) -> Self {
        Self::new(number, replicas.iter().map(|replica| replica.banner(family)))
    }

    /// With a declared protocol, as the mesh document spells it.
    #[must_use]
    pub fn protocol(mut self, protocol: &'static str) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// With an algorithm, as the mesh document spells it.
    #[must_use]
    pub fn balance(mut self, algorithm: &'static str) -> Self {
        self.balance = Some(algorithm);
        self
    }

    /// With these weights, in the order of the endpoints.
    #[must_use]
    pub fn weights(mut self, weights: &[u32]) -> Self {
        for (endpoint, weight) in self.endpoints.iter_mut().zip(weights) {
            endpoint.weight = *weight;
        }
        self
    }

    /// Of these workloads and zones, in the order of the endpoints.
    #[must_use]
    pub fn places(mut self, places: &[[&'static str; 2]]) -> Self {
        for (endpoint, place) in self.endpoints.iter_mut().zip(places) {
            endpoint.place = Some(*place);
        }
        self
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// What stands behind it.
    pub fn endpoints(&self) -> impl Iterator<Item = SocketAddr> {
        self.endpoints.iter().map(|endpoint| endpoint.address)
    }

    fn document(&self) -> String {
        let mut text = format!("  - port: {}\n", self.number);
        if let Some(protocol) = self.protocol {
            let _ = writeln!(text, "    protocol: {protocol}");
        }
        if let Some(algorithm) = self.balance {
            let _ = writeln!(text, "    balance: {{algorithm: {algorithm}}}");
        }
        text += "    endpoints:\n";
        for Endpoint { address, weight, place } in &self.endpoints {
            let place = place.map(|[workload, zone]| format!(", workload: {workload}, locality: {{zone: {zone}}}"));
            let place = place.unwrap_or_default();
            let _ = writeln!(text, "    - {{address: \"{address}\", weight: {weight}{place}}}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_written_as_the_mesh_document_spells_it() {
        let endpoints = ["10.244.0.2:8080".parse().unwrap(), "10.244.0.3:8080".parse().unwrap()];
        let port = Port::new(80, endpoints)
            .protocol("http")
            .balance("round_robin")
            .weights(&[1, 3])
            .places(&[["v1", "a"]]);
        let service = Service::new("web", Family::V4.vip(10)).with(port);
        let expected = concat!(
            "- name: web\n",
            "  vips: [\"10.96.0.10\"]\n",
            "  ports:\n",
            "  - port: 80\n",
            "    protocol: http\n",
            "    balance: {algorithm: round_robin}\n",
            "    endpoints:\n",
            "    - {address: \"10.244.0.2:8080\", weight: 1, workload: v1, locality: {zone: a}}\n",
            "    - {address: \"10.244.0.3:8080\", weight: 3}\n",
        );
        assert_eq!(service.document(), expected);
    }
}
