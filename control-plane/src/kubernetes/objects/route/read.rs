//! A route out of what the API server sent. What cannot be done is a fault with its place; faults of one rule are its
//! own affair.

mod connection;
mod filter;
mod grpc;
mod http;
mod reference;

use super::{Parent, Reference, Route, Rules};
use crate::kubernetes::key::Key;
use crate::kubernetes::kind::Kind;
use crate::kubernetes::objects::place::{Faults, Fields, Place};
use evenkeel_control_api::mesh::check_rule;
use evenkeel_control_api::mesh::model::{Backend, Hostname, HttpAction, HttpRule, Target};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// Reads a route. `spec` is what it says.
pub(super) fn route(kind: Kind, metadata: &ObjectMeta, spec: &Value) -> Route {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let key = Key::new(namespace, metadata.name.as_deref().unwrap_or_default());
    let faults = Faults::default();
    let mut read = Route {
        kind,
        state: (
            metadata.uid.clone().unwrap_or_default(),
            metadata.generation.unwrap_or_default(),
        ),
        created: metadata.creation_timestamp.as_ref().map(|time| time.0),
        parents: Vec::new(),
        faults: Vec::new(),
        rules: Rules::Http(Vec::new()),
        dropped: Vec::new(),
    };
    let known: &[&str] = match kind {
        Kind::TcpRoute => &["parentRefs", "useDefaultGateways", "rules"],
        _ => &["parentRefs", "useDefaultGateways", "hostnames", "rules"],
    };
    if let Some(spec) = Place::new("spec", spec, &faults).fields(known) {
        read.parents = spec
            .items("parentRefs")
            .iter()
            .filter_map(|place| parent(place, namespace))
            .collect();
        rules(&spec, &key, &mut read);
    }
    read.faults = faults.into_inner();
    read
}

fn rules(spec: &Fields<'_>, key: &Key, read: &mut Route) {
    let hostnames: Vec<_> = spec.items("hostnames").iter().filter_map(hostname).collect();
    let rules = spec.items("rules");
    if let Kind::TlsRoute | Kind::TcpRoute = read.kind {
        let references = connection::references(&rules, key);
        read.rules = match read.kind {
            Kind::TlsRoute => Rules::Tls(hostnames, references),
            _ => Rules::Tcp(references),
        };
        return;
    }
    let mut good = Vec::new();
    for (number, place) in rules.iter().enumerate() {
        let faults = Faults::default();
        let place = place.with(&faults);
        let rule = match read.kind {
            Kind::GrpcRoute => grpc::rule(&place, key),
            _ => http::rule(&place, key),
        };
        let rule = rule.map(|(mut rule, references)| {
            rule.name = format!("{key} rule {number}");
            rule.hostnames.clone_from(&hostnames);
            (rule, references)
        });
        // What a proxy would refuse must not reach one: it would refuse the whole listener.
        if let Some((rule, references)) = &rule
            && faults.is_empty()
            && let Err(refused) = check_rule(&with_backends(rule, references))
        {
            place.refuse(refused);
        }
        let faults = faults.into_inner();
        match rule {
            Some(rule) if faults.is_empty() => good.push(rule),
            _ => read.dropped.extend(faults),
        }
    }
    read.rules = Rules::Http(good);
}

/// As it will be, but for where the backends are.
fn with_backends(rule: &HttpRule, references: &[Reference]) -> HttpRule {
    let mut rule = rule.clone();
    let backend = |reference: &Reference| Backend {
        weight: reference.weight,
        request_headers: reference.request_headers.clone(),
        response_headers: reference.response_headers.clone(),
        ..Backend::new(Target::Missing)
    };
    if let HttpAction::Forward(forward) = &mut rule.action {
        forward.backends = references.iter().map(backend).collect();
    }
    rule
}

/// A reference to a Service. Those to other kinds are not ours: whoever they belong to reports on them.
fn parent(place: &Place<'_>, namespace: &str) -> Option<Parent> {
    let said = |key| place.value().get(key).and_then(Value::as_str);
    if said("group") != Some("") || said("kind") != Some("Service") {
        return None;
    }
    let fields = place.fields(&["group", "kind", "namespace", "name", "sectionName", "port"])?;
    let text = |key| fields.optional(key).and_then(|place| place.text());
    let name = fields.required("name")?.text()?;
    Some(Parent {
        written: place.value().clone(),
        service: Key::new(text("namespace").unwrap_or(namespace), name),
        section: text("sectionName").map(str::to_owned),
        port: fields.optional("port").and_then(|place| place.number()),
    })
}

fn hostname(place: &Place<'_>) -> Option<Hostname> {
    let found = Hostname::parse(place.text()?);
    if found.is_none() {
        place.refuse("is not the name of a host");
    }
    found
}
