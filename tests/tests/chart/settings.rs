//! The ConfigMap is the injector's settings file, as its own reader takes it; and what proxies are told by it is what they read.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_control_api::mesh;
use evenkeel_control_plane::inject::Cluster;
use evenkeel_control_plane::inject::Namespace;
use evenkeel_control_plane::inject::Outcome;
use evenkeel_control_plane::inject::inject;
use evenkeel_control_plane::inject::settings::AccessLog;
use evenkeel_control_plane::inject::settings::Backend;
use evenkeel_control_plane::inject::settings::NativeSidecar;
use evenkeel_control_plane::inject::settings::PullPolicy;
use evenkeel_control_plane::inject::settings::Settings;
use evenkeel_control_plane::inject::settings::StartupThen;
use evenkeel_control_plane::inject::settings::Workers;
use evenkeel_tests::binaries;
use evenkeel_tests::helm;
use serde_json::Value;
use serde_json::json;

use crate::matrix;
use crate::matrix::find;

fn settings(objects: &[Value]) -> Result<Settings> {
    let map = find(objects, "ConfigMap", "evenkeel-injection")?;
    let text = map["data"]["injection.yaml"].as_str().context("a file")?;
    Settings::parse(text).with_context(|| text.to_owned())
}

#[test]
fn the_injector_takes_what_every_case_renders() -> Result<()> {
    matrix::each(|_, objects| {
        let read = settings(objects)?;
        let own = find(objects, "Deployment", "evenkeel-control")?["metadata"]["namespace"].as_str();
        ensure!(
            own.is_some_and(|own| read.excluded_namespaces.contains(own)),
            "{read:?}"
        );
        Ok(())
    })
}

#[test]
fn by_default_it_is_what_the_injector_does_without_a_file() -> Result<()> {
    let mut rendered = settings(&helm::render(&json!({}))?)?;
    // The chart says it, the injector leaves it to Kubernetes, which does the same for a tag other than `latest`.
    assert_eq!(rendered.images.pull_policy.take(), Some(PullPolicy::IfNotPresent));
    assert_eq!(rendered, Settings::default());
    Ok(())
}

#[test]
fn every_value_arrives() -> Result<()> {
    let values = matrix::everything();
    let read = settings(&helm::render_with(&["--namespace", "mesh"], &values)?)?;
    let base = Settings::default();
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    let registry = "registry.example:5000/mesh";
    assert_eq!(read.images.proxy, format!("{registry}/evenkeel-proxy@{}", digest("b")));
    assert_eq!(read.images.init, format!("{registry}/evenkeel-init@{}", digest("c")));
    assert_eq!(read.images.pull_policy, Some(PullPolicy::Always));
    assert_eq!(read.images.pull_secrets, ["registry.key"]);
    assert_eq!(read.control_plane.address, "evenkeel-control.mesh.svc:15012");
    assert_eq!(read.control_plane.audience, base.control_plane.audience);
    assert_eq!(read.control_plane.startup_wait, Duration::from_secs(3));
    assert_eq!(read.control_plane.startup_then, StartupThen::NotReady);
    assert_eq!(read.native_sidecar, NativeSidecar::Never);
    let excluded: Vec<_> = read.excluded_namespaces.iter().map(String::as_str).collect();
    assert_eq!(excluded, ["kube-system", "mesh", "storage"]);
    assert_eq!(read.proxy.log_level, "debug");
    assert_eq!(read.proxy.access_log, AccessLog::Json);
    assert_eq!(read.proxy.workers, Workers::CpuLimit);
    assert!(!read.proxy.scrape_annotations);
    assert_eq!(read.proxy.shutdown_grace, Duration::from_mins(1));
    assert_eq!(read.proxy.extra_env["RUST_BACKTRACE"], "1");
    let resources = json!({"requests": read.proxy.resources.requests, "limits": read.proxy.resources.limits});
    // Values of a chart are added to its defaults, key by key.
    let wanted = json!({"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}});
    assert_eq!(resources, wanted);
    assert_eq!(read.redirection.backend, Backend::Legacy);
    assert_eq!(read.redirection.include_inbound_ports, ["80", "8000-8999"]);
    assert_eq!(read.redirection.exclude_inbound_ports, ["22"]);
    assert_eq!(read.redirection.include_outbound_ports, ["443"]);
    assert_eq!(read.redirection.exclude_outbound_ports, ["25"]);
    assert_eq!(read.redirection.include_outbound_cidrs, ["10.0.0.0/8", "fd00::/8"]);
    assert_eq!(read.redirection.exclude_outbound_cidrs, ["10.1.0.0/16"]);
    assert_eq!(read.on_demand, ["10.96.0.0/12"]);
    let tracing = json!({"collector": "http://otel.monitoring:4318", "protocol": "http", "sample": "0.5%", "propagation": ["b3", "w3c"]});
    assert_eq!(json!(read.telemetry.tracing), tracing);
    let push = json!({"collector": "http://otel.monitoring:4318", "protocol": "http", "interval": "10s"});
    let labels = ["source_workload", "destination_namespace"];
    assert_eq!(json!(read.telemetry.metrics), json!({"labels": labels, "push": push}));
    let records = json!({"collector": "http://otel.monitoring:4318", "protocol": "http"});
    assert_eq!(json!(read.telemetry.access_log), records);
    Ok(())
}

/// The document of a pod of the workload `web` that is injected by these settings, as a kubelet puts it into the environment.
fn document(settings: &Settings) -> Result<String> {
    let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "1", "controller": true});
    let pod = json!({
        "metadata": {"name": "web-0", "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    });
    let namespace = Namespace {
        name: "shop".to_owned(),
        opts_in: true,
        labels: None,
    };
    let cluster = Cluster {
        native_sidecars: true,
        ca: matrix::AUTHORITY.to_owned(),
    };
    let Outcome::Injected(injected) = inject(&pod, &namespace, settings, &cluster) else {
        anyhow::bail!("it is not injected");
    };
    let containers = injected.pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut variables = containers.filter_map(|container| container["env"].as_array()).flatten();
    let text = variables.find(|variable| variable["name"] == "EVENKEEL_CONFIG_INLINE");
    let text = text
        .and_then(|variable| variable["value"].as_str())
        .context("a document")?;
    Ok(text
        .replace("$(POD_NAMESPACE)", "shop")
        .replace("$(POD_NAME)", "web-0")
        .replace("$(POD_ZONE)", "zone-a")
        .replace("$$", "$"))
}

#[test]
fn what_proxies_tell_of_requests_is_read_by_the_proxy_of_a_pod_that_is_injected_so() -> Result<()> {
    let text = document(&settings(&helm::render(&matrix::everything())?)?)?;
    let checked = Command::new(binaries::path("evenkeel-proxy")?)
        .args(["validate", "--config-inline", &text])
        .output()?;
    let said = String::from_utf8_lossy(&checked.stderr);
    ensure!(checked.status.success(), "{said}\n{text}");
    let read = mesh::parse(&text)?;
    let read = read.settings();
    let collector = "http://otel.monitoring:4318/";
    let tracing = read.tracing.as_ref().context("tracing")?;
    assert_eq!(
        (tracing.collector.uri.to_string().as_str(), tracing.service.as_deref()),
        (collector, Some("web"))
    );
    let push = read.metrics.push.as_ref().context("pushes")?;
    assert_eq!(
        (push.collector.uri.to_string().as_str(), push.service.as_deref()),
        (collector, Some("web"))
    );
    assert_eq!(
        (read.metrics.workload.as_deref(), read.metrics.namespace.as_deref()),
        (Some("web"), Some("shop"))
    );
    let log = read.access_log.as_ref().context("an access log")?;
    assert_eq!(log.lines, mesh::settings::Lines::Json);
    let records = log.otlp.as_ref().context("records")?;
    assert_eq!(
        (records.collector.uri.to_string().as_str(), records.service.as_deref()),
        (collector, Some("web"))
    );
    Ok(())
}
