//! Events about our own pod, for what is wrong with no object but with the cluster: kinds that are served without.

use super::leading::OwnPod;
use crate::kubernetes::status::CONTROLLER;
use crate::kubernetes::{Cluster, Key, Kind};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::time::Duration;

/// Attempts at one Event, and how long it is until the next.
const ATTEMPTS: usize = 5;
const RETRY: Duration = Duration::from_secs(5);

/// Tells of each kind once; it is found out at the start.
pub(super) async fn tell(client: Client, pod: OwnPod, cluster: Cluster) {
    let mut without = cluster.without();
    let Ok(kinds) = without
        .wait_for(|kinds| !kinds.is_empty())
        .await
        .map(|kinds| kinds.clone())
    else {
        return;
    };
    let reporter = Reporter {
        controller: CONTROLLER.to_owned(),
        instance: Some(pod.name.clone()),
    };
    let recorder = Recorder::new(client, reporter);
    let uid = cluster
        .world()
        .pod(&Key::new(&pod.namespace, &pod.name))
        .map(|known| known.uid.to_string());
    let ours = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace),
        name: Some(pod.name),
        uid,
        ..ObjectReference::default()
    };
    for kind in kinds {
        publish(&recorder, &ours, kind).await;
    }
}

async fn publish(recorder: &Recorder, about: &ObjectReference, kind: Kind) {
    let (group, plural) = kind.resource();
    let event = Event {
        type_: EventType::Warning,
        reason: "ServedWithout".to_owned(),
        note: Some(format!(
            "{plural}.{group} cannot be listed: the mesh is served as if there were none, until they can be; the log says why"
        )),
        action: "List".to_owned(),
        secondary: None,
    };
    for _ in 0..ATTEMPTS {
        match recorder.publish(&event, about).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%kind, %error, "an Event could not be written"),
        }
        tokio::time::sleep(RETRY).await;
    }
    tracing::warn!(%kind, "an Event about our own pod could not be written");
}
