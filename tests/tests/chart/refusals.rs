//! Bad values: refused, with the place and the reason.

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::helm;
use serde_json::Value;
use serde_json::json;

/// That each set of values is refused in these words.
fn refused(cases: &[(Value, &str)]) -> Result<()> {
    for (values, reason) in cases {
        let refused = helm::render(values)
            .err()
            .with_context(|| format!("{values} was taken"))?;
        let refused = format!("{refused:#}");
        assert!(refused.contains(reason), "{values}: {refused}");
    }
    Ok(())
}

#[test]
fn bad_values_of_the_control_plane_are_refused_with_their_place_and_the_reason() -> Result<()> {
    refused(&[
        (json!({"replica": 3}), "additional properties 'replica' not allowed"),
        (json!({"replicas": 0}), "at '/replicas': minimum: got 0, want 1"),
        (json!({"replicas": "two"}), "at '/replicas': got string, want integer"),
        (
            json!({"image": {"repository": "x"}}),
            "at '/image': additional properties 'repository' not allowed",
        ),
        (
            json!({"image": {"registry": "https://registry.example/"}}),
            "at '/image/registry'",
        ),
        (
            json!({"image": {"pullPolicy": "Sometimes"}}),
            "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
        ),
        (
            json!({"image": {"digests": {"proxy": "sha256:12"}}}),
            "at '/image/digests/proxy'",
        ),
        (json!({"clusterDomain": "Cluster.local"}), "at '/clusterDomain'"),
        (
            json!({"resources": {"limits": {"memory": 512}}}),
            "at '/resources/limits/memory': got number, want string",
        ),
        (
            json!({"resources": {"limits": {"memory": "512MB"}}}),
            "at '/resources/limits/memory'",
        ),
        (json!({"spread": "Always"}), "at '/spread'"),
        (
            json!({"certificates": {"mode": "selfSigned"}}),
            "at '/certificates/mode': value must be one of 'self', 'certManager', 'secret'",
        ),
        (
            json!({"certificates": {"mode": "secret", "caBundle": crate::matrix::AUTHORITY}}),
            "at '/certificates/secretName'",
        ),
        (
            json!({"certificates": {"mode": "secret", "secretName": "x"}}),
            "at '/certificates/caBundle'",
        ),
        (
            json!({"certificates": {"mode": "secret", "secretName": "x", "caBundle": "TUlJQg=="}}),
            "at '/certificates/caBundle'",
        ),
        (
            json!({"certificates": {"secretName": "x"}}),
            "at '/certificates/secretName': value must be ''",
        ),
        (
            json!({"certificates": {"issuerRef": {"name": "x"}}}),
            "at '/certificates/issuerRef'",
        ),
        (
            json!({"certificates": {"mode": "certManager", "issuerRef": {"kind": "ClusterIssuer"}}}),
            "properties 'name' required, if 'kind' exists",
        ),
        (
            json!({"webhook": {"failurePolicy": "ignore"}}),
            "at '/webhook/failurePolicy': value must be one of 'Fail', 'Ignore'",
        ),
        (
            json!({"webhook": {"timeoutSeconds": 31}}),
            "at '/webhook/timeoutSeconds': maximum: got 31, want 30",
        ),
        (
            json!({"metrics": {"podMonitor": {"interval": "often"}}}),
            "at '/metrics/podMonitor/interval'",
        ),
        (
            json!({"networkPolicy": {"metricsFrom": []}}),
            "at '/networkPolicy/metricsFrom': minItems: got 0, want 1",
        ),
    ])
}

#[test]
fn bad_values_of_what_is_injected_are_refused_with_their_place_and_the_reason() -> Result<()> {
    refused(&[
        (
            json!({"injection": {"nativeSidecar": true}}),
            "at '/injection/nativeSidecar'",
        ),
        (
            json!({"injection": {"startup": {"wait": 10}}}),
            "at '/injection/startup/wait': got number, want string",
        ),
        (
            json!({"injection": {"excludedNamespaces": []}}),
            "at '/injection/excludedNamespaces'",
        ),
        (
            json!({"injection": {"proxy": {"accessLog": false}}}),
            "at '/injection/proxy/accessLog': value must be one of 'off', 'text', 'json'",
        ),
        (
            json!({"injection": {"proxy": {"workers": 0}}}),
            "at '/injection/proxy/workers'",
        ),
        (
            json!({"injection": {"proxy": {"extraEnv": [{"name": "A"}]}}}),
            "missing property 'value'",
        ),
        (
            json!({"injection": {"redirection": {"excludeInboundPorts": [70000]}}}),
            "at '/injection/redirection/excludeInboundPorts/0'",
        ),
        (
            json!({"injection": {"onDemand": {"cidrs": ["everywhere"]}}}),
            "at '/injection/onDemand/cidrs/0'",
        ),
    ])
}

#[test]
fn kube_system_is_no_place_for_it() -> Result<()> {
    let refused = helm::render_with(&["--namespace", "kube-system"], &json!({}));
    let refused = format!("{:#}", refused.err().context("it was taken")?);
    assert!(
        refused.contains("install with --namespace evenkeel-system --create-namespace"),
        "{refused}"
    );
    Ok(())
}

#[test]
fn an_api_server_that_is_too_old_is_refused() -> Result<()> {
    let refused = helm::render_with(
        &["--namespace", helm::NAMESPACE, "--kube-version", "1.26.3"],
        &json!({}),
    );
    let refused = format!("{:#}", refused.err().context("it was taken")?);
    assert!(refused.contains("requires kubeVersion: >=1.27.0-0"), "{refused}");
    Ok(())
}
