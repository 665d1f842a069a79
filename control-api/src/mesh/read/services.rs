//! `services:`.

use super::address;
use super::balance;
use super::limits;
use super::routes;
use super::routes::Named;
use super::seen::Seen;
use crate::mesh::model::Affinity;
use crate::mesh::model::Endpoint;
use crate::mesh::model::Endpoints;
use crate::mesh::model::Hostname;
use crate::mesh::model::NamedEndpoint;
use crate::mesh::model::Routes;
use crate::mesh::model::Service;
use crate::mesh::model::ServicePort;
use crate::mesh::model::TrafficLimits;
use crate::mesh::place::Fields;
use crate::mesh::place::Place;
use crate::mesh::settings::ProxySettings;
use crate::resource::endpoint::Locality;
use std::collections::HashSet;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The words of `affinity:`.
const AFFINITIES: [(&str, Affinity); 2] = [("none", Affinity::None), ("client_ip", Affinity::ClientIp)];
/// The longest name, as in DNS.
const MAX_NAME: usize = 253;
/// As long as names of objects are.
const LONGEST_WORKLOAD: usize = 253;

/// What the services of a document are read with.
pub(super) struct ServiceReader<'a> {
    limits: TrafficLimits,
    settings: &'a ProxySettings,
    names: Seen<String>,
    addresses: Seen<SocketAddr>,
    named: Vec<Named>,
}

impl<'a> ServiceReader<'a> {
    /// For services with these limits where they have none of their own, in a proxy with these settings.
    pub(super) fn new(limits: TrafficLimits, settings: &'a ProxySettings) -> Self {
        let (names, addresses) = (Seen::new(), Seen::new());
        Self {
            limits,
            settings,
            names,
            addresses,
            named: Vec::new(),
        }
    }

    /// All services of the document.
    pub(super) fn services(&mut self, place: &Place<'_>) -> Vec<Service> {
        let services: Vec<Service> = place.items().filter_map(|place| self.service(&place)).collect();
        let ports = services.iter().flat_map(|service| {
            let ports = service.ports.iter();
            ports.map(|port| (service.name.as_str(), port.port))
        });
        let ports: HashSet<_> = ports.collect();
        for Named { service, port, fault } in self.named.drain(..) {
            if !ports.contains(&(service.as_str(), port)) {
                place.refuse_later(fault);
            }
        }
        services
    }

    fn service(&mut self, place: &Place<'_>) -> Option<Service> {
        let fields = place.fields(&["name", "vips", "ports"]);
        let name = fields.required("name").and_then(|place| self.name(&place));
        let vips = fields.optional("vips").map(|place| vips(&place)).unwrap_or_default();
        let ports = fields
            .required("ports")
            .map(|place| self.ports(&place, &vips))
            .unwrap_or_default();
        Some(Service {
            name: name?,
            vips,
            ports,
        })
    }

    fn name(&mut self, place: &Place<'_>) -> Option<String> {
        let name = place.text()?;
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(allowed) {
            place.refuse(format!(
                "a name is 1 to {MAX_NAME} characters out of a-z, 0-9, '-', '.' and '_'"
            ));
            return None;
        }
        if let Some(first) = self.names.before(name.to_owned(), place.position()) {
            place.refuse(format!("the service {name} is at line {} already", first.line));
        }
        Some(name.to_owned())
    }

    fn ports(&mut self, place: &Place<'_>, vips: &[IpAddr]) -> Vec<ServicePort> {
        let mut numbers = Seen::new();
        let mut is_empty = true;
        let mut ports = Vec::new();
        for place in place.items() {
            is_empty = false;
            let Some(port) = port(&place, self.limits, &mut numbers, &mut self.named) else {
                continue;
            };
            for vip in vips {
                let address = SocketAddr::new(*vip, port.port.get());
                self.refuse_own(&place, address);
                self.refuse_taken(&place, address);
            }
            if vips.is_empty() && port.routes != Routes::Own {
                place.refuse("routes are for connections to VIPs, and the service has none");
            }
            if vips.is_empty() {
                let endpoints = port.endpoints.known().iter();
                endpoints.for_each(|endpoint| self.refuse_own(&place, endpoint.address));
            }
            ports.push(port);
        }
        if is_empty {
            place.refuse("a service needs a port");
        }
        ports
    }

    /// What leads elsewhere is not where this proxy listens.
    fn refuse_own(&self, place: &Place<'_>, address: SocketAddr) {
        let ProxySettings {
            outbound,
            inbound,
            admin,
            telemetry,
            ..
        } = self.settings;
        if [outbound, inbound, admin, telemetry]
            .into_iter()
            .flatten()
            .any(|door| *door == address)
        {
            place.refuse(format!("{address} is where this proxy listens"));
        }
    }

    /// A VIP and port lead to one place only.
    fn refuse_taken(&mut self, place: &Place<'_>, address: SocketAddr) {
        if let Some(first) = self.addresses.before(address, place.position()) {
            place.refuse(format!("{address} belongs to the port at line {} already", first.line));
        }
    }
}

fn vips(place: &Place<'_>) -> Vec<IpAddr> {
    let mut seen = Seen::new();
    let mut vips = Vec::new();
    for place in place.items() {
        let Some(vip) = address::ip(&place) else { continue };
        match seen.before(vip, place.position()) {
            None => vips.push(vip),
            Some(first) => place.refuse(format!("the address {vip} is at line {} already", first.line)),
        }
    }
    vips
}

fn port(
    place: &Place<'_>,
    limits: TrafficLimits,
    numbers: &mut Seen<NonZeroU16>,
    named: &mut Vec<Named>,
) -> Option<ServicePort> {
    let fields = place.fields(&[
        "port",
        "protocol",
        "balance",
        "affinity",
        "limits",
        "endpoints",
        "dns",
        "routes",
    ]);
    let number = fields.required("port").and_then(|place| {
        let number = super::port(&place)?;
        match numbers.before(number, place.position()) {
            None => Some(number),
            Some(first) => {
                place.refuse(format!("the port {number} is at line {} already", first.line));
                None
            }
        }
    });
    let protocol = super::protocol(fields.optional("protocol"));
    let section = fields.optional("balance");
    let algorithm = balance::algorithm(section.as_ref());
    let section = fields.optional("limits");
    let limits = limits::of_port(section.as_ref(), limits);
    let affinity = fields.optional("affinity").and_then(|place| place.word(&AFFINITIES));
    let endpoints = match (fields.optional("dns"), fields.optional("endpoints")) {
        (Some(place), None) => Endpoints::Named(dns(&place)?),
        (None, Some(place)) => Endpoints::Known(endpoints(&place)),
        (Some(dns), Some(_)) => {
            dns.refuse("cannot be there with endpoints");
            Endpoints::Known(Vec::new())
        }
        (None, None) => {
            place.refuse("the key \"endpoints\" is missing");
            Endpoints::Known(Vec::new())
        }
    };
    let routes = fields
        .optional("routes")
        .map(|place| routes::routes(&place, protocol, named));
    Some(ServicePort {
        port: number?,
        protocol,
        algorithm,
        affinity: affinity.unwrap_or_default(),
        limits,
        endpoints,
        apart: None,
        routes: routes.unwrap_or_default(),
    })
}

fn dns(place: &Place<'_>) -> Option<NamedEndpoint> {
    let fields = place.fields(&["name", "port"]);
    let name = fields.required("name").and_then(|place| {
        let text = place.text()?;
        let Some(Hostname::Exactly(name)) = Hostname::parse(text.strip_suffix('.').unwrap_or(text)) else {
            place.refuse(format!("{text:?} is not the name of a host"));
            return None;
        };
        Some(name)
    });
    let port = fields.required("port").and_then(|place| super::port(&place));
    Some(NamedEndpoint {
        name: name?,
        port: port?,
    })
}

fn endpoints(place: &Place<'_>) -> Vec<Endpoint> {
    let mut addresses = Seen::new();
    let endpoints: Vec<Endpoint> = place
        .items()
        .filter_map(|place| endpoint(&place, &mut addresses))
        .collect();
    let sum: u64 = endpoints.iter().map(|endpoint| u64::from(endpoint.weight.get())).sum();
    if sum > u64::from(u32::MAX) {
        place.refuse(format!("the weights add up to {sum}, more than {}", u32::MAX));
    }
    endpoints
}

fn endpoint(place: &Place<'_>, addresses: &mut Seen<SocketAddr>) -> Option<Endpoint> {
    let fields = place.fields(&["address", "weight", "locality", "workload"]);
    let address = fields.required("address").and_then(|place| {
        let address = address::reachable_socket(&place)?;
        if let Some(first) = addresses.before(address, place.position()) {
            place.refuse(format!("the endpoint {address} is at line {} already", first.line));
        }
        Some(address)
    });
    let weight = fields
        .optional("weight")
        .and_then(|place| place.integer(1..=u64::from(u32::MAX)));
    let weight = weight
        .and_then(|number| NonZeroU32::new(number as u32))
        .unwrap_or(NonZeroU32::MIN);
    let locality = fields.optional("locality").map(|place| {
        let fields = place.fields(&["region", "zone", "sub_zone"]);
        Locality {
            region: part(&fields, "region"),
            zone: part(&fields, "zone"),
            sub_zone: part(&fields, "sub_zone"),
        }
    });
    let workload = fields.optional("workload").and_then(|place| workload(&place));
    Some(Endpoint {
        address: address?,
        weight,
        locality: locality.unwrap_or_default(),
        workload,
    })
}

fn workload(place: &Place<'_>) -> Option<Arc<str>> {
    let workload = place.text()?;
    if workload.is_empty() || workload.len() > LONGEST_WORKLOAD {
        place.refuse(format!("a workload has 1 to {LONGEST_WORKLOAD} letters"));
        return None;
    }
    Some(workload.into())
}

fn part(fields: &Fields<'_>, key: &str) -> String {
    fields
        .optional(key)
        .and_then(|place| place.text().map(str::to_owned))
        .unwrap_or_default()
}
