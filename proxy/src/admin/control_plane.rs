//! What goes on with the control plane: its servers, and every resource with the reason of its last refusal.

mod metrics;
mod origin;

pub(super) use metrics::families;
pub(super) use origin::sentence;

use super::resources;
use evenkeel_control_api::ads::Connection;
use evenkeel_control_api::ads::KindStatus;
use evenkeel_control_api::ads::ServerStatus;
use evenkeel_control_api::ads::Status;
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
        "resources": resources::of_control_plane(status),
    })
}

fn server(server: &ServerStatus, now: Instant) -> Value {
    let ServerStatus {
        uri,
        connection,
        streams,
        responses,
        refused,
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
        "refused": refused,
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

/// To the millisecond, as a reader wants it.
fn seconds(since: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(since).as_millis() as f64 / 1_000.0
}
