//! A cluster in YAML, what becomes of one Service of it, and what is said of the objects that speak of it.

mod backends;
mod policies;
mod routes;

use super::*;
use crate::kubernetes::kind::Kind;
use crate::kubernetes::objects::{self, Kept, Written};
use crate::kubernetes::world::Event;
use evenkeel_control_api::mesh::check_service;
use evenkeel_control_api::mesh::model::ServicePort;
use serde_json::from_value;

/// The Services that most tests have.
const SERVICES: &str = "
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.10
  ports: [{name: http, port: 80}, {name: admin, port: 8080}]
---
kind: Service
metadata: {name: web-v2, namespace: shop}
spec: {clusterIP: 10.96.0.11, ports: [{port: 80}]}
---
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.96.0.12, ports: [{name: tcp-sql, port: 5432, appProtocol: tcp}]}
---
kind: Service
metadata: {name: nobody, namespace: shop}
spec: {clusterIP: None, ports: [{port: 80}]}
---
kind: Service
metadata: {name: outside, namespace: shop}
spec: {type: ExternalName, externalName: example.com, ports: [{port: 80}]}
---
kind: Service
metadata: {name: auth, namespace: accounts}
spec: {clusterIP: 10.96.0.20, ports: [{port: 80}]}
";

/// The world of these objects, besides the Services.
fn world(yaml: &str) -> World {
    let mut world = World::default();
    for document in [SERVICES, yaml].into_iter().flat_map(|text| text.split("\n---\n")) {
        if document.trim().is_empty() {
            continue;
        }
        let value: Value = serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
        let (kind, key, kept) = kept(&value);
        world.apply(Event::Applied(kind, key, kept));
    }
    world
}

fn kept(value: &Value) -> (Kind, Key, Kept) {
    let meta = |key: &str| value["metadata"][key].as_str().unwrap_or_default();
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == value["kind"]).unwrap();
    let mut faults = Vec::new();
    let object = match kind {
        Kind::Service => objects::service::keep(from_value(value.clone()).unwrap(), &mut faults),
        Kind::ReferenceGrant => {
            let grant: Written = from_value(value.clone()).unwrap();
            objects::grant::keep(&grant, &mut faults)
        }
        Kind::TrafficPolicy => objects::policy::keep(&from_value(value.clone()).unwrap()),
        kind => {
            let route: Written = from_value(value.clone()).unwrap();
            objects::route::keep(kind, &route)
        }
    };
    let kept = Kept {
        uid: "uid".to_owned(),
        generation: value["metadata"]["generation"].as_i64(),
        object: Some(object),
        faults,
    };
    (kind, Key::new(meta("namespace"), meta("name")), kept)
}

/// What one Service gets of this world. A proxy would take it, whatever the objects say.
fn attached(world: &World, key: &Key) -> (model::Service, Vec<(Place, Vec<Verdict>)>) {
    let name = |key: &Key| format!("{}.{}.svc.cluster.local", key.name, key.namespace);
    let mut service = model::Service::new(name(key));
    let known = world.service(key);
    service.vips = known.map_or_else(Vec::new, |known| known.vips().to_vec());
    for port in known.into_iter().flat_map(|known| &known.ports) {
        service.ports.push(ServicePort {
            protocol: port.protocol,
            ..ServicePort::new(port.number)
        });
    }
    let found = attach(world, key, known.map(|_| &mut service), &name);
    check_service(&service).unwrap_or_else(|faults| panic!("{faults}"));
    (service, found)
}

fn web() -> Key {
    Key::new("shop", "web")
}

/// Every verdict in one line: `NAME CONDITION=STATUS/REASON`, with the message where it is a fault.
fn said(found: &[(Place, Vec<Verdict>)]) -> Vec<String> {
    let line = |subject: &Subject, verdict: &Verdict| {
        let Verdict {
            condition,
            holds,
            reason,
            message,
            ..
        } = verdict;
        let status = if *holds { "True" } else { "False" };
        let told = !holds || *condition == "PartiallyInvalid";
        let message = if told { format!(": {message}") } else { String::new() };
        format!("{} {condition}={status}/{reason}{message}", subject.key.name)
    };
    let lines = found
        .iter()
        .flat_map(|((subject, _), verdicts)| verdicts.iter().map(move |it| line(subject, it)));
    lines.collect()
}
