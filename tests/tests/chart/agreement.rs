//! The programs know what the chart tells them, and both say the same where each says it: names, ports, paths, users, labels. What
//! is said by the program is taken from its own constants.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_control_plane::access::certificates::service_names;
use evenkeel_control_plane::app::SECRET;
use evenkeel_control_plane::app::SERVICE;
use evenkeel_control_plane::app::WEBHOOKS;
use evenkeel_control_plane::inject::PROXY_UID;
use evenkeel_control_plane::inject::containers;
use evenkeel_control_plane::inject::labels;
use evenkeel_control_plane::inject::settings::Settings;
use evenkeel_control_plane::kubernetes::kind::Kind;
use evenkeel_control_plane::kubernetes::lease;
use evenkeel_control_plane::webhook::Rule;
use evenkeel_tests::binaries;
use evenkeel_tests::helm;
use serde_json::Value;
use serde_json::json;

use crate::matrix;
use crate::matrix::find;

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[test]
fn every_flag_that_the_chart_gives_is_one_of_the_program() -> Result<()> {
    let help = Command::new(binaries::path("evenkeel-control")?)
        .args(["run", "--help"])
        .output()?;
    let help = String::from_utf8(help.stdout)?;
    let known: Vec<_> = help.split_whitespace().filter(|word| word.starts_with("--")).collect();
    matrix::each(|_, objects| {
        let container = &find(objects, "Deployment", SERVICE)?["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().context("arguments")?;
        ensure!(arguments[0] == "run", "{arguments:?}");
        for argument in &arguments[1..] {
            let flag = argument
                .as_str()
                .and_then(|argument| argument.split_once('='))
                .context("a flag")?
                .0;
            ensure!(known.contains(&flag), "{flag} is not in: {help}");
        }
        Ok(())
    })
}

#[test]
fn the_webhooks_are_called_where_the_program_answers_and_by_its_labels() -> Result<()> {
    matrix::each(|_, objects| {
        let webhooks = &find(objects, "MutatingWebhookConfiguration", WEBHOOKS)?["webhooks"];
        ensure!(items(webhooks).count() == Rule::ALL.len(), "{webhooks}");
        for (webhook, rule) in items(webhooks).zip(Rule::ALL) {
            let service = &webhook["clientConfig"]["service"];
            ensure!(
                service["path"] == rule.path() && service["name"] == SERVICE,
                "{service}"
            );
            let keys = |selector: &str| {
                let expressions = items(&webhook[selector]["matchExpressions"]);
                let keys = expressions.filter_map(|expression| expression["key"].as_str());
                keys.map(str::to_owned).collect::<BTreeSet<_>>()
            };
            ensure!(keys("namespaceSelector").contains(labels::INJECTION), "{webhook}");
            ensure!(
                keys("objectSelector") == BTreeSet::from([labels::INJECT.to_owned()]),
                "{webhook}"
            );
        }
        let template = &find(objects, "Deployment", SERVICE)?["spec"]["template"];
        ensure!(template["metadata"]["labels"][labels::INJECT] == "false", "{template}");
        Ok(())
    })
}

#[test]
fn the_lease_the_secret_and_the_configuration_that_may_be_written_are_those_that_are() -> Result<()> {
    matrix::each(|case, objects| {
        let named = |kind: &str, resource: &str| -> Result<BTreeSet<String>> {
            let rules = items(&find(objects, kind, SERVICE)?["rules"]);
            let about = rules.filter(|rule| rule["resources"] == json!([resource]));
            let names = about.flat_map(|rule| items(&rule["resourceNames"]));
            Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
        };
        ensure!(named("Role", "leases")? == BTreeSet::from([lease::NAME.to_owned()]));
        let secret = case.values["certificates"]["secretName"].as_str().unwrap_or(SECRET);
        ensure!(named("Role", "secrets")? == BTreeSet::from([secret.to_owned()]));
        let configurations = named("ClusterRole", "mutatingwebhookconfigurations")?;
        ensure!(configurations.is_empty() || configurations == BTreeSet::from([WEBHOOKS.to_owned()]));
        Ok(())
    })
}

#[test]
fn proxies_are_led_to_a_port_of_the_service_by_a_name_of_its_certificate() -> Result<()> {
    let objects = helm::render(&json!({"certificates": {"mode": "certManager"}, "clusterDomain": "mesh.example"}))?;
    let settings = find(&objects, "ConfigMap", "evenkeel-injection")?["data"]["injection.yaml"].as_str();
    let settings = Settings::parse(settings.context("settings")?)?;
    let (host, port) = settings.control_plane.address.rsplit_once(':').context("a port")?;
    let port: u16 = port.parse()?;
    let names: BTreeSet<_> = service_names(SERVICE, helm::NAMESPACE, "mesh.example")
        .into_iter()
        .collect();
    ensure!(names.contains(host), "{host}");
    let certificate = find(&objects, "Certificate", SERVICE)?;
    let certified = items(&certificate["spec"]["dnsNames"]).filter_map(Value::as_str);
    ensure!(
        certified.map(str::to_owned).collect::<BTreeSet<_>>() == names,
        "{certificate}"
    );
    let service = find(&objects, "Service", SERVICE)?;
    let mut ports = items(&service["spec"]["ports"]).filter(|one| one["port"] == port);
    ensure!(ports.any(|one| one["targetPort"] == "xds"), "{service}");
    Ok(())
}

#[test]
fn every_port_of_the_container_is_one_that_the_program_is_told_to_listen_on() -> Result<()> {
    matrix::each(|_, objects| {
        let container = &find(objects, "Deployment", SERVICE)?["spec"]["template"]["spec"]["containers"][0];
        let told = |flag: &str| {
            let mut arguments = items(&container["args"]).filter_map(Value::as_str);
            arguments.find_map(|argument| argument.strip_prefix(&format!("--{flag}="))?.parse().ok())
        };
        for (name, flag) in [
            ("xds", "xds-listen"),
            ("webhook", "webhook-listen"),
            ("telemetry", "telemetry"),
        ] {
            let mut ports = items(&container["ports"]).filter(|port| port["name"] == name);
            let port = ports.next().and_then(|port| port["containerPort"].as_u64());
            ensure!(port.is_some() && port == told(flag), "{name}: {port:?}");
        }
        let scraped = &find(objects, "Deployment", SERVICE)?["spec"]["template"]["metadata"]["annotations"];
        if let Some(port) = scraped["prometheus.io/port"].as_str() {
            ensure!(port.parse().ok() == told("telemetry"), "{port}");
        }
        Ok(())
    })
}

#[test]
fn proxies_are_scraped_by_the_label_and_the_port_that_the_injector_gives_them() -> Result<()> {
    let objects = helm::render(&json!({"metrics": {"podMonitor": {"enabled": true}}}))?;
    let spec = &find(&objects, "PodMonitor", containers::PROXY)?["spec"];
    assert_eq!(spec["selector"]["matchLabels"], json!({labels::INJECTED: "true"}));
    assert_eq!(spec["podMetricsEndpoints"][0]["port"], containers::TELEMETRY_PORT);
    Ok(())
}

/// As `UID:GID`.
fn user_of_image(image: &str) -> Result<String> {
    let dockerfile = fs::read_to_string(helm::chart().join("../../Dockerfile"))?;
    let stage = dockerfile.split_once(&format!(" AS {image}\n")).context("a stage")?.1;
    let stage = stage.split("\nFROM ").next().unwrap_or(stage);
    let user = stage.lines().find_map(|line| line.strip_prefix("USER "));
    Ok(user.with_context(|| format!("the user of {image}"))?.to_owned())
}

#[test]
fn pods_run_as_the_users_of_their_images_and_the_proxy_as_the_one_that_is_exempt() -> Result<()> {
    matrix::each(|_, objects| {
        let control = &find(objects, "Deployment", SERVICE)?["spec"]["template"]["spec"]["securityContext"];
        let test = &find(objects, "Pod", "evenkeel-test-ready")?["spec"]["securityContext"];
        for (context, image) in [(control, SERVICE), (test, containers::PROXY)] {
            let user = format!("{}:{}", context["runAsUser"], context["runAsGroup"]);
            ensure!(user == user_of_image(image)?, "{image}: {user}");
        }
        ensure!(test["runAsUser"] == PROXY_UID, "{test}");
        Ok(())
    })
}

#[test]
fn the_notes_say_the_labels_that_the_injector_obeys() -> Result<()> {
    let notes = helm::notes(&json!({}))?;
    for text in [
        format!("{}=enabled", labels::INJECTION),
        format!("{}: \"false\"", labels::INJECT),
    ] {
        ensure!(notes.contains(&text), "{text}: {notes}");
    }
    Ok(())
}

#[test]
fn the_definition_in_the_chart_is_of_the_kind_that_is_watched() -> Result<()> {
    let (group, plural) = Kind::TrafficPolicy.resource();
    let objects = helm::render(&json!({}))?;
    let spec = &find(&objects, "CustomResourceDefinition", &format!("{plural}.{group}"))?["spec"];
    ensure!(spec["group"] == group && spec["names"]["plural"] == plural, "{spec}");
    ensure!(spec["names"]["kind"] == Kind::TrafficPolicy.name(), "{spec}");
    Ok(())
}
