//! The webhook's configuration is told whom to believe: `caBundle` of each of its webhooks is our authority.
//!
//! The leader writes it whenever it differs: an upgrade of the chart may have put another in its place.

use crate::outage::Outage;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Client, Error};
use serde_json::{Value, json};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio_stream::StreamExt;

/// After an attempt that failed.
const RETRY: Duration = Duration::from_secs(5);
/// Otherwise changes are told.
const CHECK: Duration = Duration::from_hours(1);
/// What the API server says when somebody else was first.
const CONFLICT: u16 = 409;

/// Keeps the configuration of this name.
pub(super) async fn keep(
    client: Client,
    name: String,
    mut authority: watch::Receiver<Option<String>>,
    mut leads: watch::Receiver<bool>,
) {
    // As it is, not as our types know it: fields that they lack must not get lost.
    let resource = ApiResource::erase::<MutatingWebhookConfiguration>(&());
    let configurations: Api<DynamicObject> = Api::all_with(client, &resource);
    let mut changes = pin!(watch_object(Api::clone(&configurations), &name).default_backoff());
    let mut known: Option<DynamicObject> = None;
    let mut pause = CHECK;
    let (mut reading, mut writing) = (Outage::default(), Outage::default());
    loop {
        tokio::select! {
            Some(change) = changes.next() => match change {
                Ok(configuration) => {
                    known = configuration;
                    if reading.ends().is_some() {
                        tracing::info!(name, "the webhook's configuration is watched again");
                    }
                }
                Err(error) => {
                    if reading.begins() {
                        tracing::warn!(name, %error, "the webhook's configuration cannot be watched; tried again until it can");
                    }
                    continue;
                }
            },
            Ok(()) = authority.changed() => {}
            Ok(()) = leads.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        let leading = *leads.borrow_and_update();
        let bundle = authority.borrow_and_update().clone().filter(|_| leading);
        if let (Some(configuration), Some(bundle)) = (&known, bundle) {
            pause = tell(&configurations, &name, configuration, bundle, &mut writing).await;
        }
    }
}

async fn tell(
    configurations: &Api<DynamicObject>,
    name: &str,
    configuration: &DynamicObject,
    bundle: String,
    writing: &mut Outage,
) -> Duration {
    let Some(webhooks) = changed(&configuration.data, bundle) else {
        return CHECK;
    };
    // The version makes the list a change of what was read, and of nothing newer.
    let version = &configuration.metadata.resource_version;
    let patch = json!({"metadata": {"resourceVersion": version}, "webhooks": webhooks});
    let patched = configurations
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    match patched {
        Ok(_) => {
            tracing::info!(name, "the webhook's configuration was told whom to believe");
            writing.ends();
            CHECK
        }
        Err(Error::Api(status)) if status.code == CONFLICT => CHECK,
        Err(error) => {
            if writing.begins() {
                tracing::warn!(name, %error, "the webhook's configuration cannot be told whom to believe; tried again until it can");
            }
            RETRY
        }
    }
}

/// The webhooks with this bundle; `None`: they have it.
fn changed(configuration: &Value, bundle: String) -> Option<Vec<Value>> {
    let bundle = serde_json::to_value(ByteString(bundle.into_bytes())).ok()?;
    let before = configuration.get("webhooks")?.as_array()?;
    let mut webhooks = before.clone();
    for webhook in &mut webhooks {
        if let Some(client) = webhook.get_mut("clientConfig").and_then(Value::as_object_mut) {
            client.insert("caBundle".to_owned(), bundle.clone());
        }
    }
    (webhooks != *before).then_some(webhooks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_webhook_is_told_and_nothing_else_is_touched() {
        let configuration = json!({"webhooks": [
            {"name": "a", "clientConfig": {"service": {"name": "evenkeel-control"}}, "matchConditions": [{"name": "x"}]},
            {"name": "b", "clientConfig": {"service": {"name": "evenkeel-control"}, "caBundle": "b2xk"}},
        ]});
        let told = changed(&configuration, "PEM".to_owned()).unwrap();
        assert_eq!(
            told,
            [
                json!({"name": "a", "clientConfig": {"service": {"name": "evenkeel-control"}, "caBundle": "UEVN"},
                    "matchConditions": [{"name": "x"}]}),
                json!({"name": "b", "clientConfig": {"service": {"name": "evenkeel-control"}, "caBundle": "UEVN"}}),
            ]
        );
        assert_eq!(changed(&json!({"webhooks": told}), "PEM".to_owned()), None);
        assert_eq!(changed(&json!({}), "PEM".to_owned()), None);
    }
}
