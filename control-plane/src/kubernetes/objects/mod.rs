//! Of each object the few fields that are used, decoded once. The rest, which is most of it, is dropped where it arrives.

pub(super) mod endpoint_slice;
pub(super) mod namespace;
pub(super) mod node;
pub(super) mod pod;
mod protocol;
pub(super) mod service;

use super::key::Key;
use super::kind::Kind;
pub use endpoint_slice::{Endpoint, EndpointSlice, Family, Readiness};
pub use namespace::Namespace;
pub use node::Node;
pub use pod::Pod;
pub use service::{Reach, Service, ServicePort};
use std::collections::BTreeMap;

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
        }
    }

    /// The services that it says something about: they are translated anew when it changes, and find it by
    /// [`super::world::World::attached`].
    pub fn concerns(&self, key: &Key) -> Vec<Key> {
        match self {
            Self::Service(_) => vec![key.clone()],
            Self::EndpointSlice(slice) => vec![slice.service.clone()],
            Self::Pod(_) | Self::Node(_) | Self::Namespace(_) => Vec::new(),
        }
    }

    /// The services that it names without saying anything about them, such as the backends of a route: what it concerns is
    /// translated anew when one of these comes or goes, or has other ports.
    pub fn names(&self) -> Vec<Key> {
        match self {
            Self::Service(_) | Self::EndpointSlice(_) | Self::Pod(_) | Self::Node(_) | Self::Namespace(_) => Vec::new(),
        }
    }

    /// How fast a change of it is to be told.
    pub fn urgency(&self) -> Urgency {
        match self {
            Self::EndpointSlice(_) | Self::Node(_) => Urgency::Endpoints,
            Self::Service(_) | Self::Pod(_) | Self::Namespace(_) => Urgency::Configuration,
        }
    }
}

/// Those that are ours.
fn ours(map: Option<BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut map = map.unwrap_or_default();
    map.retain(|key, _| key.starts_with(OURS));
    map
}
