//! `inbound:`.

use super::limits;
use super::port;
use super::protocol;
use super::seen::Seen;
use crate::mesh::model::Inbound;
use crate::mesh::model::InboundPort;
use crate::mesh::model::Protocol;
use crate::mesh::model::TrafficLimits;
use crate::mesh::place::Place;

/// What happens to connections to the application.
pub(super) fn inbound(place: Option<&Place<'_>>, limits: TrafficLimits) -> Inbound {
    let Some(place) = place else {
        return Inbound {
            ports: Vec::new(),
            default: Protocol::Auto,
        };
    };
    let fields = place.fields(&["ports", "default"]);
    let mut numbers = Seen::new();
    let mut ports = Vec::new();
    if let Some(place) = fields.optional("ports") {
        for place in place.items() {
            let Some(port) = inbound_port(&place, limits) else {
                continue;
            };
            match numbers.before(port.port, place.position()) {
                None => ports.push(port),
                Some(first) => place.refuse(format!("the port {} is at line {} already", port.port, first.line)),
            }
        }
    }
    let default = fields.optional("default").map(|place| {
        let fields = place.fields(&["protocol"]);
        protocol(fields.optional("protocol"))
    });
    Inbound {
        ports,
        default: default.unwrap_or(Protocol::Auto),
    }
}

fn inbound_port(place: &Place<'_>, limits: TrafficLimits) -> Option<InboundPort> {
    let fields = place.fields(&["port", "protocol", "forwarded_for", "limits"]);
    let number = fields.required("port").and_then(|place| port(&place));
    let protocol = protocol(fields.optional("protocol"));
    if let Some(place) = fields.optional("forwarded_for") {
        refuse_what_comes_later(&place, &["append"]);
    }
    let section = fields.optional("limits");
    let limits = limits::of_port(section.as_ref(), limits);
    Some(InboundPort {
        port: number?,
        protocol,
        limits,
    })
}

/// Accepts `off` only. A word that is planned is told from one that is wrong.
pub(super) fn refuse_what_comes_later(place: &Place<'_>, later: &[&str]) {
    if later.iter().any(|word| place.is_word(word)) {
        place.refuse("comes with a later version; until then only off is accepted");
    } else {
        place.word(&[("off", ())]);
    }
}
