//! `/config_dump`: what is in force, as it was compiled, where each resource comes from, and why the newest update is not in
//! force.

use super::Door;
use super::control_plane;
use super::endpoints;
use super::readiness::WITHOUT_CONFIGURATION;
use super::resources;
use super::routes;
use super::settings;
use crate::control::status::Status;
use crate::snapshot::Cluster;
use crate::snapshot::Discovery;
use crate::snapshot::Handling;
use crate::snapshot::HttpHandling;
use crate::snapshot::Snapshot;
use crate::telemetry::access_log::rfc3339;
use evenkeel_control_api::resource::cluster::UpstreamVersion;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// The whole page.
pub(super) fn json(door: &Door) -> Value {
    let status = door.status.borrow().clone();
    let snapshot = status.snapshot.as_deref();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "phase": door.lifecycle.phase().label(),
        "generation": status.generation(),
        "passes_through": status.passes_through(),
        "updates": updates(&status),
        "document": status.document.as_ref().map(|document| json!({
            "source": *document.source,
            "resources": resources::of_document(&status),
        })),
        "control_plane": door.control_plane.as_ref().map(control_plane::json),
        "services": snapshot.map(services),
        "inbound": snapshot.map(inbound),
        "unknown": snapshot.map(unknown),
        "clusters": snapshot.map(|snapshot| snapshot.clusters().map(|(_, one)| cluster(one)).collect::<Vec<_>>()),
        "settings": settings::json(&door.settings),
    })
}

/// For people: which resources are in force, and what was refused.
pub(super) fn text(door: &Door) -> String {
    let status = door.status.borrow().clone();
    let mut page = String::new();
    let moment = |at: Option<SystemTime>| at.map_or_else(String::new, |at| format!(", the last at {}", rfc3339(at)));
    // Writing to a String cannot fail.
    let phase = door.lifecycle.phase().label();
    let _ = writeln!(page, "{phase}, configuration {}", status.generation());
    let _ = writeln!(page, "{}", control_plane::sentence(door.control_plane.as_ref()));
    if status.passes_through() {
        let _ = writeln!(page, "{WITHOUT_CONFIGURATION}");
    }
    let (accepted, refused) = (moment(status.accepted_at), moment(status.refused_at));
    let _ = writeln!(page, "updates accepted: {}{accepted}", status.accepted);
    let _ = writeln!(page, "updates refused: {}{refused}", status.refused);
    if let Some(refusal) = &status.refusal {
        let _ = writeln!(page, "\nthe newest update was refused");
        for fault in &refusal.faults {
            let _ = writeln!(page, "  {fault}");
        }
    }
    let resources = match &door.control_plane {
        Some(client) => resources::of_control_plane(client),
        None => resources::of_document(&status),
    };
    page.push_str(&resources::text(&resources));
    page
}

fn updates(status: &Status) -> Value {
    let at = |at: Option<SystemTime>| {
        at.and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .map(|at| at.as_secs())
    };
    json!({
        "accepted": status.accepted,
        "accepted_at": status.accepted_at.map(rfc3339),
        "accepted_at_unix_seconds": at(status.accepted_at),
        "refused": status.refused,
        "refused_at": status.refused_at.map(rfc3339),
        "refused_at_unix_seconds": at(status.refused_at),
        "refusal": status.refusal.as_ref().map(|refusal| &refusal.faults),
    })
}

/// Addresses of one service that are handled alike stand together.
fn services(snapshot: &Snapshot) -> Vec<Value> {
    type Alike<'a> = (&'a Arc<Handling>, Vec<SocketAddr>);
    let mut groups: BTreeMap<&str, Vec<Alike<'_>>> = BTreeMap::new();
    let services = snapshot.services();
    for (address, handling) in services.flat_map(|(address, all)| all.into_iter().map(move |one| (address, one))) {
        let alike = groups.entry(&handling.service).or_default();
        match alike.iter_mut().find(|(one, _)| *one == handling) {
            Some((_, addresses)) => addresses.push(*address),
            None => alike.push((handling, vec![*address])),
        }
    }
    let service = |(one, mut addresses): (&Arc<Handling>, Vec<SocketAddr>)| {
        addresses.sort_unstable();
        with("addresses", json!(addresses), handling(one, snapshot))
    };
    groups.into_values().flatten().map(service).collect()
}

/// Mostly one thing: bytes to where they were going.
fn unknown(snapshot: &Snapshot) -> Value {
    match snapshot.unknown().as_slice() {
        [] => Value::Null,
        [one] => handling(one, snapshot),
        several => several.iter().map(|one| handling(one, snapshot)).collect(),
    }
}

fn inbound(snapshot: &Snapshot) -> Vec<Value> {
    let ports = snapshot.inbound_ports();
    let mut ports: Vec<_> = ports
        .flat_map(|(port, all)| all.into_iter().map(move |one| (port, one)))
        .collect();
    // The default, which has no port, last.
    ports.sort_by_key(|(port, _)| port.map_or(u32::MAX, u32::from));
    let port = |(port, one): (Option<u16>, &Arc<Handling>)| {
        let port = port.map_or_else(|| json!("default"), |port| json!(port));
        with("port", port, handling(one, snapshot))
    };
    ports.into_iter().map(port).collect()
}

fn handling(handling: &Handling, snapshot: &Snapshot) -> Value {
    json!({
        "service": *handling.service,
        "detection": format!("{:?}", handling.detection).to_lowercase(),
        "http": handling.http.as_ref().map(|handling| http(handling, snapshot)),
        "tcp": handling.tcp.as_ref().map(|tcp| json!({
            "clusters": tcp.clusters.places().map(|place| name(place, snapshot)).collect::<Vec<_>>(),
            "idle_timeout_seconds": seconds(tcp.idle_timeout),
        })),
    })
}

fn http(http: &HttpHandling, snapshot: &Snapshot) -> Value {
    json!({
        "versions": format!("{:?}", http.versions).to_lowercase(),
        "routes": routes::json(&http.routes, snapshot),
        "max_header_bytes": http.max_header_bytes,
        "max_header_fields": http.max_header_fields,
        "max_requests": http.max_requests,
        "head_timeout_seconds": seconds(http.head_timeout),
        "idle_timeout_seconds": seconds(http.idle_timeout),
        "http2_max_concurrent_streams": http.http2.max_concurrent_streams,
    })
}

fn cluster(cluster: &Cluster) -> Value {
    let endpoints = match &cluster.discovery {
        Discovery::OriginalDestination(_) => Value::Null,
        Discovery::Endpoints(assignment) => assignment
            .endpoints
            .iter()
            .map(|endpoint| {
                json!({
                    "address": endpoint.address,
                    "weight": endpoint.weight,
                    "health": format!("{:?}", endpoint.health).to_lowercase(),
                    "priority": endpoint.place.group.priority,
                    "region": endpoint.place.group.locality.region,
                    "zone": endpoint.place.group.locality.zone,
                    "sub_zone": endpoint.place.group.locality.sub_zone,
                    "locality_weight": endpoint.place.group.weight,
                    "workload": *endpoint.place.workload,
                })
            })
            .collect(),
    };
    json!({
        "name": *cluster.name,
        "service": *cluster.service,
        "algorithm": endpoints::algorithm(cluster),
        "connect_timeout_seconds": cluster.connect_timeout.as_secs_f64(),
        "http_version": match cluster.http.version {
            UpstreamVersion::SameAsDownstream => "same as downstream",
            UpstreamVersion::Http1 => "http1",
            UpstreamVersion::Http2 => "http2",
        },
        "http1_idle_timeout_seconds": cluster.http.idle_timeout.as_secs_f64(),
        "endpoints": endpoints,
    })
}

fn with(key: &str, value: Value, mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.insert(key.to_owned(), value);
    }
    object
}

fn name(place: usize, snapshot: &Snapshot) -> Option<&str> {
    snapshot.cluster(place).map(|cluster| &*cluster.name)
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}
