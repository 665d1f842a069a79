//! Routes at the ports of a Service.

use super::backend;
use super::{Ground, Refusal};
use crate::kubernetes::key::Key;
use crate::kubernetes::kind::Kind;
use crate::kubernetes::objects::{Parent, Reach, Route, Rules};
use crate::kubernetes::verdict::{PARTIALLY_INVALID, Place, Subject, Verdict};
use evenkeel_control_api::mesh::model::{self, HttpAction, Protocol, Routes, TlsRule};

/// Puts all routes for a Service where they are to be.
pub(super) fn attach(
    ground: &Ground<'_>,
    mut routes: Vec<(&Key, &Route)>,
    mut service: Option<&mut model::Service>,
) -> Vec<(Place, Vec<Verdict>)> {
    // Without a time it was never in a cluster.
    routes.sort_by_key(|(key, route)| (route.created.is_none(), route.created, *key, route.kind));
    let mut found = Vec::with_capacity(routes.len());
    for (key, route) in routes {
        let (offer, references) = offer(ground, key, route);
        let subject = Subject {
            kind: route.kind,
            key: key.clone(),
        };
        let mut verdicts = Vec::new();
        for parent in route.parents.iter().filter(|parent| parent.service == *ground.key) {
            let ports = match service.as_deref_mut() {
                Some(service) => service.ports.as_mut_slice(),
                None => &mut [],
            };
            let accepted = accept(ground, key, route, parent, ports).and_then(|ports| claim(ports, &offer, route.kind));
            let in_force = accepted.is_ok();
            let mut say = |condition, said| verdicts.push(ground.verdict(&subject, &parent.written, condition, said));
            say("Accepted", accepted);
            say("ResolvedRefs", references.clone());
            if in_force && !route.dropped.is_empty() {
                let message = format!("Dropped Rule: {}", route.dropped.join("; "));
                verdicts.push(Verdict {
                    holds: true,
                    ..ground.verdict(
                        &subject,
                        &parent.written,
                        PARTIALLY_INVALID,
                        Err(("UnsupportedValue", message)),
                    )
                });
            }
        }
        found.push((ground.place(subject), verdicts));
    }
    found
}

/// The ports that a reference means.
fn accept<'a>(
    ground: &Ground<'_>,
    key: &Key,
    route: &Route,
    parent: &Parent,
    ports: &'a mut [model::ServicePort],
) -> Result<Vec<&'a mut model::ServicePort>, Refusal> {
    let service = ground.key;
    let unsupported = |message: String| Err(("UnsupportedValue", message));
    let missing = |message: String| Err(("NoMatchingParent", message));
    if !route.faults.is_empty() {
        return unsupported(route.faults.join("; "));
    }
    if route.is_all_dropped() {
        return unsupported(route.dropped.join("; "));
    }
    if service.namespace != key.namespace {
        return unsupported(format!(
            "routes for the clients of one namespace only are not supported: a route for {service} must be in the \
             namespace {}",
            service.namespace
        ));
    }
    let Some(known) = ground.service() else {
        return missing(format!("there is no Service {service}"));
    };
    match &known.reach {
        Reach::Vips(_) => {}
        Reach::Headless => {
            return unsupported(format!(
                "the Service {service} is headless: it has no address for routes"
            ));
        }
        Reach::External(_) => return unsupported(format!("the Service {service} is an ExternalName")),
        Reach::Nobody => return missing(format!("the Service {service} has no address in the mesh")),
    }
    let named = known.ports.iter().filter(|port| {
        parent.section.as_deref().is_none_or(|name| *name == *port.name)
            && parent.port.is_none_or(|number| number == port.number.get())
    });
    let named: Vec<_> = named.collect();
    let Some(first) = named.first() else {
        return missing(format!("the Service {service} has no such TCP port"));
    };
    if !named.iter().any(|port| fits(route.kind, port.protocol)) {
        let message = format!(
            "port {} of the Service {service} declares {:?}, which is not for a {}",
            first.number, first.protocol, route.kind
        );
        return Err(("NotAllowedByListeners", message));
    }
    let fit = |port: &&mut model::ServicePort| {
        named.iter().any(|known| known.number == port.port) && fits(route.kind, port.protocol)
    };
    Ok(ports.iter_mut().filter(fit).collect())
}

fn fits(kind: Kind, protocol: Protocol) -> bool {
    match kind {
        Kind::HttpRoute | Kind::GrpcRoute => {
            matches!(
                protocol,
                Protocol::Auto | Protocol::Http | Protocol::Http2 | Protocol::Grpc
            )
        }
        Kind::TlsRoute => matches!(protocol, Protocol::Auto | Protocol::Tls),
        _ => true,
    }
}

/// What a route says for a port, and what became of its references.
fn offer(ground: &Ground<'_>, key: &Key, route: &Route) -> (Routes, Result<String, Refusal>) {
    let mut faults = Vec::new();
    let mut resolve = |references| backend::resolve(ground, key, route.kind, references, &mut faults);
    let offer = match &route.rules {
        Rules::Http(rules) => {
            let mut offered = Vec::with_capacity(rules.len());
            for (rule, references) in rules {
                let mut rule = rule.clone();
                let backends = resolve(references);
                if let HttpAction::Forward(forward) = &mut rule.action {
                    forward.backends = backends;
                }
                offered.push(rule);
            }
            Routes::Http(offered)
        }
        Rules::Tls(hostnames, references) => Routes::Tls(vec![TlsRule {
            name: key.to_string(),
            hostnames: hostnames.clone(),
            backends: resolve(references),
        }]),
        Rules::Tcp(references) => Routes::Tcp(resolve(references)),
    };
    let messages = faults.iter().map(|(_, message): &Refusal| message.as_str());
    let messages = messages.collect::<Vec<_>>().join("; ");
    let references = match faults.first() {
        None => Ok("every backend is there".to_owned()),
        Some((reason, _)) => Err((*reason, messages)),
    };
    (offer, references)
}

/// Adds what a route says to what is there; of what cannot be together the older stays.
fn claim(ports: Vec<&mut model::ServicePort>, offer: &Routes, kind: Kind) -> Result<String, Refusal> {
    let (mut taken, mut refused) = (0, Vec::new());
    for port in ports {
        match (&mut port.routes, offer) {
            (there @ Routes::Own, offer) => *there = offer.clone(),
            (Routes::Http(rules), Routes::Http(more)) => rules.extend(more.iter().cloned()),
            (Routes::Tls(rules), Routes::Tls(more)) => rules.extend(more.iter().cloned()),
            _ => {
                refused.push(port.port.to_string());
                continue;
            }
        }
        taken += 1;
    }
    let refused = refused.join(", ");
    if refused.is_empty() {
        return Ok("in force".to_owned());
    }
    if taken > 0 {
        return Ok(format!("in force, but not at port {refused}, where an older route is"));
    }
    Err((
        "Conflicted",
        format!("an older route is at port {refused}, which cannot be together with this {kind}"),
    ))
}
