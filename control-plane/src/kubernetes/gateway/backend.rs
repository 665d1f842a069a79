//! What the backends of a route are. One that is not there, or may not be used, keeps its share: requests get 500.

use super::{Ground, Refusal};
use crate::kubernetes::key::Key;
use crate::kubernetes::kind::Kind;
use crate::kubernetes::objects::{Object, Reach, Reference};
use evenkeel_control_api::mesh::model::{Backend, Target};
use std::num::NonZeroU16;

/// Looks every reference of a route up.
pub(super) fn resolve(
    ground: &Ground<'_>,
    route: &Key,
    kind: Kind,
    references: &[Reference],
    faults: &mut Vec<Refusal>,
) -> Vec<Backend> {
    let mut backends = Vec::with_capacity(references.len());
    for reference in references {
        let target = look_up(ground, route, kind, reference).unwrap_or_else(|(reason, message)| {
            faults.push((reason, format!("{}: {message}", reference.path)));
            Target::Missing
        });
        backends.push(Backend {
            target,
            weight: reference.weight,
            request_headers: reference.request_headers.clone(),
            response_headers: reference.response_headers.clone(),
        });
    }
    backends
}

fn look_up(ground: &Ground<'_>, route: &Key, kind: Kind, reference: &Reference) -> Result<Target, Refusal> {
    let Reference {
        group,
        kind: of,
        key,
        port,
        ..
    } = reference;
    if !group.is_empty() || of != "Service" {
        return Err((
            "InvalidKind",
            format!("only Services can be backends, not {of} of {group:?}"),
        ));
    }
    // Before it is looked up: whether it exists is not told to those who may not use it.
    if key.namespace != route.namespace && !is_permitted(ground, route, kind, key) {
        let message = format!("no ReferenceGrant in the namespace {} permits it", key.namespace);
        return Err(("RefNotPermitted", message));
    }
    let missing = |message: String| ("BackendNotFound", message);
    let service = ground.world.service(key);
    let service = service.ok_or_else(|| missing(format!("there is no Service {key}")))?;
    match service.reach {
        Reach::Vips(_) | Reach::Headless => {}
        Reach::External(_) => return Err(("InvalidKind", format!("the Service {key} is an ExternalName"))),
        Reach::Nobody => return Err(missing(format!("the Service {key} has no address in the mesh"))),
    }
    let number = port.and_then(NonZeroU16::new);
    let number = number.ok_or_else(|| missing("port is missing".to_owned()))?;
    if !service.ports.iter().any(|port| port.number == number) {
        return Err(missing(format!("the Service {key} has no TCP port {number}")));
    }
    Ok(Target::Port {
        service: (ground.name)(key),
        port: number,
        apart: service.family_apart(),
    })
}

fn is_permitted(ground: &Ground<'_>, route: &Key, kind: Kind, service: &Key) -> bool {
    ground.world.all(Kind::ReferenceGrant).any(|(at, object)| match object {
        Object::ReferenceGrant(grant) => {
            at.namespace == service.namespace && grant.permits(kind.name(), &route.namespace, &service.name)
        }
        _ => false,
    })
}
