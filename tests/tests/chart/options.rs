//! What each value changes.

use std::collections::BTreeSet;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_control_plane::app::SECRET;
use evenkeel_control_plane::app::SERVICE;
use evenkeel_control_plane::app::WEBHOOKS;
use evenkeel_control_plane::inject::labels;
use evenkeel_tests::helm;
use serde_json::Value;
use serde_json::json;

use crate::matrix;
use crate::matrix::find;

/// What the pods of the control plane are made of.
fn pod(objects: &[Value]) -> Result<&Value> {
    Ok(&find(objects, "Deployment", SERVICE)?["spec"]["template"]["spec"])
}

/// Kind and name of what one set of values makes and the other does not.
fn difference(more: &Value, less: &Value) -> Result<Vec<String>> {
    let of = |values: &Value| -> Result<BTreeSet<String>> {
        let objects = helm::render(values)?;
        let name = |object: &Value| {
            let (kind, name) = (object["kind"].as_str()?, object["metadata"]["name"].as_str()?);
            Some(format!("{kind} {name}"))
        };
        Ok(objects.iter().filter_map(name).collect())
    };
    Ok(of(more)?.difference(&of(less)?).cloned().collect())
}

#[test]
fn what_is_asked_for_is_made_and_nothing_else() -> Result<()> {
    let defaults = json!({});
    for (values, made) in [
        (
            json!({"networkPolicy": {"enabled": true}}),
            vec!["NetworkPolicy evenkeel-control"],
        ),
        (
            json!({"metrics": {"podMonitor": {"enabled": true}}}),
            vec!["PodMonitor evenkeel-control", "PodMonitor evenkeel-proxy"],
        ),
        (
            json!({"certificates": {"mode": "certManager"}}),
            vec![
                "Certificate evenkeel-ca",
                "Certificate evenkeel-control",
                "Issuer evenkeel-ca",
                "Issuer evenkeel-self-signed",
            ],
        ),
        (
            json!({"certificates": {"mode": "certManager", "issuerRef": {"name": "corporate"}}}),
            vec!["Certificate evenkeel-control"],
        ),
        (json!({"certificates": matrix::given()}), vec![]),
        (json!({"webhook": {"failurePolicy": "Ignore"}}), vec![]),
    ] {
        assert_eq!(difference(&values, &defaults)?, made, "{values}");
        assert_eq!(difference(&defaults, &values)?, Vec::<String>::new(), "{values}");
    }
    // A budget for one replica would keep its node from ever being drained.
    let gone = difference(&defaults, &json!({"replicas": 1}))?;
    assert_eq!(gone, ["PodDisruptionBudget evenkeel-control"]);
    let gone = difference(&defaults, &json!({"priorityClassName": ""}))?;
    assert_eq!(gone, ["ResourceQuota evenkeel-critical-pods"]);
    Ok(())
}

#[test]
fn an_update_never_has_fewer_replicas_than_wanted() -> Result<()> {
    matrix::each(|_, objects| {
        let spec = &find(objects, "Deployment", SERVICE)?["spec"];
        ensure!(
            spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0,
            "{}",
            spec["strategy"]
        );
        ensure!(
            spec["strategy"]["rollingUpdate"]["maxSurge"] == 1,
            "{}",
            spec["strategy"]
        );
        Ok(())
    })
}

#[test]
fn in_the_values_for_high_availability_replicas_never_share_a_node() -> Result<()> {
    let objects = helm::render(&helm::file("values-ha.yaml")?)?;
    let deployment = find(&objects, "Deployment", SERVICE)?;
    assert!(deployment["spec"]["replicas"].as_u64() >= Some(3));
    let constraints = &pod(&objects)?["topologySpreadConstraints"];
    assert_eq!(constraints[0]["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(constraints[0]["whenUnsatisfiable"], "DoNotSchedule");
    assert_eq!(constraints[1]["topologyKey"], "topology.kubernetes.io/zone");
    Ok(())
}

#[test]
fn the_api_server_trusts_what_signs_the_certificate() -> Result<()> {
    let webhook = |values: Value| -> Result<(Value, Value)> {
        let objects = helm::render(&values)?;
        let webhook = find(&objects, "MutatingWebhookConfiguration", WEBHOOKS)?;
        let injected = webhook["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].clone();
        let bundles = [0, 1].map(|index| webhook["webhooks"][index]["clientConfig"]["caBundle"].clone());
        ensure!(bundles[0] == bundles[1], "{bundles:?}");
        Ok((bundles[0].clone(), injected))
    };
    // The control plane fills it in; a value here would be put back by each upgrade and each rollback.
    assert_eq!(webhook(json!({}))?, (Value::Null, Value::Null));
    let injected = json!("evenkeel-system/evenkeel-control");
    let mode = json!({"certificates": {"mode": "certManager"}});
    assert_eq!(webhook(mode)?, (Value::Null, injected));
    let (bundle, injected) = webhook(json!({"certificates": matrix::given()}))?;
    let authority = k8s_openapi::ByteString(matrix::AUTHORITY.as_bytes().to_vec());
    assert_eq!((bundle, injected), (serde_json::to_value(authority)?, Value::Null));
    Ok(())
}

#[test]
fn the_certificate_names_the_address_that_proxies_and_the_api_server_call() -> Result<()> {
    let objects = helm::render(&json!({"certificates": {"mode": "certManager"}, "clusterDomain": "mesh.example"}))?;
    let spec = &find(&objects, "Certificate", SERVICE)?["spec"];
    let host = format!("{SERVICE}.{}.svc", helm::NAMESPACE);
    assert_eq!(spec["dnsNames"], json!([host, format!("{host}.mesh.example")]));
    // Signed by the authority, which is signed by itself.
    let issuer = &find(
        &objects,
        "Issuer",
        spec["issuerRef"]["name"].as_str().context("an issuer")?,
    )?["spec"];
    let authority = &find(&objects, "Certificate", "evenkeel-ca")?["spec"];
    assert_eq!(issuer["ca"]["secretName"], authority["secretName"]);
    assert_ne!(spec["secretName"], authority["secretName"]);
    Ok(())
}

#[test]
fn the_secret_that_is_served_is_the_one_that_may_be_read() -> Result<()> {
    matrix::each(|case, objects| {
        let mode = case.values["certificates"]["mode"].as_str().unwrap_or("self");
        let (flag, secret) = match mode {
            "self" => ("self".to_owned(), SECRET),
            "certManager" => (format!("secret:{SECRET}"), SECRET),
            _ => ("secret:from-vault".to_owned(), "from-vault"),
        };
        let arguments = pod(objects)?["containers"][0]["args"].as_array().context("arguments")?;
        ensure!(
            arguments.contains(&json!(format!("--certificates={flag}"))),
            "{arguments:?}"
        );
        let rules = find(objects, "Role", SERVICE)?["rules"].as_array().context("rules")?;
        let of_secrets = rules.iter().filter(|rule| rule["resources"][0] == "secrets");
        for rule in of_secrets.clone() {
            // Names cannot limit what is created.
            let named = rule["resourceNames"] == json!([secret]);
            ensure!(
                named || (mode == "self" && rule["verbs"] == json!(["create"])),
                "{rule}"
            );
        }
        let writes = ["create", "patch", "update"].map(|verb| json!(verb));
        let may_write = of_secrets
            .flat_map(|rule| rule["verbs"].as_array().into_iter().flatten())
            .any(|verb| writes.contains(verb));
        ensure!(may_write == (mode == "self"), "writing secrets: {may_write}");
        Ok(())
    })
}

#[test]
fn rights_are_no_more_than_reading_the_mesh_and_telling_people() -> Result<()> {
    matrix::each(|_, objects| {
        let words = |rule: &Value, key: &str| -> Result<Vec<String>> { Ok(serde_json::from_value(rule[key].clone())?) };
        let rules = find(objects, "ClusterRole", SERVICE)?["rules"]
            .as_array()
            .context("rules")?;
        for rule in rules {
            let (resources, verbs) = (words(rule, "resources")?, words(rule, "verbs")?);
            let reads = verbs
                .iter()
                .all(|verb| ["get", "list", "watch"].contains(&verb.as_str()));
            for resource in &resources {
                ensure!(resource != "secrets" && !resource.contains('*'), "{rule}");
                let may_be_written = resource.ends_with("/status")
                    || ["events", "tokenreviews"].contains(&resource.as_str())
                    || rule["resourceNames"] == json!([WEBHOOKS]);
                ensure!(reads || may_be_written, "{rule}");
            }
            ensure!(!verbs.iter().any(|verb| verb == "delete" || verb == "*"), "{rule}");
        }
        Ok(())
    })
}

#[test]
fn a_namespace_asks_for_its_pods_which_may_refuse_or_a_pod_asks_for_itself() -> Result<()> {
    let expression =
        |key: &str, operator: &str, value: &str| json!({"key": key, "operator": operator, "values": [value]});
    matrix::each(|case, objects| {
        let webhooks = &find(objects, "MutatingWebhookConfiguration", WEBHOOKS)?["webhooks"];
        for (webhook, of_namespace, of_pod) in [(&webhooks[0], "In", "NotIn"), (&webhooks[1], "NotIn", "In")] {
            let namespaces = &webhook["namespaceSelector"]["matchExpressions"];
            let asking = expression(labels::INJECTION, of_namespace, "enabled");
            ensure!(namespaces[0] == asking, "{namespaces}");
            let excluded = &namespaces[1];
            ensure!(
                excluded["key"] == "kubernetes.io/metadata.name" && excluded["operator"] == "NotIn",
                "{excluded}"
            );
            for name in ["kube-system", helm::NAMESPACE] {
                let names = excluded["values"].as_array();
                ensure!(names.is_some_and(|names| names.contains(&json!(name))), "{name}");
            }
            let word = if of_pod == "In" { "true" } else { "false" };
            let pods = &webhook["objectSelector"]["matchExpressions"];
            ensure!(*pods == json!([expression(labels::INJECT, of_pod, word)]), "{pods}");
            ensure!(
                webhook["reinvocationPolicy"] == "IfNeeded" && webhook["sideEffects"] == "None",
                "{webhook}"
            );
            let policy = case.values["webhook"]["failurePolicy"].as_str().unwrap_or("Fail");
            ensure!(webhook["failurePolicy"] == policy, "{webhook}");
            let seconds = case.values["webhook"]["timeoutSeconds"].as_u64().unwrap_or(5);
            ensure!(webhook["timeoutSeconds"] == seconds, "{webhook}");
        }
        Ok(())
    })
}

#[test]
fn images_come_from_the_registry_by_tag_or_digest() -> Result<()> {
    let image = |values: Value| -> Result<String> {
        let objects = helm::render(&values)?;
        let image = pod(&objects)?["containers"][0]["image"].as_str().context("an image")?;
        Ok(image.to_owned())
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image(json!({}))?, format!("evenkeel-control:{version}"));
    let tagged = image(json!({"image": {"registry": "registry.example/mesh", "tag": "1.20"}}))?;
    assert_eq!(tagged, "registry.example/mesh/evenkeel-control:1.20");
    let digest = format!("sha256:{}", "a".repeat(64));
    let pinned = image(json!({"image": {"tag": "1.20", "digests": {"control": &digest}}}))?;
    assert_eq!(pinned, format!("evenkeel-control@{digest}"));
    Ok(())
}

#[test]
fn everything_that_is_given_reaches_the_pods() -> Result<()> {
    let values = matrix::everything();
    let objects = helm::render(&values)?;
    let template = &find(&objects, "Deployment", SERVICE)?["spec"]["template"];
    let spec = pod(&objects)?;
    for key in ["nodeSelector", "affinity", "tolerations", "priorityClassName"] {
        assert_eq!(spec[key], values[key], "{key}");
    }
    assert_eq!(spec["containers"][0]["resources"], values["resources"]);
    assert_eq!(
        spec["imagePullSecrets"],
        json!([{"name": "registry.key"}, {"name": "other"}])
    );
    assert_eq!(
        find(&objects, "Pod", "evenkeel-test-ready")?["spec"]["imagePullSecrets"],
        spec["imagePullSecrets"]
    );
    assert_eq!(template["metadata"]["labels"]["team"], "platform");
    assert_eq!(
        template["metadata"]["annotations"]["example.com/note"],
        "yes: a colon # and a hash"
    );
    assert_eq!(template["metadata"]["annotations"]["prometheus.io/scrape"], Value::Null);
    let arguments = spec["containers"][0]["args"].as_array().context("arguments")?;
    for argument in [
        "--log=info,evenkeel_control_plane::kubernetes=debug",
        "--cluster-domain=mesh.example",
    ] {
        assert!(arguments.contains(&json!(argument)), "{arguments:?}");
    }
    for monitor in [SERVICE, "evenkeel-proxy"] {
        let monitor = find(&objects, "PodMonitor", monitor)?;
        assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
        assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["interval"], "15s");
    }
    Ok(())
}
