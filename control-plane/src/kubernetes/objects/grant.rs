//! ReferenceGrants: which routes of other namespaces may name a Service as a backend.

use super::Object;
use super::place::{Faults, Place};
use super::written::Written;
use serde_json::Value;

/// Whose kinds routes are.
const GROUP: &str = "gateway.networking.k8s.io";

/// A ReferenceGrant, as far as it is about routes and Services.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// Kinds of routes, and their namespaces.
    from: Vec<(String, String)>,
    /// Services.
    to: Vec<Services>,
}

/// Which Services of the namespace.
#[derive(Clone, Debug, PartialEq)]
enum Services {
    All,
    Named(String),
}

/// Keeps what is used. What cannot be read of it permits nothing.
pub(crate) fn keep(grant: &Written, faults: &mut Vec<String>) -> Object {
    let found = Faults::default();
    let read = read(&grant.spec, &found);
    faults.extend(found.into_inner());
    Object::ReferenceGrant(read)
}

fn read(spec: &Value, faults: &Faults) -> Grant {
    let Some(fields) = Place::new("spec", spec, faults).fields(&["from", "to"]) else {
        return Grant::default();
    };
    Grant {
        from: sound(&fields.items("from"), faults, from),
        to: sound(&fields.items("to"), faults, to),
    }
}

/// What is read of each item that has no fault; one that says more than we understand must not permit more than it says.
fn sound<T>(items: &[Place<'_>], faults: &Faults, read: fn(&Place<'_>) -> Option<T>) -> Vec<T> {
    let mut sound = Vec::new();
    for item in items {
        let own = Faults::default();
        let found = read(&item.with(&own));
        let own = own.into_inner();
        if own.is_empty() {
            sound.extend(found);
        }
        faults.extend(own);
    }
    sound
}

fn from(place: &Place<'_>) -> Option<(String, String)> {
    let fields = place.fields(&["group", "kind", "namespace"])?;
    let text = |key| fields.required(key)?.text().map(str::to_owned);
    let about_routes = text("group")? == GROUP;
    about_routes.then_some((text("kind")?, text("namespace")?))
}

fn to(place: &Place<'_>) -> Option<Services> {
    let fields = place.fields(&["group", "kind", "name"])?;
    let text = |key| fields.required(key)?.text();
    let about_services = text("group")?.is_empty() && text("kind")? == "Service";
    let name = fields.optional("name").and_then(|name| name.text());
    about_services.then(|| name.map_or(Services::All, |name| Services::Named(name.to_owned())))
}

impl Grant {
    /// Whether a route of that kind and namespace may name the Service of that name, which is in the namespace of the grant.
    pub fn permits(&self, kind: &str, namespace: &str, service: &str) -> bool {
        let from = |(of, at): &(String, String)| of == kind && at == namespace;
        let to = |services: &Services| match services {
            Services::All => true,
            Services::Named(name) => name == service,
        };
        self.from.iter().any(from) && self.to.iter().any(to)
    }
}
