//! `backendRefs`.

use crate::kubernetes::key::Key;
use crate::kubernetes::objects::place::{Fields, Place};
use crate::kubernetes::objects::route::Reference;
use evenkeel_control_api::mesh::model::HeaderChanges;

/// What every kind of route says of a backend.
pub(super) const FIELDS: [&str; 6] = ["group", "kind", "namespace", "name", "port", "weight"];

/// What is named, whether it is there or not.
pub(super) fn reference(place: &Place<'_>, fields: &Fields<'_>, route: &Key) -> Option<Reference> {
    let text = |key| fields.optional(key).and_then(|place| place.text());
    let name = fields.required("name")?.text()?;
    let weight = match fields.optional("weight") {
        Some(place) => place.number::<u32>()?,
        None => 1,
    };
    Some(Reference {
        path: place.path().to_owned(),
        group: text("group").unwrap_or_default().to_owned(),
        kind: text("kind").unwrap_or("Service").to_owned(),
        key: Key::new(text("namespace").unwrap_or(&route.namespace), name),
        port: fields.optional("port").and_then(|place| place.number()),
        weight,
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
    })
}
