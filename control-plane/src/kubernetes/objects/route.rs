//! A route as it is kept: read once, at the border.

mod read;

use super::Object;
use super::written::Written;
use crate::kubernetes::key::Key;
use crate::kubernetes::kind::Kind;
use evenkeel_control_api::mesh::model::{HeaderChanges, Hostname, HttpRule};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// A route.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its kind.
    pub kind: Kind,
    /// `metadata.uid` and `metadata.generation`: its status is about this one.
    pub state: (String, i64),
    /// When it was made: of two the older one goes first.
    pub created: Option<Timestamp>,
    /// The Services that it is for; those of other kinds are somebody else's business.
    pub parents: Vec<Parent>,
    /// What is wrong with it as a whole: nothing of it is used.
    pub faults: Vec<String>,
    /// What it says.
    pub rules: Rules,
    /// Rules that are not used, each with what is wrong with it.
    pub dropped: Vec<String>,
}

/// A reference to a Service that a route is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Parent {
    /// As it was written: the status repeats it.
    pub written: Value,
    /// The Service.
    pub service: Key,
    /// The name of a port.
    pub section: Option<String>,
    /// The number of a port.
    pub port: Option<u16>,
}

/// The rules of a route.
#[derive(Clone, Debug, PartialEq)]
pub enum Rules {
    /// For requests. The backends of the rules are not filled in yet.
    Http(Vec<(HttpRule, Vec<Reference>)>),
    /// For TLS connections.
    Tls(Vec<Hostname>, Vec<Reference>),
    /// For connections.
    Tcp(Vec<Reference>),
}

/// A reference to a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Where it stands.
    pub path: String,
    /// Empty: the core group.
    pub group: String,
    /// Such as `Service`.
    pub kind: String,
    /// What it names.
    pub key: Key,
    /// Which of its ports.
    pub port: Option<u16>,
    /// Its share.
    pub weight: u32,
    /// Of requests that go there.
    pub request_headers: HeaderChanges,
    /// Of their answers.
    pub response_headers: HeaderChanges,
}

impl Route {
    /// Whether it has rules, and none of them can be used.
    pub fn is_all_dropped(&self) -> bool {
        !self.dropped.is_empty() && matches!(&self.rules, Rules::Http(rules) if rules.is_empty())
    }
}

impl Rules {
    /// Every reference.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let (rules, references) = match self {
            Self::Http(rules) => (rules.as_slice(), &[][..]),
            Self::Tls(_, references) | Self::Tcp(references) => (&[][..], references.as_slice()),
        };
        rules.iter().flat_map(|(_, references)| references).chain(references)
    }
}

/// Keeps what is used of an HTTPRoute, GRPCRoute, TLSRoute or TCPRoute. What is wrong with it is said in its status, for each
/// parent, and not as a fault of the object.
pub(crate) fn keep(kind: Kind, route: &Written) -> Object {
    Object::Route(Box::new(read::route(kind, &route.metadata, &route.spec)))
}

#[cfg(test)]
mod tests;
