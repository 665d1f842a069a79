//! The Gateway API's routes, attached to Services (GAMMA), and traffic policies: what they make of one Service, and what is
//! to be said of each of them. Pure.
//!
//! Only routes in the namespace of their Service ("producer" routes) are taken: they hold for every client. Of several, the
//! oldest goes first, then the one that comes first by namespace and name.

mod backend;
mod policy;
mod route;

use super::key::Key;
use super::objects::{Object, Service};
use super::verdict::{Place, Subject, Verdict};
use super::world::World;
use evenkeel_control_api::mesh::model;
use serde_json::Value;

/// What one Service is to have, and what was found about the objects that speak of it. `service` is what it has without
/// them, `None` where there is no such Service in the mesh; `name` is how the mesh calls another one.
pub fn attach(
    world: &World,
    key: &Key,
    mut service: Option<&mut model::Service>,
    name: &dyn Fn(&Key) -> String,
) -> Vec<(Place, Vec<Verdict>)> {
    let ground = Ground { world, key, name };
    let (mut routes, mut policies) = (Vec::new(), Vec::new());
    for (key, object) in world.attached(key) {
        match object {
            Object::Route(route) => routes.push((key, &**route)),
            Object::TrafficPolicy(policy) => policies.push((key, &**policy)),
            _ => {}
        }
    }
    let mut found = route::attach(&ground, routes, service.as_deref_mut());
    found.extend(policy::attach(&ground, policies, service));
    found
}

/// What surrounds the objects that speak of a Service.
struct Ground<'a> {
    world: &'a World,
    key: &'a Key,
    name: &'a dyn Fn(&Key) -> String,
}

/// A refusal: the reason, and a sentence.
type Refusal = (&'static str, String);

impl Ground<'_> {
    fn service(&self) -> Option<&Service> {
        self.world.service(self.key)
    }

    /// What is said of an object in one respect.
    fn verdict(
        &self,
        subject: &Subject,
        about: &Value,
        condition: &'static str,
        said: Result<String, Refusal>,
    ) -> Verdict {
        let (uid, generation) = self.world.identity(subject).unwrap_or_default();
        let (holds, reason, message) = match said {
            Ok(message) => (true, condition, message),
            Err((reason, message)) => (false, reason, message),
        };
        Verdict {
            uid: uid.to_owned(),
            generation,
            about: about.to_string(),
            condition,
            holds,
            reason,
            message,
        }
    }

    fn place(&self, subject: Subject) -> Place {
        (subject, self.key.clone())
    }
}

#[cfg(test)]
mod tests;
