//! `routes:` of a service port.

mod headers;
mod http;
mod matches;

use super::seen::Seen;
use crate::fault::Fault;
use crate::mesh::model::Backend;
use crate::mesh::model::Hostname;
use crate::mesh::model::Protocol;
use crate::mesh::model::Routes;
use crate::mesh::model::Target;
use crate::mesh::model::TlsRule;
use crate::mesh::place::Fields;
use crate::mesh::place::Place;
use std::num::NonZeroU16;

/// A port that a route names, and what is wrong if it is not there.
pub(super) struct Named {
    pub(super) service: String,
    pub(super) port: NonZeroU16,
    pub(super) fault: Fault,
}

/// Where connections to a port of this protocol go. What is named may stand further down: that is asked at the end.
pub(super) fn routes(place: &Place<'_>, protocol: Protocol, named: &mut Vec<Named>) -> Routes {
    let fields = place.fields(&["http", "tls", "tcp"]);
    let kinds = ["http", "tls", "tcp"].map(|kind| fields.optional(kind));
    if kinds.iter().flatten().count() != 1 {
        place.refuse("needs exactly one of http, tls, tcp");
    }
    let [http, tls, tcp] = kinds;
    if let Some(place) = http {
        if matches!(protocol, Protocol::Tls | Protocol::Tcp) {
            place.refuse("are rules for requests, and the port's protocol has none");
        }
        return Routes::Http(place.items().filter_map(|place| http::rule(&place, named)).collect());
    }
    if let Some(place) = tls {
        if !matches!(protocol, Protocol::Auto | Protocol::Tls) {
            place.refuse("are rules for TLS, and the port's protocol is another");
        }
        let mut seen = Seen::new();
        return Routes::Tls(place.items().map(|place| tls_rule(&place, &mut seen, named)).collect());
    }
    tcp.map_or(Routes::Own, |place| Routes::Tcp(connection_backends(&place, named)))
}

fn tls_rule(place: &Place<'_>, seen: &mut Seen<Option<Hostname>>, named: &mut Vec<Named>) -> TlsRule {
    let fields = place.fields(&["name", "hostnames", "backends"]);
    let section = fields.optional("hostnames");
    let mut hostnames = Vec::new();
    for place in section.iter().flat_map(Place::items) {
        let Some(hostname) = hostname(&place) else { continue };
        match seen.before(Some(hostname.clone()), place.position()) {
            None => hostnames.push(hostname),
            Some(first) => place.refuse(format!("{hostname} is at line {} already", first.line)),
        }
    }
    if hostnames.is_empty()
        && section.is_none_or(|section| section.items().next().is_none())
        && let Some(first) = seen.before(None, place.position())
    {
        place.refuse(format!("a rule for every name is at line {} already", first.line));
    }
    TlsRule {
        name: name(&fields),
        hostnames,
        backends: fields
            .required("backends")
            .map(|place| connection_backends(&place, named))
            .unwrap_or_default(),
    }
}

fn connection_backends(place: &Place<'_>, named: &mut Vec<Named>) -> Vec<Backend> {
    backends(place, &["service", "port", "missing", "weight"], named)
}

/// A list of backends, which may have these keys.
fn backends(place: &Place<'_>, keys: &[&str], named: &mut Vec<Named>) -> Vec<Backend> {
    let backends: Vec<Backend> = place.items().filter_map(|place| backend(&place, keys, named)).collect();
    let sum: u64 = backends.iter().map(|backend| u64::from(backend.weight)).sum();
    if sum > u64::from(u32::MAX) {
        place.refuse(format!("the weights add up to {sum}, more than {}", u32::MAX));
    }
    backends
}

fn backend(place: &Place<'_>, keys: &[&str], named: &mut Vec<Named>) -> Option<Backend> {
    let fields = place.fields(keys);
    let target = if let Some(missing) = fields.optional("missing") {
        missing.word(&[("true", ())]);
        for other in ["service", "port"] {
            if let Some(other) = fields.optional(other) {
                other.refuse("cannot be there with missing");
            }
        }
        Target::Missing
    } else {
        let service = fields.required("service").and_then(|place| place.text());
        let port = fields.required("port").and_then(|place| super::port(&place));
        let (service, port) = (service?.to_owned(), port?);
        let fault = place.fault(format!("there is no port {port} of a service {service}"));
        named.push(Named {
            service: service.clone(),
            port,
            fault,
        });
        Target::Port {
            service,
            port,
            apart: None,
        }
    };
    let weight = fields
        .optional("weight")
        .and_then(|place| place.integer(0..=u64::from(u32::MAX)));
    Some(Backend {
        weight: weight.map_or(1, |number| number as u32),
        request_headers: headers::changes(fields.optional("request_headers").as_ref()),
        response_headers: headers::changes(fields.optional("response_headers").as_ref()),
        ..Backend::new(target)
    })
}

fn name(fields: &Fields<'_>) -> String {
    let name = fields.optional("name").and_then(|place| place.text());
    name.unwrap_or_default().to_owned()
}

fn hostnames(place: Option<&Place<'_>>) -> Vec<Hostname> {
    let mut seen = Seen::new();
    let mut hostnames = Vec::new();
    for place in place.into_iter().flat_map(Place::items) {
        let Some(hostname) = hostname(&place) else { continue };
        match seen.before(hostname.clone(), place.position()) {
            None => hostnames.push(hostname),
            Some(first) => place.refuse(format!("{hostname} is at line {} already", first.line)),
        }
    }
    hostnames
}

fn hostname(place: &Place<'_>) -> Option<Hostname> {
    let text = place.text()?;
    let hostname = Hostname::parse(text);
    if hostname.is_none() {
        place.refuse(format!(
            "{text:?} is neither the name of a host nor \"*.\" and the end of one"
        ));
    }
    hostname
}
