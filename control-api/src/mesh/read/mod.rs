//! A tree of nodes to the plain model: every key, every type, every value checked, and every default filled in.
//!
//! To add a key: read it in its section's file here, put it into `model`, say it in `docs/mesh-document.md`, and
//! translate it.

mod access_log;
mod address;
mod app_health;
mod balance;
mod collector;
mod control_plane;
mod inbound;
mod limits;
mod metrics;
mod process;
mod routes;
mod seen;
mod services;
mod tracing;

use super::model::MeshDocument;
use super::model::Protocol;
use super::model::Unknown;
use super::place::FaultList;
use super::place::Place;
use super::yaml::Node;
use services::ServiceReader;
use std::num::NonZeroU16;

/// Reads a whole document. The result is right only when no fault was added.
pub(super) fn document(root: &Node, faults: &FaultList) -> MeshDocument {
    let root = Place::root(root, faults);
    let fields = root.fields(&[
        "services",
        "inbound",
        "unknown",
        "limits",
        "proxy",
        "tracing",
        "control_plane",
    ]);
    let section = fields.optional("limits");
    let (limits, process) = limits::of_document(section.as_ref());
    let section = fields.optional("inbound");
    let inbound = inbound::inbound(section.as_ref(), limits);
    let unknown = fields
        .optional("unknown")
        .and_then(|place| place.word(&[("passthrough", Unknown::Passthrough), ("refuse", Unknown::Refuse)]))
        .unwrap_or(Unknown::Passthrough);
    let section = fields.optional("proxy");
    let mut settings = process::settings(section.as_ref(), process);
    settings.tracing = fields.optional("tracing").and_then(|place| tracing::tracing(&place));
    if let Some(place) = fields.optional("control_plane") {
        settings.control_plane = control_plane::control_plane(&place);
        for own in ["services", "inbound", "unknown"] {
            if let Some(section) = fields.optional(own) {
                section.refuse("comes from the control plane, and so cannot be here as well");
            }
        }
    }
    let section = fields.optional("services");
    let mut reader = ServiceReader::new(limits, &settings);
    let services = section.map(|place| reader.services(&place)).unwrap_or_default();
    MeshDocument {
        services,
        inbound,
        unknown,
        limits,
        settings,
    }
}

fn protocol(place: Option<Place<'_>>) -> Protocol {
    place
        .and_then(|place| place.word(&Protocol::WORDS))
        .unwrap_or(Protocol::Auto)
}

fn port(place: &Place<'_>) -> Option<NonZeroU16> {
    place
        .integer(1..=u64::from(u16::MAX))
        .and_then(|number| NonZeroU16::new(number as u16))
}
