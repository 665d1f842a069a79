//! What one object says of another: selectors, ports, volumes, accounts.

use std::collections::BTreeSet;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_control_plane::app::SERVICE;
use evenkeel_control_plane::app::WEBHOOKS;
use serde_json::Value;

use crate::matrix;
use crate::matrix::find;

fn pod_template(objects: &[Value]) -> Result<&Value> {
    Ok(&find(objects, "Deployment", SERVICE)?["spec"]["template"])
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn names(value: &Value) -> BTreeSet<&str> {
    items(value).filter_map(|item| item["name"].as_str()).collect()
}

/// Whether an equality selector takes these labels; one that is empty takes everything, which is never meant.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().filter(|wanted| !wanted.is_empty());
    wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

#[test]
fn whatever_selects_the_control_plane_selects_its_pods_and_no_test() -> Result<()> {
    matrix::each(|_, objects| {
        let labels = &pod_template(objects)?["metadata"]["labels"];
        let test = &find(objects, "Pod", "evenkeel-test-ready")?["metadata"]["labels"];
        let mut selectors = vec![
            &find(objects, "Deployment", SERVICE)?["spec"]["selector"]["matchLabels"],
            &find(objects, "Service", SERVICE)?["spec"]["selector"],
        ];
        selectors
            .extend(of_kind(objects, "PodDisruptionBudget").map(|object| &object["spec"]["selector"]["matchLabels"]));
        selectors.extend(of_kind(objects, "NetworkPolicy").map(|object| &object["spec"]["podSelector"]["matchLabels"]));
        let monitors = of_kind(objects, "PodMonitor").filter(|object| object["metadata"]["name"] == SERVICE);
        selectors.extend(monitors.map(|object| &object["spec"]["selector"]["matchLabels"]));
        let spread = items(&pod_template(objects)?["spec"]["topologySpreadConstraints"]);
        selectors.extend(spread.map(|constraint| &constraint["labelSelector"]["matchLabels"]));
        ensure!(selectors.len() >= 4, "{selectors:?}");
        for selector in selectors {
            ensure!(selects(selector, labels) && !selects(selector, test), "{selector}");
        }
        Ok(())
    })
}

#[test]
fn every_port_that_is_named_is_one_of_the_container() -> Result<()> {
    matrix::each(|_, objects| {
        let container = &pod_template(objects)?["spec"]["containers"][0];
        let ports = names(&container["ports"]);
        ensure!(ports.len() == 3, "{ports:?}");
        let mut named: Vec<&Value> = Vec::new();
        named.extend(items(&find(objects, "Service", SERVICE)?["spec"]["ports"]).map(|port| &port["targetPort"]));
        named.extend(["livenessProbe", "readinessProbe"].map(|probe| &container[probe]["httpGet"]["port"]));
        for policy in of_kind(objects, "NetworkPolicy") {
            let rules = items(&policy["spec"]["ingress"]);
            named.extend(rules.flat_map(|rule| items(&rule["ports"])).map(|port| &port["port"]));
        }
        for monitor in of_kind(objects, "PodMonitor").filter(|object| object["metadata"]["name"] == SERVICE) {
            named.extend(items(&monitor["spec"]["podMetricsEndpoints"]).map(|endpoint| &endpoint["port"]));
        }
        for port in named {
            ensure!(port.as_str().is_some_and(|port| ports.contains(port)), "{port}");
        }
        Ok(())
    })
}

#[test]
fn a_network_policy_lets_every_port_in() -> Result<()> {
    matrix::each(|_, objects| {
        let ports = names(&pod_template(objects)?["spec"]["containers"][0]["ports"]);
        for policy in of_kind(objects, "NetworkPolicy") {
            let rules = items(&policy["spec"]["ingress"]).flat_map(|rule| items(&rule["ports"]));
            let open: BTreeSet<_> = rules.filter_map(|port| port["port"].as_str()).collect();
            ensure!(open == ports, "{open:?}");
        }
        Ok(())
    })
}

#[test]
fn the_webhook_leads_to_the_service() -> Result<()> {
    matrix::each(|_, objects| {
        let webhooks = &find(objects, "MutatingWebhookConfiguration", WEBHOOKS)?["webhooks"];
        ensure!(names(webhooks).len() == 2, "{webhooks}");
        for webhook in items(webhooks) {
            let service = &webhook["clientConfig"]["service"];
            let target = find(objects, "Service", service["name"].as_str().context("a name")?)?;
            ensure!(service["namespace"] == target["metadata"]["namespace"], "{service}");
            let mut ports = items(&target["spec"]["ports"]);
            let port = ports.find(|port| port["port"] == service["port"]).context("its port")?;
            ensure!(port["targetPort"] == "webhook", "{port}");
        }
        Ok(())
    })
}

#[test]
fn roles_are_bound_to_the_account_that_the_pods_use() -> Result<()> {
    matrix::each(|_, objects| {
        let account = &pod_template(objects)?["spec"]["serviceAccountName"];
        let account = find(objects, "ServiceAccount", account.as_str().context("an account")?)?;
        for (binding, role) in [("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")] {
            let binding = find(objects, binding, SERVICE)?;
            ensure!(binding["roleRef"]["kind"] == role, "{binding}");
            find(objects, role, binding["roleRef"]["name"].as_str().context("a role")?)?;
            let subjects = &binding["subjects"];
            ensure!(
                items(subjects).count() == 1 && subjects[0]["kind"] == "ServiceAccount",
                "{subjects}"
            );
            for key in ["name", "namespace"] {
                ensure!(subjects[0][key] == account["metadata"][key], "{subjects}");
            }
        }
        Ok(())
    })
}

#[test]
fn what_is_mounted_is_a_volume_of_something_that_is_there() -> Result<()> {
    matrix::each(|_, objects| {
        let spec = &pod_template(objects)?["spec"];
        let container = &spec["containers"][0];
        ensure!(names(&container["volumeMounts"]) == names(&spec["volumes"]), "{spec}");
        let mut folders = items(&container["volumeMounts"]).filter_map(|mount| mount["mountPath"].as_str());
        let folder = folders.next().context("a mount")?;
        let map = &spec["volumes"][0]["configMap"]["name"];
        let map = find(objects, "ConfigMap", map.as_str().context("a map")?)?;
        for key in map["data"].as_object().context("data")?.keys() {
            let flag = format!("--injection-settings={folder}/{key}");
            ensure!(items(&container["args"]).any(|argument| argument == &*flag), "{flag}");
        }
        Ok(())
    })
}

#[test]
fn the_quota_is_of_the_priority_class_and_leaves_room_for_a_rolling_update() -> Result<()> {
    matrix::each(|case, objects| {
        let class = &pod_template(objects)?["spec"]["priorityClassName"];
        let quota = find(objects, "ResourceQuota", "evenkeel-critical-pods");
        if class != "system-cluster-critical" {
            ensure!(quota.is_err(), "{}: a quota", case.name);
            return Ok(());
        }
        let spec = &quota?["spec"];
        ensure!(
            &spec["scopeSelector"]["matchExpressions"][0]["values"][0] == class,
            "{spec}"
        );
        let room: u64 = spec["hard"]["pods"].as_str().context("pods")?.parse()?;
        let replicas = find(objects, "Deployment", SERVICE)?["spec"]["replicas"]
            .as_u64()
            .context("replicas")?;
        ensure!(room > replicas, "{room} {replicas}");
        Ok(())
    })
}

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>
#[test]
fn every_pod_satisfies_the_restricted_standard_and_writes_nowhere() -> Result<()> {
    matrix::each(|_, objects| {
        let test = &find(objects, "Pod", "evenkeel-test-ready")?["spec"];
        for spec in [&pod_template(objects)?["spec"], test] {
            ensure!(
                spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault",
                "{spec}"
            );
            ensure!(
                spec["securityContext"]["runAsUser"].as_u64().is_some_and(|uid| uid > 0),
                "{spec}"
            );
            for key in ["hostNetwork", "hostPID", "hostIPC"] {
                ensure!(spec[key].is_null(), "{key}");
            }
            for volume in items(&spec["volumes"]) {
                ensure!(volume["hostPath"].is_null(), "{volume}");
            }
            for container in items(&spec["containers"]) {
                let context = &container["securityContext"];
                ensure!(context["runAsNonRoot"] == true, "{context}");
                ensure!(context["allowPrivilegeEscalation"] == false, "{context}");
                ensure!(context["readOnlyRootFilesystem"] == true, "{context}");
                ensure!(
                    context["capabilities"] == serde_json::json!({"drop": ["ALL"]}),
                    "{context}"
                );
                ensure!(context["privileged"].is_null(), "{context}");
                ensure!(
                    items(&container["ports"]).all(|port| port["hostPort"].is_null()),
                    "{container}"
                );
                ensure!(!container["resources"]["limits"]["memory"].is_null(), "{container}");
            }
        }
        Ok(())
    })
}
