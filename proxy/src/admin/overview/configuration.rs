//! How the configuration stands: what is in force, what was refused, and whether there is a control plane.

use super::super::Door;
use super::super::control_plane;
use super::super::readiness;
use crate::telemetry::access_log::rfc3339;
use evenkeel_control_api::ads;
use evenkeel_control_api::ads::Connection;
use evenkeel_control_api::ads::State;
use evenkeel_control_api::resource::Kind;
use serde::Serialize;

/// Refused resources, and faults of each, that are shown.
const REFUSED_SHOWN: usize = 20;
const FAULTS_SHOWN: usize = 10;

#[derive(Debug, Serialize)]
pub(super) struct Configuration {
    generation: u64,
    /// Where it comes from, in a line.
    source: String,
    ready: bool,
    /// What is missing for readiness, or how it came about.
    readiness: &'static str,
    passes_through: bool,
    accepted: u64,
    accepted_at: Option<String>,
    refused: u64,
    refused_at: Option<String>,
    /// Why the newest update is not in force.
    faults: Vec<String>,
    more_faults: usize,
    /// `None`: there is a mesh document instead.
    control_plane: Option<ControlPlane>,
}

#[derive(Debug, Serialize)]
struct ControlPlane {
    connected: bool,
    servers: Vec<Server>,
    /// Resources by what became of the version that came last.
    resources: Vec<Resources>,
    refused: Vec<Refused>,
    more_refused: usize,
}

#[derive(Debug, Serialize)]
struct Server {
    uri: String,
    connection: &'static str,
    last_end: Option<String>,
}

#[derive(Debug, Serialize)]
struct Resources {
    #[serde(rename = "type")]
    kind: &'static str,
    known: usize,
    refused: usize,
    /// Asked for, and not answered in time or not yet.
    waiting: usize,
}

#[derive(Debug, Serialize)]
struct Refused {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    version: String,
    faults: Vec<String>,
}

/// As of now.
pub(super) fn configuration(door: &Door) -> Configuration {
    let readiness = readiness::check(door);
    let status = door.status.borrow().clone();
    let faults = status.refusal.map(|refusal| refusal.faults).unwrap_or_default();
    Configuration {
        generation: status.snapshot.as_ref().map_or(0, |snapshot| snapshot.generation),
        source: match &status.document {
            Some(document) if door.control_plane.is_none() => format!("from the mesh document {}", document.source),
            _ => control_plane::sentence(door.control_plane.as_ref()),
        },
        ready: readiness.is_ok(),
        readiness: readiness.unwrap_or_else(|missing| missing),
        passes_through: status.snapshot.is_some_and(|snapshot| snapshot.stands_in()),
        accepted: status.accepted,
        accepted_at: status.accepted_at.map(rfc3339),
        refused: status.refused,
        refused_at: status.refused_at.map(rfc3339),
        more_faults: faults.len().saturating_sub(FAULTS_SHOWN),
        faults: faults.into_iter().take(FAULTS_SHOWN).collect(),
        control_plane: door.control_plane.as_ref().map(control),
    }
}

fn control(status: &ads::Status) -> ControlPlane {
    let servers: Vec<_> = status
        .servers()
        .into_iter()
        .map(|server| Server {
            connection: match server.connection {
                Connection::Idle => "idle",
                Connection::Connecting => "connecting",
                Connection::Connected { .. } => "connected",
            },
            uri: server.uri,
            last_end: server.last_end.map(|end| end.reason),
        })
        .collect();
    let (mut resources, mut refused) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        let mut counts = Resources {
            kind: kind.label(),
            known: 0,
            refused: 0,
            waiting: 0,
        };
        // The client waits meanwhile: only a few are copied.
        status.each(kind, |name, entry| {
            counts.known += 1;
            match entry.state() {
                State::Nacked => counts.refused += 1,
                State::Requested | State::Timeout => counts.waiting += 1,
                State::Acked | State::DoesNotExist => {}
            }
            if let Some(refusal) = entry.refusal().filter(|_| refused.len() < REFUSED_SHOWN) {
                let faults = refusal.faults.0.iter().take(FAULTS_SHOWN);
                refused.push(Refused {
                    kind: kind.label(),
                    name: name.to_owned(),
                    version: refusal.version.clone(),
                    faults: faults.map(ToString::to_string).collect(),
                });
            }
        });
        resources.push(counts);
    }
    let all: usize = resources.iter().map(|counts| counts.refused).sum();
    ControlPlane {
        connected: servers.iter().any(|server| server.connection == "connected"),
        servers,
        more_refused: all.saturating_sub(refused.len()),
        resources,
        refused,
    }
}
