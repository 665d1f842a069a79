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
use crate::resource::listener::ForwardedFor;

/// What happens to connections to the application.
pub(super) fn inbound(place: Option<&Place<'_>>, limits: TrafficLimits) -> Inbound {
    let Some(place) = place else { return Inbound::default() };
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
        let fields = place.fields(&["protocol", "forwarded_for"]);
        let protocol = protocol(fields.optional("protocol"));
        (protocol, forwarded_for(fields.optional("forwarded_for").as_ref()))
    });
    let (default, default_forwarded_for) = default.unwrap_or((Protocol::Auto, ForwardedFor::Off));
    Inbound {
        ports,
        default,
        default_forwarded_for,
    }
}

fn inbound_port(place: &Place<'_>, limits: TrafficLimits) -> Option<InboundPort> {
    let fields = place.fields(&["port", "protocol", "forwarded_for", "limits"]);
    let number = fields.required("port").and_then(|place| port(&place));
    let protocol = protocol(fields.optional("protocol"));
    let forwarded_for = forwarded_for(fields.optional("forwarded_for").as_ref());
    let section = fields.optional("limits");
    let limits = limits::of_port(section.as_ref(), limits);
    Some(InboundPort {
        port: number?,
        protocol,
        forwarded_for,
        limits,
    })
}

fn forwarded_for(place: Option<&Place<'_>>) -> ForwardedFor {
    place
        .and_then(|place| place.word(&[("off", ForwardedFor::Off), ("append", ForwardedFor::Append)]))
        .unwrap_or(ForwardedFor::Off)
}
