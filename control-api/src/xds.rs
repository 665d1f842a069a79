//! xDS v3 resources as they travel, and their decode into typed resources.

pub use crate::fault::Note;

use crate::fault::Faults;
use crate::report::Report;
use crate::resource::ClusterLoadAssignment;
use crate::resource::Kind;
use crate::resource::Resource;
use crate::resource::Resources;
use crate::resource::cluster;
use crate::resource::cluster::Discovery;
use crate::resource::endpoint;
use crate::resource::listener;
use crate::resource::listener::NetworkFilter;
use crate::resource::listener::RouteSource;
use crate::resource::route;
use crate::resource::route::RouteConfiguration;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment as ProtoAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration as ProtoRoutes;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use prost::Name;
use std::collections::HashMap;
use std::collections::HashSet;

/// A packed message: `google.protobuf.Any`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Such as `type.googleapis.com/envoy.config.listener.v3.Listener`.
    pub type_url: String,
    /// The message in the wire format of protocol buffers.
    pub value: Vec<u8>,
}

/// One consistent set of resources, as LDS, RDS, CDS and EDS would deliver them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// `envoy.config.listener.v3.Listener`.
    pub listeners: Vec<Packed>,
    /// `envoy.config.route.v3.RouteConfiguration`.
    pub routes: Vec<Packed>,
    /// `envoy.config.cluster.v3.Cluster`.
    pub clusters: Vec<Packed>,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`.
    pub assignments: Vec<Packed>,
}

/// What a resource is called, which only its own type knows.
trait ResourceName: 'static {
    fn resource_name(&self) -> &str;
}

impl ResourceName for Listener {
    fn resource_name(&self) -> &str {
        &self.name
    }
}

impl ResourceName for ProtoRoutes {
    fn resource_name(&self) -> &str {
        &self.name
    }
}

impl ResourceName for Cluster {
    fn resource_name(&self) -> &str {
        &self.name
    }
}

impl ResourceName for ProtoAssignment {
    fn resource_name(&self) -> &str {
        &self.cluster_name
    }
}

impl Messages {
    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        let Self {
            listeners,
            routes,
            clusters,
            assignments,
        } = others;
        self.listeners.extend(listeners);
        self.routes.extend(routes);
        self.clusters.extend(clusters);
        self.assignments.extend(assignments);
    }

    /// All, in the order in which they are told.
    pub fn all(&self) -> impl Iterator<Item = &Packed> {
        let Self {
            listeners,
            routes,
            clusters,
            assignments,
        } = self;
        [clusters, assignments, listeners, routes].into_iter().flatten()
    }
}

impl Packed {
    /// Packs a message.
    pub(crate) fn new<M: Message + Name>(message: &M) -> Self {
        Self {
            type_url: M::type_url(),
            value: message.encode_to_vec(),
        }
    }
}

/// Decodes a whole set, and checks that what its resources name is there.
pub fn decode(messages: &Messages) -> Result<(Resources, Vec<Note>), Faults> {
    let mut report = Report::default();
    let Messages {
        listeners,
        routes,
        clusters,
        assignments,
    } = messages;
    let resources = Resources {
        listeners: each("listeners", listeners, &mut report, listener::decode),
        routes: each("routes", routes, &mut report, |message, report| {
            Some(route::decode(message, report))
        }),
        clusters: each("clusters", clusters, &mut report, cluster::decode),
        assignments: each("assignments", assignments, &mut report, endpoint::decode),
    };
    // A resource that has faults is left out above, and would be missing everywhere here.
    if !report.has_faults() {
        refuse_shared_addresses(&resources, &mut report);
        refuse_missing(&resources, &mut report);
    }
    Ok((resources, report.finish()?))
}

/// Decodes one resource, as it comes by ADS: nothing is said of what it names.
pub fn decode_one(kind: Kind, packed: &Packed) -> Result<(Resource, Vec<Note>), Faults> {
    let mut report = Report::default();
    let decoded = match kind {
        Kind::Cluster => one(packed, &mut report, cluster::decode).map(|cluster| Resource::Cluster(cluster.into())),
        Kind::Assignment => one(packed, &mut report, endpoint::decode).map(|one| Resource::Assignment(one.into())),
        Kind::Listener => one(packed, &mut report, listener::decode).map(|one| Resource::Listener(one.into())),
        Kind::Route => one(packed, &mut report, |message, report| {
            Some(route::decode(message, report))
        })
        .map(|one| Resource::Route(one.into())),
    };
    if decoded.is_none() && !report.has_faults() {
        report.refuse("cannot be used");
    }
    let notes = report.finish()?;
    // Without faults it was decoded.
    decoded.map(|resource| (resource, notes)).ok_or_else(Faults::default)
}

fn one<M: Message + Name + Default + ResourceName, T>(
    Packed { type_url, value }: &Packed,
    report: &mut Report,
    decode: impl Fn(M, &mut Report) -> Option<T>,
) -> Option<T> {
    let message: M = report.open(&Any {
        type_url: type_url.clone(),
        value: value.clone(),
    })?;
    if message.resource_name().is_empty() {
        report.refuse("has no name");
    }
    decode(message, report)
}

/// Decodes the resources of one type; their names must be unique and not empty.
fn each<M: Message + Name + Default + ResourceName, T>(
    kind: &str,
    packed: &[Packed],
    report: &mut Report,
    decode: impl Fn(M, &mut Report) -> Option<T>,
) -> Vec<T> {
    let mut names = HashSet::new();
    let mut decoded = Vec::with_capacity(packed.len());
    for (index, Packed { type_url, value }) in packed.iter().enumerate() {
        let any = Any {
            type_url: type_url.clone(),
            value: value.clone(),
        };
        let Some(message) = report.within(format_args!("{kind}[{index}]"), |report| report.open::<M>(&any)) else {
            continue;
        };
        let name = message.resource_name().to_owned();
        report.within(format_args!("{kind}[{name}]"), |report| {
            if name.is_empty() {
                report.refuse("has no name");
            }
            decoded.extend(decode(message, report));
            if !names.insert(name.clone()) {
                report.refuse("is there twice");
            }
        });
    }
    decoded
}

/// Which listener would get a connection must be clear.
fn refuse_shared_addresses(resources: &Resources, report: &mut Report) {
    let mut owners = HashMap::new();
    for listener in &resources.listeners {
        for address in &listener.addresses {
            if let Some(owner) = owners.insert(*address, &listener.name) {
                let field = format!("listeners[{}].address", listener.name);
                report.refuse_field(
                    &field,
                    format!("{address} is an address of the listener {owner} already"),
                );
            }
        }
    }
}

fn refuse_missing(resources: &Resources, report: &mut Report) {
    let clusters: HashSet<&str> = resources.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    let routes: HashSet<&str> = resources.routes.iter().map(|routes| routes.name.as_str()).collect();
    for listener in &resources.listeners {
        for chain in listener.chains.iter().chain(&listener.default_chain) {
            report.within(format_args!("listeners[{}]", listener.name), |report| {
                match &chain.filter {
                    NetworkFilter::Tcp(proxy) => proxy.clusters.iter().for_each(|cluster| {
                        refuse_unless_known("cluster", &cluster.name, &clusters, report);
                    }),
                    NetworkFilter::Http(manager) => match &manager.routes {
                        RouteSource::Inline(inline) => refuse_missing_clusters(inline, &clusters, report),
                        RouteSource::Named(name) => refuse_unless_known("route configuration", name, &routes, report),
                    },
                }
            });
        }
    }
    for configuration in &resources.routes {
        report.within(format_args!("routes[{}]", configuration.name), |report| {
            refuse_missing_clusters(configuration, &clusters, report);
        });
    }
    refuse_missing_assignments(resources, report);
}

fn refuse_missing_clusters(routes: &RouteConfiguration, clusters: &HashSet<&str>, report: &mut Report) {
    for cluster in routes.clusters() {
        refuse_unless_known("cluster", cluster, clusters, report);
    }
}

fn refuse_missing_assignments(resources: &Resources, report: &mut Report) {
    let assignments: HashSet<&str> = resources.assignments.iter().map(|one| one.cluster.as_str()).collect();
    let mut used = HashSet::new();
    for cluster in &resources.clusters {
        if let Discovery::Eds(name) = &cluster.discovery {
            used.insert(name.as_str());
            report.within(format_args!("clusters[{}]", cluster.name), |report| {
                refuse_unless_known("assignment", name, &assignments, report);
            });
        }
    }
    for ClusterLoadAssignment { cluster, .. } in &resources.assignments {
        if !used.contains(cluster.as_str()) {
            report.note_field(&format!("assignments[{cluster}]"), "no cluster uses it");
        }
    }
}

fn refuse_unless_known(kind: &str, name: &str, known: &HashSet<&str>, report: &mut Report) {
    if !known.contains(name) {
        report.refuse(format!("names the {kind} {name}, which is missing"));
    }
}
