//! A pod on its way in: the webhooks that a `MutatingWebhookConfiguration` names are called as an API server calls them, over
//! HTTPS and with the authority of the configuration, and their patches are applied.

use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use json_patch::Patch;
use k8s_openapi::ByteString;
use serde_json::Value;
use serde_json::json;

use super::selector::Selector;
use crate::clients;
use crate::pod::Pod;

/// What became of a pod.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The pod, patched.
    pub pod: Value,
    /// What the user is warned of.
    pub warnings: Vec<String>,
    /// How many webhooks were called.
    pub calls: usize,
}

/// Who calls, and whom.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Where the API server is.
    pub from: &'a Pod,
    /// Where the webhook's Service leads.
    pub webhook: SocketAddr,
    /// The `MutatingWebhookConfiguration`.
    pub configuration: &'a Value,
}

// === impl Caller ===

impl Caller<'_> {
    /// Asks every webhook that wants to see the pod. A refusal is an error with the webhook's words.
    pub fn admit(&self, namespace: &Value, mut pod: Value) -> Result<Admitted> {
        let (mut warnings, mut calls) = (Vec::new(), 0);
        for webhook in self.configuration["webhooks"].as_array().into_iter().flatten() {
            let wanted = Selector::of_labels(&webhook["namespaceSelector"]).fits(namespace)
                && Selector::of_labels(&webhook["objectSelector"]).fits(&pod);
            if !wanted {
                continue;
            }
            let answer = self.call(webhook, &pod)?;
            calls += 1;
            ensure!(
                answer["allowed"] == true,
                "{}",
                answer["status"]["message"].as_str().unwrap_or("no message")
            );
            if let Some(patch) = answer.get("patch") {
                ensure!(answer["patchType"] == "JSONPatch", "{answer}");
                let patch: ByteString = serde_json::from_value(patch.clone())?;
                let patch: Patch = serde_json::from_slice(&patch.0)?;
                json_patch::patch(&mut pod, &patch)?;
            }
            let said = answer["warnings"].as_array().into_iter().flatten();
            warnings.extend(said.filter_map(Value::as_str).map(str::to_owned));
        }
        Ok(Admitted { pod, warnings, calls })
    }

    fn call(&self, webhook: &Value, pod: &Value) -> Result<Value> {
        let config = &webhook["clientConfig"];
        let service = |field: &str| config["service"][field].as_str().unwrap_or_default();
        let host = format!("{}.{}.svc", service("name"), service("namespace"));
        let port = config["service"]["port"].as_u64().unwrap_or(443);
        let authority: ByteString = serde_json::from_value(config["caBundle"].clone()).context("caBundle")?;
        let file = self.from.folder()?.join("authority.pem");
        std::fs::write(&file, &authority.0)?;
        let uid = "705ab4f5-6393-11e8-b7cc-42010a800002";
        let mut object = pod.clone();
        // What an API server gives to a pod before webhooks see it, and what it does not yet have.
        object["metadata"]["creationTimestamp"] = Value::Null;
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": uid, "operation": "CREATE", "dryRun": false, "object": object, "oldObject": null,
            "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"],
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        }});
        let seconds = webhook["timeoutSeconds"].as_u64().unwrap_or(10);
        let url = format!("https://{host}:{port}{}?timeout={seconds}s", service("path"));
        let body = review.to_string();
        let answer = clients::curl(
            self.from,
            &[
                "--fail-with-body",
                "--cacert",
                file.to_str().context("a path in UTF-8")?,
                "--connect-to",
                &format!("{host}:{port}:{}", self.webhook),
                "-H",
                "Content-Type: application/json",
                "--data-binary",
                &body,
                &url,
            ],
        )?;
        let mut answer: Value = serde_json::from_str(&answer).with_context(|| answer.clone())?;
        ensure!(
            answer["kind"] == "AdmissionReview" && answer["response"]["uid"] == uid,
            "{answer}"
        );
        Ok(answer["response"].take())
    }
}
