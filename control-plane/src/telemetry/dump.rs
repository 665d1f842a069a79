//! `/config_dump`: objects of the cluster that are not used as they are written, each with the reason and since when, and how the
//! watches of each kind are doing. What a proxy has made of what it was sent is on the page of the same name of the proxy.

use super::Origin;
use crate::kubernetes::verdict::{Refused, Subject, Verdict};
use crate::kubernetes::watch::{Condition, Status};
use crate::kubernetes::{Cluster, Kind};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use std::time::SystemTime;

/// The page. Of a mesh document there is nothing to say here: it is refused as a whole, in the log and in metrics.
pub(super) fn page(origin: &Origin) -> String {
    let mut page = json!({"version": env!("CARGO_PKG_VERSION")});
    if let Origin::Cluster { cluster, .. } = origin {
        page["refused"] = cluster.board().refused().iter().map(refused).collect();
        page["watches"] = watches(cluster);
    }
    format!("{page:#}\n")
}

fn refused(refused: &Refused) -> Value {
    let Refused {
        subject: Subject { kind, key },
        service,
        verdict,
        since,
    } = refused;
    let Verdict {
        uid: _,
        generation,
        about,
        condition,
        holds: _,
        reason,
        message,
    } = verdict;
    json!({
        "kind": kind.name(),
        "namespace": &*key.namespace,
        "name": &*key.name,
        "generation": generation,
        // Of the object as a whole there is none.
        "about": serde_json::from_str::<Value>(about).ok(),
        "service": (service != key).then(|| service.to_string()),
        "condition": condition,
        "reason": reason,
        "message": message,
        "since": time(*since),
    })
}

fn watches(cluster: &Cluster) -> Value {
    let status = cluster.watches().status();
    let of = |(kind, status): (Kind, Status)| {
        let (state, reason) = match status.condition {
            Condition::Starting => ("starting", None),
            Condition::Watching => ("watching", None),
            Condition::Missing => ("missing", None),
            Condition::Failing(reason) => ("failing", Some(reason)),
        };
        json!({"kind": kind.name(), "state": state, "reason": reason, "listed": status.listed})
    };
    status.into_iter().map(of).collect()
}

/// As `metav1.Time` is written: whole seconds.
fn time(at: SystemTime) -> Option<String> {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let time = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(time.to_string())
}
