//! A pod on its way in: the webhooks of every `MutatingWebhookConfiguration` that wants to see it are called as an API server calls
//! them, over HTTPS at the address and port of their Service, by the authority of the configuration, and their patches are
//! applied.

use std::net::IpAddr;
use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use json_patch::Patch;
use k8s_openapi::ByteString;
use serde_json::Value;
use serde_json::json;

use super::ApiServer;
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

/// Asks every webhook that wants to see the pod, from where the API server is.
pub(super) fn admit(api: &ApiServer, from: &Pod, mut pod: Value) -> Result<Admitted> {
    let namespace = pod["metadata"]["namespace"].as_str().context("a namespace")?;
    let namespace = api.find("namespaces", "", namespace).context("it is there")?;
    let (mut warnings, mut calls) = (Vec::new(), 0);
    for webhook in api.all("mutatingwebhookconfigurations").iter().flat_map(webhooks) {
        if !wants(webhook, &namespace, &pod) {
            continue;
        }
        calls += 1;
        let answer = match call(api, from, webhook, &pod) {
            Err(_) if webhook["failurePolicy"] == "Ignore" => continue,
            answer => answer?,
        };
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

fn webhooks(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

/// By its rules and both of its selectors.
fn wants(webhook: &Value, namespace: &Value, pod: &Value) -> bool {
    let rules = webhook["rules"].as_array().into_iter().flatten();
    let is_asked = |rule: &Value| {
        let has = |field: &str, word: &str| {
            let words = rule[field].as_array().into_iter().flatten();
            words.into_iter().any(|given| given == word || given == "*")
        };
        has("operations", "CREATE") && has("apiGroups", "") && has("apiVersions", "v1") && has("resources", "pods")
    };
    rules.into_iter().any(is_asked)
        && Selector::of_labels(&webhook["namespaceSelector"]).fits(namespace)
        && Selector::of_labels(&webhook["objectSelector"]).fits(pod)
}

/// Where the Service of a webhook is, with the port that the webhook names, which must be one of the Service's.
fn address(api: &ApiServer, service: &Value) -> Result<SocketAddr> {
    let word = |field: &str| service[field].as_str().with_context(|| format!("{field} of {service}"));
    let found = api.find("services", word("namespace")?, word("name")?);
    let found = found.with_context(|| format!("there is no {service}"))?;
    let port = service["port"].as_u64().unwrap_or(443);
    let mut ports = found["spec"]["ports"].as_array().into_iter().flatten();
    ensure!(ports.any(|one| one["port"] == port), "the Service has no port {port}");
    let ip: IpAddr = found["spec"]["clusterIP"].as_str().context("an address")?.parse()?;
    Ok(SocketAddr::new(ip, u16::try_from(port)?))
}

fn call(api: &ApiServer, from: &Pod, webhook: &Value, pod: &Value) -> Result<Value> {
    let config = &webhook["clientConfig"];
    let service = |field: &str| config["service"][field].as_str().unwrap_or_default();
    let host = format!("{}.{}.svc", service("name"), service("namespace"));
    let address = address(api, &config["service"])?;
    let port = address.port();
    let authority: ByteString = serde_json::from_value(config["caBundle"].clone()).context("caBundle")?;
    let file = from.folder()?.join("authority.pem");
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
        from,
        &[
            "--fail-with-body",
            "--cacert",
            file.to_str().context("a path in UTF-8")?,
            "--connect-to",
            &format!("{host}:{port}:{address}"),
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
