//! The rules of TLSRoute and TCPRoute.

use super::reference;
use crate::kubernetes::key::Key;
use crate::kubernetes::objects::place::Place;
use crate::kubernetes::objects::route::Reference;

/// Where connections go. There is nothing to tell two rules apart, so that there may be one only.
pub(super) fn references(rules: &[Place<'_>], route: &Key) -> Vec<Reference> {
    for more in rules.iter().skip(1) {
        more.refuse("is not supported: a second rule would never be reached");
    }
    let Some(fields) = rules.first().and_then(|rule| rule.fields(&["name", "backendRefs"])) else {
        return Vec::new();
    };
    let backends = fields.items("backendRefs");
    let backend = |place: &Place<'_>| reference::reference(place, &place.fields(&reference::FIELDS)?, route);
    backends.iter().filter_map(backend).collect()
}
