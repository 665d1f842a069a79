//! Resources in, snapshot out: names become places, chains become handlings, and every fault is collected.

use super::Snapshot;
use super::cluster::{Cluster, Discovery, Endpoint};
use super::handling::{Detection, Handling, HttpHandling, TcpHandling, Versions};
use crate::route::{Rule, Table};
use evenkeel_control_api::fault::{Fault, Faults};
use evenkeel_control_api::resource::cluster::Discovery as Source;
use evenkeel_control_api::resource::endpoint::HealthStatus;
use evenkeel_control_api::resource::listener::{
    ApplicationProtocol, Codec, Direction, FilterChain, HttpConnectionManager, NetworkFilter, RouteSource,
    TransportProtocol,
};
use evenkeel_control_api::resource::{self, Listener, Resources};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Compiles one consistent set of resources.
///
/// # Errors
/// Everything that is wrong with the set, not only the first thing.
pub fn compile(resources: &Resources, generation: u64) -> Result<Snapshot, Faults> {
    let mut compiler = Compiler {
        resources,
        places: HashMap::new(),
        faults: Faults::default(),
    };
    let clusters = compiler.clusters();
    let mut snapshot = Snapshot {
        generation,
        clusters,
        services: HashMap::new(),
        endpoints: HashMap::new(),
        unknown: None,
        inbound: HashMap::new(),
        inbound_default: None,
    };
    for listener in &resources.listeners {
        match (listener.direction, listener.bind) {
            (Direction::Outbound, false) => compiler.service(listener, &mut snapshot),
            (Direction::Outbound, true) => {
                snapshot.unknown = compiler.handling(listener, &[], listener.default_chain.as_ref());
            }
            (Direction::Inbound, _) => compiler.inbound(listener, &mut snapshot),
        }
    }
    headless(&mut snapshot);
    if compiler.faults.0.is_empty() {
        Ok(snapshot)
    } else {
        Err(compiler.faults)
    }
}

/// Endpoints that no listener leads to are reached by their own addresses: a headless service. What is spoken there is
/// found out, and every limit is the default.
fn headless(snapshot: &mut Snapshot) {
    for (place, cluster) in snapshot.clusters.iter().enumerate() {
        let Discovery::Endpoints(endpoints) = &cluster.discovery else {
            continue;
        };
        let handling = Arc::new(Handling::detected(Arc::clone(&cluster.service), place));
        for endpoint in endpoints {
            snapshot
                .endpoints
                .entry(endpoint.address)
                .or_insert_with(|| Arc::clone(&handling));
        }
    }
}

struct Compiler<'a> {
    resources: &'a Resources,
    places: HashMap<&'a str, usize>,
    faults: Faults,
}

impl<'a> Compiler<'a> {
    fn fault(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.faults.0.push(Fault {
            position: None,
            path: path.into(),
            reason: reason.into(),
        });
    }

    fn clusters(&mut self) -> Vec<Arc<Cluster>> {
        let mut clusters = Vec::with_capacity(self.resources.clusters.len());
        for cluster in &self.resources.clusters {
            if self.places.insert(&cluster.name, clusters.len()).is_some() {
                self.fault(
                    format!("cluster {}", cluster.name),
                    "there are two clusters of this name",
                );
            }
            let discovery = match &cluster.discovery {
                Source::OriginalDestination => Discovery::OriginalDestination,
                Source::Static(assignment) => Discovery::Endpoints(usable(assignment)),
                Source::Eds(name) => Discovery::Endpoints(self.assignment(&cluster.name, name)),
            };
            clusters.push(Arc::new(Cluster {
                name: Arc::from(cluster.name.as_str()),
                service: Arc::from(cluster.stat_name.as_str()),
                discovery,
                algorithm: cluster.algorithm,
                connect_timeout: cluster.connect_timeout,
                http: cluster.http,
                tcp: cluster.tcp,
            }));
        }
        clusters
    }

    fn assignment(&mut self, cluster: &str, name: &str) -> Vec<Endpoint> {
        let found = self
            .resources
            .assignments
            .iter()
            .find(|assignment| assignment.cluster == name);
        if found.is_none() {
            self.fault(
                format!("cluster {cluster}"),
                format!("its endpoints `{name}` are missing"),
            );
        }
        found.map(usable).unwrap_or_default()
    }

    fn service(&mut self, listener: &'a Listener, snapshot: &mut Snapshot) {
        let chains: Vec<_> = listener.chains.iter().collect();
        let Some(handling) = self.handling(listener, &chains, listener.default_chain.as_ref()) else {
            self.fault(
                format!("listener {}", listener.name),
                "it has neither chains nor a default chain",
            );
            return;
        };
        for place in handling.clusters() {
            let Some(Discovery::Endpoints(endpoints)) = snapshot.clusters.get(place).map(|cluster| &cluster.discovery)
            else {
                continue;
            };
            for endpoint in endpoints {
                // The first service in the order of delivery: an address that serves two has to be handled in one way.
                snapshot
                    .endpoints
                    .entry(endpoint.address)
                    .or_insert_with(|| Arc::clone(&handling));
            }
        }
        for address in &listener.addresses {
            if let Some(other) = snapshot.services.insert(*address, Arc::clone(&handling)) {
                let reason = format!("{address} belongs to {} already", other.service);
                self.fault(format!("listener {}", listener.name), reason);
            }
        }
    }

    fn inbound(&mut self, listener: &'a Listener, snapshot: &mut Snapshot) {
        let mut groups: BTreeMap<Option<u16>, Vec<&FilterChain>> = BTreeMap::new();
        for chain in &listener.chains {
            groups.entry(chain.matches.destination_port).or_default().push(chain);
        }
        let default = listener.default_chain.as_ref();
        groups.entry(None).or_default();
        for (port, chains) in groups {
            let handling = self.handling(listener, &chains, default);
            match (port, handling) {
                (Some(port), Some(handling)) => {
                    snapshot.inbound.insert(port, handling);
                }
                (None, handling) => snapshot.inbound_default = handling,
                (Some(_), None) => {}
            }
        }
    }

    /// Folds the chains that one destination can reach into one handling; `None` where there are none.
    fn handling(
        &mut self,
        listener: &'a Listener,
        chains: &[&'a FilterChain],
        default: Option<&'a FilterChain>,
    ) -> Option<Arc<Handling>> {
        let http = chains
            .iter()
            .copied()
            .chain(default)
            .find(|chain| matches!(chain.filter, NetworkFilter::Http(_)));
        let tcp = chains
            .iter()
            .copied()
            .chain(default)
            .find_map(|chain| match &chain.filter {
                NetworkFilter::Tcp(tcp) => Some((chain, tcp)),
                NetworkFilter::Http(_) => None,
            });
        let detection = match (http, tcp) {
            (Some(chain), _) if chain.matches.application_protocols.is_empty() => Detection::Http,
            (Some(_), _) => Detection::Race,
            (None, Some((chain, _))) if chain.matches.transport_protocol == Some(TransportProtocol::Tls) => {
                Detection::Tls
            }
            (None, Some(_)) => Detection::Opaque,
            (None, None) => return None,
        };
        let mut service = listener.name.as_str();
        let tcp = tcp.and_then(|(_, proxy)| {
            service = &proxy.stat_prefix;
            let cluster = self.place(listener, &proxy.cluster)?;
            Some(TcpHandling {
                cluster,
                idle_timeout: proxy.idle_timeout,
            })
        });
        let http = http.and_then(|chain| match &chain.filter {
            NetworkFilter::Http(manager) => {
                service = &manager.stat_prefix;
                self.http(listener, chain, manager)
            }
            NetworkFilter::Tcp(_) => None,
        });
        Some(Arc::new(Handling {
            service: Arc::from(service),
            direction: listener.direction,
            detection,
            http,
            tcp,
        }))
    }

    fn http(
        &mut self,
        listener: &'a Listener,
        chain: &'a FilterChain,
        manager: &'a HttpConnectionManager,
    ) -> Option<HttpHandling> {
        let routes = match &manager.routes {
            RouteSource::Inline(routes) => routes,
            RouteSource::Named(name) => {
                let found = self.resources.routes.iter().find(|routes| &routes.name == name);
                let Some(routes) = found else {
                    self.fault(
                        format!("listener {}", listener.name),
                        format!("its routes `{name}` are missing"),
                    );
                    return None;
                };
                routes
            }
        };
        let mut rules = Vec::new();
        for route in routes.virtual_hosts.iter().flat_map(|host| &host.routes) {
            let cluster = self.place(listener, &route.cluster)?;
            rules.push(Rule {
                prefix: route.prefix.clone(),
                cluster,
                timeout: route.timeout,
            });
        }
        Some(HttpHandling {
            versions: versions(manager.codec, &chain.matches.application_protocols),
            routes: Table::new(rules),
            max_header_bytes: manager.max_header_bytes,
            max_header_fields: manager.max_header_fields,
            head_timeout: manager.head_timeout,
            idle_timeout: manager.idle_timeout,
            http2: manager.http2,
            forwarded_for: manager.forwarded_for,
        })
    }

    fn place(&mut self, listener: &Listener, cluster: &str) -> Option<usize> {
        let place = self.places.get(cluster).copied();
        if place.is_none() {
            self.fault(
                format!("listener {}", listener.name),
                format!("it names the cluster `{cluster}`, which is missing"),
            );
        }
        place
    }
}

fn versions(codec: Codec, protocols: &[ApplicationProtocol]) -> Versions {
    let only = |protocol| protocols.iter().all(|named| *named == protocol) && !protocols.is_empty();
    match codec {
        Codec::Http1 => Versions::Http1,
        Codec::Http2 => Versions::Http2,
        Codec::Auto if only(ApplicationProtocol::Http1) => Versions::Http1,
        Codec::Auto if only(ApplicationProtocol::Http2) => Versions::Http2,
        Codec::Auto => Versions::Both,
    }
}

fn usable(assignment: &resource::ClusterLoadAssignment) -> Vec<Endpoint> {
    let endpoints = assignment
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.health == HealthStatus::Usable);
    endpoints
        .map(|endpoint| Endpoint {
            address: endpoint.address,
            weight: endpoint.weight,
            locality: endpoint.locality.clone(),
        })
        .collect()
}
