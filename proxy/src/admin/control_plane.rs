//! What goes on with the control plane: its servers, and every resource with the reason of its last refusal.

mod metrics;
mod origin;

pub(super) use metrics::families;
pub(super) use origin::sentence;

use evenkeel_control_api::ads::Connection;
use evenkeel_control_api::ads::Entry;
use evenkeel_control_api::ads::KindStatus;
use evenkeel_control_api::ads::ServerStatus;
use evenkeel_control_api::ads::Status;
use evenkeel_control_api::fault::Note;
use evenkeel_control_api::resource::Kind;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

/// Everything.
pub(super) fn json(status: &Status) -> Value {
    let now = Instant::now();
    json!({
        "ready": status.is_ready(),
        "servers": status.servers().iter().map(|one| server(one, now)).collect::<Vec<_>>(),
        "types": status.kinds().iter().map(|one| kind(one, now)).collect::<Vec<_>>(),
        "resources": Kind::ALL.into_iter().flat_map(|kind| resources(status, kind, now)).collect::<Vec<_>>(),
    })
}

fn server(server: &ServerStatus, now: Instant) -> Value {
    let ServerStatus {
        uri,
        connection,
        streams,
        responses,
        failures,
        last_end,
    } = server;
    let (connection, mode, since) = match connection {
        Connection::Idle => ("idle", None, None),
        Connection::Connecting => ("connecting", None, None),
        Connection::Connected { mode, since } => ("connected", Some(mode.to_string()), Some(*since)),
    };
    json!({
        "uri": uri,
        "connection": connection,
        "mode": mode,
        "connected_for_seconds": since.map(|since| seconds(since, now)),
        "streams": streams,
        "responses": responses,
        "failures": failures,
        "last_end": last_end.as_ref().map(|end| json!({
            "seconds_ago": seconds(end.when, now),
            "reason": end.reason,
        })),
    })
}

fn kind(status: &KindStatus, now: Instant) -> Value {
    let KindStatus {
        kind,
        wildcard,
        subscribed,
        known,
        accepted,
        refused,
        updated,
    } = status;
    json!({
        "type": kind.label(),
        "wildcard": wildcard,
        "subscribed": subscribed,
        "known": known,
        "accepted": accepted,
        "refused": refused,
        "last_response_seconds_ago": updated.map(|updated| seconds(updated, now)),
    })
}

/// The client waits while its entries are looked at, so they are copied, and put in words afterwards.
fn resources(status: &Status, kind: Kind, now: Instant) -> Vec<Value> {
    let mut entries = Vec::new();
    status.each(kind, |name, entry| entries.push((name.to_owned(), entry.clone())));
    let resource = |(name, entry): (String, Entry)| resource(kind, &name, &entry, now);
    entries.into_iter().map(resource).collect()
}

fn resource(kind: Kind, name: &str, entry: &Entry, now: Instant) -> Value {
    json!({
        "type": kind.label(),
        "name": name,
        "version": entry.version(),
        "state": entry.state().label(),
        "changed_seconds_ago": seconds(entry.since(), now),
        "refusal": entry.refusal().map(|refusal| json!({
            "version": refusal.version,
            "seconds_ago": seconds(refusal.when, now),
            "faults": refusal.faults.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })),
        "notes": entry.notes().iter().map(note).collect::<Vec<_>>(),
    })
}

fn note(Note { path, reason }: &Note) -> String {
    if path.is_empty() {
        reason.clone()
    } else {
        format!("{path}: {reason}")
    }
}

/// To the millisecond, as a reader wants it.
fn seconds(since: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(since).as_millis() as f64 / 1_000.0
}
