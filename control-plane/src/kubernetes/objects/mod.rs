//! Of each object the few fields that are used, decoded once. The rest, which is most of it, is dropped where it arrives.

pub(super) mod endpoint_slice;
pub(super) mod grant;
pub(super) mod namespace;
pub(super) mod node;
mod place;
pub(super) mod pod;
pub mod policy;
mod protocol;
pub(super) mod route;
pub(super) mod service;
mod written;

use super::key::Key;
use super::kind::Kind;
pub use endpoint_slice::{Endpoint, EndpointSlice, Readiness};
pub use grant::Grant;
pub use namespace::Namespace;
pub use node::Node;
pub use pod::Pod;
pub use policy::{Policy, PolicyTarget, Settings, TrafficPolicy, TrafficPolicySpec, TrafficPolicyStatus};
pub use route::{Parent, Reference, Route, Rules};
pub use service::{Reach, Service, ServicePort};
use std::collections::BTreeMap;
pub use written::Written;

/// Whose annotations and labels are ours.
pub const OURS: &str = "evenkeel.io/";

/// What is kept of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// `v1` Service.
    Service(Service),
    /// `discovery.k8s.io/v1` `EndpointSlice`.
    EndpointSlice(EndpointSlice),
    /// `v1` Pod.
    Pod(Pod),
    /// `v1` Node.
    Node(Node),
    /// `v1` Namespace.
    Namespace(Namespace),
    /// A route of the Gateway API.
    Route(Box<Route>),
    /// `gateway.networking.k8s.io` ReferenceGrant.
    ReferenceGrant(Grant),
    /// `evenkeel.io` TrafficPolicy.
    TrafficPolicy(Box<Policy>),
}

/// An object, and what is wrong with it: faults that cost only what they are in.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// `None`: nothing of it can be used.
    pub object: Option<Object>,
    /// Sentences for people, each with its place.
    pub faults: Vec<String>,
}

/// How fast a change of an object is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Endpoints come and go: at once.
    Endpoints,
    /// A configuration is often changed in several objects one after the other.
    Configuration,
}

impl Object {
    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Pod(_) => Kind::Pod,
            Self::Node(_) => Kind::Node,
            Self::Namespace(_) => Kind::Namespace,
            Self::Route(route) => route.kind,
            Self::ReferenceGrant(_) => Kind::ReferenceGrant,
            Self::TrafficPolicy(_) => Kind::TrafficPolicy,
        }
    }

    /// The services that it says something about: they are translated anew when it changes, and find it by
    /// [`super::world::World::attached`].
    pub fn concerns(&self, key: &Key) -> Vec<Key> {
        match self {
            Self::Service(_) => vec![key.clone()],
            Self::EndpointSlice(slice) => vec![slice.service.clone()],
            Self::Route(route) => route.parents.iter().map(|parent| parent.service.clone()).collect(),
            Self::TrafficPolicy(policy) => policy.targets.iter().map(|target| target.service.clone()).collect(),
            Self::Pod(_) | Self::Node(_) | Self::Namespace(_) | Self::ReferenceGrant(_) => Vec::new(),
        }
    }

    /// The services that it names without saying anything about them, such as the backends of a route: what it concerns is
    /// translated anew when one of these comes or goes, or has other ports.
    pub fn names(&self) -> Vec<Key> {
        match self {
            Self::Route(route) => route
                .rules
                .references()
                .map(|reference| reference.key.clone())
                .collect(),
            Self::Service(_)
            | Self::EndpointSlice(_)
            | Self::Pod(_)
            | Self::Node(_)
            | Self::Namespace(_)
            | Self::ReferenceGrant(_)
            | Self::TrafficPolicy(_) => Vec::new(),
        }
    }

    /// How fast a change of it is to be told.
    pub fn urgency(&self) -> Urgency {
        match self {
            Self::EndpointSlice(_) | Self::Node(_) => Urgency::Endpoints,
            Self::Service(_)
            | Self::Pod(_)
            | Self::Namespace(_)
            | Self::Route(_)
            | Self::ReferenceGrant(_)
            | Self::TrafficPolicy(_) => Urgency::Configuration,
        }
    }
}

/// Those that are ours.
fn ours(map: Option<BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut map = map.unwrap_or_default();
    map.retain(|key, _| key.starts_with(OURS));
    map
}
