//! Types of cert-manager and of the Prometheus operator, as far as the chart uses them, after their CRDs
//! (cert-manager.io/v1 and monitoring.coreos.com/v1). A field that is not here is refused.

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Object<T> {
    api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "metadata")]
    _metadata: Value,
    spec: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CertificateSpec {
    secret_name: String,
    common_name: Option<String>,
    #[serde(default)]
    dns_names: Vec<String>,
    #[serde(default, rename = "isCA")]
    is_ca: bool,
    duration: String,
    renew_before: Option<String>,
    private_key: PrivateKey,
    #[serde(default)]
    usages: Vec<String>,
    issuer_ref: IssuerReference,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PrivateKey {
    algorithm: String,
    size: u32,
    rotation_policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct IssuerReference {
    name: String,
    kind: Option<String>,
    #[serde(rename = "group")]
    _group: Option<String>,
}

/// Exactly one of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum IssuerSpec {
    SelfSigned {},
    #[serde(rename_all = "camelCase")]
    Ca {
        secret_name: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodMonitorSpec {
    /// Its own namespace where there is none.
    namespace_selector: Option<NamespaceSelector>,
    selector: k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
    pod_metrics_endpoints: Vec<PodMetricsEndpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NamespaceSelector {
    any: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodMetricsEndpoint {
    port: String,
    path: String,
    interval: String,
}

/// Whether an object of one of these kinds is what its CRD allows.
pub(crate) fn check(object: &Value) -> Result<()> {
    match object["kind"].as_str().context("a kind")? {
        "Certificate" => certificate(&read(object, "cert-manager.io/v1")?),
        "Issuer" => issuer(&read(object, "cert-manager.io/v1")?),
        "PodMonitor" => pod_monitor(&read(object, "monitoring.coreos.com/v1")?),
        kind => bail!("{kind} is not of these"),
    }
}

fn read<T: for<'a> Deserialize<'a>>(object: &Value, version: &str) -> Result<T> {
    let object: Object<T> = serde_json::from_value(object.clone())?;
    ensure!(object.api_version == version, "{}", object.api_version);
    Ok(object.spec)
}

fn certificate(spec: &CertificateSpec) -> Result<()> {
    let hours = |text: &str| text.strip_suffix('h').and_then(|hours| hours.parse::<u32>().ok());
    let duration = hours(&spec.duration).context("hours")?;
    let renewal = spec.renew_before.as_deref().map_or(Some(0), hours).context("hours")?;
    ensure!(renewal < duration && duration >= 1, "{duration} {renewal}");
    ensure!(
        spec.common_name.is_some() || !spec.dns_names.is_empty(),
        "a certificate for nobody"
    );
    ensure!(
        spec.private_key.algorithm == "ECDSA" && spec.private_key.size == 256,
        "its key"
    );
    let policy = spec.private_key.rotation_policy.as_deref();
    ensure!(
        policy.is_none_or(|policy| ["Never", "Always"].contains(&policy)),
        "{policy:?}"
    );
    ensure!(
        spec.is_ca || spec.usages == ["digital signature", "server auth"],
        "{:?}",
        spec.usages
    );
    let kind = spec.issuer_ref.kind.as_deref();
    ensure!(
        kind.is_none_or(|kind| ["Issuer", "ClusterIssuer"].contains(&kind)),
        "{kind:?}"
    );
    ensure!(
        !spec.secret_name.is_empty() && !spec.issuer_ref.name.is_empty(),
        "names"
    );
    Ok(())
}

fn issuer(spec: &IssuerSpec) -> Result<()> {
    match spec {
        IssuerSpec::SelfSigned {} => {}
        IssuerSpec::Ca { secret_name } => ensure!(!secret_name.is_empty(), "its secret"),
    }
    Ok(())
}

fn pod_monitor(spec: &PodMonitorSpec) -> Result<()> {
    let labels = spec.selector.match_labels.as_ref();
    ensure!(labels.is_some_and(|labels| !labels.is_empty()), "it selects every pod");
    let namespaces = spec.namespace_selector.as_ref();
    ensure!(
        namespaces.is_none_or(|namespaces| namespaces.any),
        "it selects no namespace"
    );
    for endpoint in &spec.pod_metrics_endpoints {
        ensure!(!endpoint.port.is_empty() && endpoint.path == "/metrics", "its endpoint");
        ensure!(endpoint.interval.ends_with(['s', 'm', 'h']), "{}", endpoint.interval);
    }
    Ok(())
}
