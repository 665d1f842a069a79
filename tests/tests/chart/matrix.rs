//! Sets of values. What is true of the chart is true for each of them.

use std::sync::LazyLock;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::ensure;
use evenkeel_tests::helm;
use serde_json::Value;
use serde_json::json;

/// An authority that signs nothing; only its form is looked at.
pub(crate) const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// One set of values.
pub(crate) struct Case {
    /// For messages.
    pub(crate) name: &'static str,
    /// What differs from the defaults.
    pub(crate) values: Value,
}

/// With the objects that it makes.
type Rendered = (Case, Vec<Value>);

/// All of them.
pub(crate) fn cases() -> Result<Vec<Case>> {
    let case = |name, values| Case { name, values };
    let mut cases = vec![
        case("defaults", json!({})),
        case("high availability", helm::file("values-ha.yaml")?),
        case("one replica", json!({"replicas": 1, "priorityClassName": ""})),
        case("cert-manager", json!({"certificates": {"mode": "certManager"}})),
        case(
            "cert-manager, its issuer",
            json!({"certificates": {"mode": "certManager", "issuerRef": {"name": "corporate", "kind": "ClusterIssuer"}}}),
        ),
        case("a given secret", json!({"certificates": given()})),
        case("network policy", json!({"networkPolicy": {"enabled": true}})),
        case("pod monitors", json!({"metrics": {"podMonitor": {"enabled": true}}})),
        case("failures ignored", json!({"webhook": {"failurePolicy": "Ignore"}})),
        case("everything", everything()),
    ];
    for mode in ["auto", "always", "never"] {
        cases.push(case("native sidecars", json!({"injection": {"nativeSidecar": mode}})));
    }
    Ok(cases)
}

/// Gives what each case renders to `check`; a failure names the case.
pub(crate) fn each(check: impl Fn(&Case, &[Value]) -> Result<()>) -> Result<()> {
    /// Helm takes a tenth of a second, and a dozen tests look at the same.
    static RENDERED: LazyLock<Result<Vec<Rendered>>> = LazyLock::new(|| {
        let rendered = cases()?.into_iter().map(|case| {
            let objects = helm::render(&case.values).context(case.name)?;
            Ok((case, objects))
        });
        rendered.collect()
    });
    let rendered = RENDERED.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    for (case, objects) in rendered {
        check(case, objects).context(case.name)?;
    }
    Ok(())
}

/// The values of a secret that somebody else keeps.
pub(crate) fn given() -> Value {
    json!({"mode": "secret", "secretName": "from-vault", "caBundle": AUTHORITY})
}

/// A value for each key that has one of its own, none of them the default.
pub(crate) fn everything() -> Value {
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    json!({
        "replicas": 5,
        "image": {
            "registry": "registry.example:5000/mesh",
            "tag": "1.20",
            "pullPolicy": "Always",
            "pullSecrets": ["registry.key", "other"],
            "digests": {"control": digest("a"), "proxy": digest("b"), "init": digest("c")},
        },
        "clusterDomain": "mesh.example",
        "log": "info,evenkeel_control_plane::kubernetes=debug",
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
        "priorityClassName": "ours",
        "spread": "DoNotSchedule",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["system"]}]},
        ]}}},
        "tolerations": [{"key": "pool", "operator": "Equal", "value": "system", "effect": "NoSchedule"}],
        "podLabels": {"team": "platform"},
        "podAnnotations": {"example.com/note": "yes: a colon # and a hash"},
        "certificates": given(),
        "webhook": {"failurePolicy": "Ignore", "timeoutSeconds": 30},
        "injection": {
            "nativeSidecar": "never",
            "startup": {"wait": "3s", "then": "not_ready"},
            "excludedNamespaces": ["kube-system", "storage"],
            "pullSecrets": ["registry.key"],
            "proxy": {
                "logLevel": "debug",
                "accessLog": "json",
                "workers": "cpu-limit",
                "shutdownGrace": "1m",
                "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "2", "memory": "1Gi"}},
                "extraEnv": [{"name": "RUST_BACKTRACE", "value": "1"}],
            },
            "redirection": {
                "backend": "legacy",
                "includeInboundPorts": [80, "8000-8999"],
                "excludeInboundPorts": [22],
                "includeOutboundPorts": [443],
                "excludeOutboundPorts": [25],
                "includeOutboundCidrs": ["10.0.0.0/8", "fd00::/8"],
                "excludeOutboundCidrs": ["10.1.0.0/16"],
            },
            "onDemand": {"cidrs": ["10.96.0.0/12"]},
            "telemetry": {
                "tracing": {
                    "collector": "http://otel.monitoring:4318",
                    "protocol": "http",
                    "sample": "0.5%",
                    "propagation": ["b3", "w3c"],
                },
                "metrics": {
                    "labels": ["source_workload", "destination_namespace"],
                    "push": {"collector": "http://otel.monitoring:4318", "protocol": "http", "interval": "10s"},
                },
                "accessLog": {"collector": "http://otel.monitoring:4318", "protocol": "http"},
            },
        },
        "metrics": {
            "scrapeAnnotations": false,
            "podMonitor": {"enabled": true, "interval": "15s", "labels": {"release": "prometheus"}},
        },
        "networkPolicy": {
            "enabled": true,
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        },
    })
}

/// The only object of this kind and name.
pub(crate) fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let first = found.next().with_context(|| format!("no {kind} {name}"))?;
    ensure!(found.next().is_none(), "{kind} {name} is there twice");
    Ok(first)
}

#[test]
fn everything_has_a_value_for_each_key_and_never_the_default() -> Result<()> {
    let defaults = helm::file("values.yaml")?;
    let mut wrong = Vec::new();
    compare(&defaults, &everything(), "", &mut wrong);
    // The issuer is for cert-manager, which excludes a given secret.
    assert_eq!(wrong, ["certificates.issuerRef: missing"]);
    Ok(())
}

fn compare(default: &Value, given: &Value, path: &str, wrong: &mut Vec<String>) {
    match default.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (key, default) in map {
                let path = format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
                match given.get(key) {
                    Some(given) => compare(default, given, &path, wrong),
                    None if path.ends_with("s.requests.memory") => {}
                    None => wrong.push(format!("{path}: missing")),
                }
            }
        }
        None if default == given => wrong.push(format!("{path}: is the default")),
        None => {}
    }
}

#[test]
fn helm_lints_every_case_without_a_warning() -> Result<()> {
    for case in cases()? {
        let said = helm::lint(&case.values).with_context(|| case.name)?;
        assert!(
            !said.contains("[WARNING]") && !said.contains("[ERROR]"),
            "{}: {said}",
            case.name
        );
    }
    Ok(())
}
