//! Every object is of its Kubernetes type, and no field is lost: what is read and written again is what was rendered. A
//! field that is misspelt or in the wrong place would be gone.

use std::collections::BTreeSet;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::api::rbac::v1::Role;
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::matrix;
use crate::others;

/// Kinds without a namespace.
const OF_THE_CLUSTER: [&str; 4] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
];

#[test]
fn every_object_is_of_its_type_and_loses_no_field() -> Result<()> {
    matrix::each(|_, objects| {
        for object in objects {
            read_and_write(object).with_context(|| format!("{} {}", object["kind"], object["metadata"]["name"]))?;
        }
        Ok(())
    })
}

#[test]
fn a_field_that_is_misspelt_would_be_found() -> Result<()> {
    let objects = evenkeel_tests::helm::render(&serde_json::json!({}))?;
    let mut deployment = matrix::find(&objects, "Deployment", "evenkeel-control")?.clone();
    let spec = deployment["spec"]["template"]["spec"]
        .as_object_mut()
        .context("a spec")?;
    spec.insert("serviceAcountName".to_owned(), Value::from("evenkeel-control"));
    assert!(read_and_write(&deployment).is_err());
    Ok(())
}

#[test]
fn every_object_has_a_good_name_its_labels_and_its_namespace_and_is_there_once() -> Result<()> {
    matrix::each(|_, objects| {
        let mut seen = BTreeSet::new();
        for object in objects {
            let (kind, metadata) = (object["kind"].as_str().context("a kind")?, &object["metadata"]);
            let name = metadata["name"].as_str().context("a name")?;
            ensure!(seen.insert((kind, name)), "{kind} {name} is there twice");
            ensure!(is_name(name), "{kind} {name}");
            let namespace = metadata["namespace"].as_str();
            let wanted = (!OF_THE_CLUSTER.contains(&kind)).then_some(evenkeel_tests::helm::NAMESPACE);
            ensure!(namespace == wanted, "{kind} {name} is in {namespace:?}");
            // What lies in `crds/` is not a template.
            if kind != "CustomResourceDefinition" {
                ensure!(
                    metadata["labels"]["app.kubernetes.io/name"] == "evenkeel",
                    "{kind} {name}: its labels"
                );
            }
            for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
                ensure!(
                    value.as_str().is_some_and(is_label_value),
                    "{kind} {name}: {key}: {value}"
                );
            }
        }
        Ok(())
    })
}

fn read_and_write(object: &Value) -> Result<()> {
    let kind = object["kind"].as_str().context("a kind")?;
    match kind {
        "ClusterRole" => same::<ClusterRole>(object),
        "ClusterRoleBinding" => same::<ClusterRoleBinding>(object),
        "ConfigMap" => same::<ConfigMap>(object),
        "CustomResourceDefinition" => same::<CustomResourceDefinition>(object),
        "Deployment" => same::<Deployment>(object),
        "MutatingWebhookConfiguration" => same::<MutatingWebhookConfiguration>(object),
        "NetworkPolicy" => same::<NetworkPolicy>(object),
        "Pod" => same::<Pod>(object),
        "PodDisruptionBudget" => same::<PodDisruptionBudget>(object),
        "ResourceQuota" => same::<ResourceQuota>(object),
        "Role" => same::<Role>(object),
        "RoleBinding" => same::<RoleBinding>(object),
        "Service" => same::<Service>(object),
        "ServiceAccount" => same::<ServiceAccount>(object),
        "Certificate" | "Issuer" | "PodMonitor" => others::check(object),
        _ => bail!("no type is known for it"),
    }
}

fn same<T: DeserializeOwned + Serialize>(object: &Value) -> Result<()> {
    let read: T = serde_json::from_value(object.clone())?;
    let written = without_empties(&serde_json::to_value(read)?);
    let rendered = without_empties(object);
    ensure!(written == rendered, "rendered: {rendered:#}\n\nunderstood: {written:#}");
    Ok(())
}

/// Types leave out what is empty, or write it out; both mean the same.
fn without_empties(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().map(|(key, value)| (key.clone(), without_empties(value)));
            kept.filter(|(_, value)| !is_empty(value)).collect()
        }
        Value::Array(items) => items.iter().map(without_empties).collect(),
        other => other.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// DNS labels with dots between them; all kinds of ours take those.
fn is_name(text: &str) -> bool {
    let plain = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(plain)
}

fn is_label_value(text: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= 63 && text.bytes().all(allowed) && ends(text.bytes().next()) && ends(text.bytes().next_back())
}
