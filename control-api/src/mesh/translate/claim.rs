//! Who gets the listener of an address that several ports are reached at.

use crate::mesh::model::Service;
use crate::mesh::model::ServicePort;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::num::NonZeroU16;

/// The claim of a service port on an address; the least has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim<'a> {
    at: Reached,
    service: &'a str,
    port: NonZeroU16,
}

/// Why a port is reached at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    /// It is what the service is for.
    Vip,
    /// An endpoint of a headless service has it.
    Endpoint,
}

/// Who has which address.
pub(super) struct Claims<'a>(HashMap<SocketAddr, Claim<'a>>);

impl<'a> Claims<'a> {
    /// Those of these services.
    pub(super) fn of(services: impl IntoIterator<Item = &'a Service>) -> Self {
        let mut holders = HashMap::new();
        for service in services {
            for port in &service.ports {
                let claim = Claim::new(service, port);
                for address in super::addresses(service, port) {
                    match holders.entry(address) {
                        Entry::Vacant(vacant) => drop(vacant.insert(claim)),
                        Entry::Occupied(mut held) if claim < *held.get() => drop(held.insert(claim)),
                        Entry::Occupied(_) => {}
                    }
                }
            }
        }
        Self(holders)
    }

    /// Whether this port has it.
    pub(super) fn has(&self, address: SocketAddr, service: &Service, port: &ServicePort) -> bool {
        self.0.get(&address) == Some(&Claim::new(service, port))
    }
}

impl<'a> Claim<'a> {
    fn new(service: &'a Service, port: &ServicePort) -> Self {
        Self {
            at: if service.vips.is_empty() {
                Reached::Endpoint
            } else {
                Reached::Vip
            },
            service: &service.name,
            port: port.port,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::model::Endpoint;
    use crate::mesh::model::Endpoints;

    fn service(name: &str, vips: &[&str], ports: &[(u16, &str)]) -> Service {
        let port = |(number, endpoint): &(u16, &str)| ServicePort {
            endpoints: Endpoints::Known(vec![Endpoint::new(endpoint.parse().unwrap())]),
            ..ServicePort::new(NonZeroU16::new(*number).unwrap())
        };
        Service {
            vips: vips.iter().map(|vip| vip.parse().unwrap()).collect(),
            ports: ports.iter().map(port).collect(),
            ..Service::new(name)
        }
    }

    #[test]
    fn a_vip_goes_before_an_endpoint_then_the_first_name_then_the_lower_port() {
        let shared = "10.1.0.1:80";
        let vip = service("z", &["10.1.0.1"], &[(80, "10.9.9.9:80")]);
        let twice = service("a", &[], &[(90, shared), (80, shared)]);
        let other = service("b", &[], &[(70, shared)]);
        let holder = |services: &[&Service]| {
            let claims = Claims::of(services.iter().copied());
            let address = shared.parse().unwrap();
            let ports = services
                .iter()
                .flat_map(|service| service.ports.iter().map(move |port| (*service, port)));
            let holders: Vec<_> = ports
                .filter(|(service, port)| claims.has(address, service, port))
                .map(|(service, port)| format!("{}:{}", service.name, port.port))
                .collect();
            holders.join(" ")
        };
        assert_eq!(holder(&[&other, &twice, &vip]), "z:80");
        assert_eq!(holder(&[&other, &twice]), "a:80");
        assert_eq!(holder(&[&other]), "b:70");
    }
}
