//! The pod as it is to be. An injected pod may come again, with containers that somebody else put in since, and with
//! defaults that the API server filled in: what is ours is brought up to date where it stands, and nothing is put in twice.

use super::annotations::{self, Wishes};
use super::containers::{self, Kind};
use super::document::{self, Drain};
use super::probes::Rewriting;
use super::settings::{NativeSidecar, Settings};
use super::{Cluster, Skipped, labels, ports, telemetry};
use evenkeel_control_api::fault::Fault;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What Kubernetes takes where a pod says nothing.
const DEFAULT_GRACE: u64 = 30;
/// Of a pod's grace, what is left for the proxy to end after its drain.
const AFTER_DRAIN: Duration = Duration::from_secs(2);

/// Lead a Prometheus that goes by them to the proxy. A pod that says anything of this itself keeps its own.
const SCRAPE: [(&str, &str); 3] = [
    ("prometheus.io/scrape", "true"),
    ("prometheus.io/port", "15020"),
    ("prometheus.io/path", "/metrics"),
];

/// What became of it.
pub(super) enum Changed {
    Pod { pod: Value, warnings: Vec<String> },
    Skipped(Skipped),
}

/// The pod with its proxy, or everything that stands against it.
pub(super) fn changed(pod: &Value, typed: &Pod, settings: &Settings, cluster: &Cluster) -> Result<Changed, Vec<Fault>> {
    let nothing = PodSpec::default();
    let spec = typed.spec.as_ref().unwrap_or(&nothing);
    let empty = std::collections::BTreeMap::new();
    let mut faults = ports::collisions(typed, spec);
    let wishes = match annotations::read(typed.metadata.annotations.as_ref().unwrap_or(&empty)) {
        Ok(wishes) => wishes,
        Err(more) => {
            faults.extend(more);
            return Err(faults);
        }
    };
    let settings = match wishes.applied(settings) {
        Ok(settings) => settings,
        Err(fault) => {
            faults.push(fault);
            return Err(faults);
        }
    };
    let kind = match kind(&wishes, &settings, cluster) {
        Ok(kind) => kind,
        Err(fault) => {
            faults.push(fault);
            return Err(faults);
        }
    };
    let completes = spec.restart_policy.as_deref().is_some_and(|policy| policy != "Always");
    if kind == Kind::Ordinary && completes && !wishes.force {
        return Ok(Changed::Skipped(Skipped::WouldNotComplete));
    }
    let mut after = pod.clone();
    let spec_after = object(&mut after, "spec");
    let rewriting = rewrite(spec, spec_after, kind);
    faults.extend(rewriting.faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let drain = grace(spec, spec_after, &wishes, &settings, kind);
    let document = document::text(
        &settings,
        &cluster.ca,
        drain,
        telemetry::workload(typed).as_deref(),
        &rewriting.health,
    );
    document::check(&document).map_err(|faults| refused_document(faults.0))?;
    put_in(spec_after, &settings, kind, document);
    let metadata = object(&mut after, "metadata");
    let labels_after = entry(metadata, "labels");
    labels_after.insert(labels::INJECTED.to_owned(), "true".into());
    if settings.proxy.scrape_annotations {
        let annotations_after = entry(metadata, "annotations");
        if !annotations_after.contains_key(SCRAPE[0].0) {
            let pairs = SCRAPE.map(|(key, value)| (key.to_owned(), value.into()));
            annotations_after.extend(pairs);
        }
    }
    let mut warnings = rewriting.warnings;
    warnings.extend(unresolved(spec, &settings));
    Ok(Changed::Pod { pod: after, warnings })
}

fn refused_document(faults: Vec<Fault>) -> Vec<Fault> {
    let inside = |fault: Fault| Fault {
        position: None,
        path: format!("the proxy's configuration, {}", fault.path),
        ..fault
    };
    faults.into_iter().map(inside).collect()
}

fn kind(wishes: &Wishes, settings: &Settings, cluster: &Cluster) -> Result<Kind, Fault> {
    let native = match (wishes.native_sidecar, settings.native_sidecar) {
        (Some(true), _) if !cluster.native_sidecars => {
            return Err(Fault {
                position: None,
                path: format!("metadata.annotations[\"{}native-sidecar\"]", labels::PREFIX),
                reason: "this cluster has no native sidecars".to_owned(),
            });
        }
        (Some(native), _) => native,
        (None, NativeSidecar::Auto) => cluster.native_sidecars,
        (None, NativeSidecar::Always) => true,
        (None, NativeSidecar::Never) => false,
    };
    Ok(if native { Kind::NativeSidecar } else { Kind::Ordinary })
}

/// The probes of all containers that are started after the proxy.
fn rewrite(spec: &PodSpec, after: &mut Map<String, Value>, kind: Kind) -> Rewriting {
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let ours = init
        .iter()
        .chain(&spec.containers)
        .find(|container| container.name == containers::PROXY);
    let mut rewriting = Rewriting {
        known: ours.map(containers::known_health).unwrap_or_default(),
        ..Rewriting::default()
    };
    let theirs = |container: &Container| !containers::NAMES.contains(&container.name.as_str());
    for (container, value) in init.iter().zip(list(after, "initContainers")) {
        if !theirs(container) || container.restart_policy.as_deref() != Some("Always") {
            continue;
        }
        match kind {
            Kind::NativeSidecar => rewriting.container(container, value),
            Kind::Ordinary => rewriting.leave(container),
        }
    }
    for (container, value) in spec.containers.iter().zip(list(after, "containers")) {
        if theirs(container) {
            rewriting.container(container, value);
        }
    }
    rewriting
}

/// How long the proxy's drain may take, and the pod's own grace with it where the pod's annotation asks for more.
fn grace(spec: &PodSpec, after: &mut Map<String, Value>, wishes: &Wishes, settings: &Settings, kind: Kind) -> Drain {
    let seconds = spec.termination_grace_period_seconds;
    let pod = seconds.map_or(DEFAULT_GRACE, |seconds| u64::try_from(seconds).unwrap_or(0));
    let pod = Duration::from_secs(pod);
    let shortest = Duration::from_secs(1);
    let outlives_application = kind == Kind::NativeSidecar;
    let deadline = match wishes.grace {
        Some(asked) => {
            let needed = asked + AFTER_DRAIN;
            if pod < needed {
                let seconds = needed.as_secs() + u64::from(needed.subsec_nanos() > 0);
                after.insert("terminationGracePeriodSeconds".to_owned(), seconds.into());
            }
            asked
        }
        None if outlives_application => pod.max(shortest),
        // What the application was given is not changed by itself.
        None => settings
            .proxy
            .shutdown_grace
            .min(pod.saturating_sub(AFTER_DRAIN))
            .max(shortest),
    };
    Drain {
        outlives_application,
        deadline,
    }
}

/// The containers, the volume and the secrets.
fn put_in(after: &mut Map<String, Value>, settings: &Settings, kind: Kind, document: String) {
    let init_before = take_ours(list(after, "initContainers"));
    let containers_before = take_ours(list(after, "containers"));
    let proxy_before = match kind {
        Kind::NativeSidecar => &init_before,
        // What was a sidecar of the other kind is made anew.
        Kind::Ordinary => &containers_before,
    };
    let init = overlaid(&init_before, &containers::init(settings));
    let proxy = overlaid(proxy_before, &containers::proxy(settings, kind, document));
    match kind {
        // Whatever is started after the redirection is in place needs the proxy.
        Kind::NativeSidecar => drop(list(after, "initContainers").splice(0..0, [init, proxy])),
        // The proxy is started after all init containers, so the redirection comes last of those.
        Kind::Ordinary => {
            list(after, "initContainers").push(init);
            list(after, "containers").insert(0, proxy);
        }
    }
    let token = value(&containers::token(settings));
    let volumes = list(after, "volumes");
    match volumes.iter_mut().find(|volume| volume["name"] == token["name"]) {
        Some(before) => *before = overlay(before, token),
        None => volumes.push(token),
    }
    if !settings.images.pull_secrets.is_empty() {
        let secrets = list(after, "imagePullSecrets");
        for name in &settings.images.pull_secrets {
            if !secrets.iter().any(|secret| secret["name"] == name.as_str()) {
                secrets.push(json!({"name": name}));
            }
        }
    }
}

fn take_ours(list: &mut Vec<Value>) -> Vec<Value> {
    let ours = |value: &mut Value| {
        value["name"]
            .as_str()
            .is_some_and(|name| containers::NAMES.contains(&name))
    };
    list.extract_if(.., ours).collect()
}

fn overlaid(before: &[Value], fresh: &Container) -> Value {
    let fresh = value(fresh);
    match before.iter().find(|value| value["name"] == fresh["name"]) {
        Some(before) => overlay(before, fresh),
        None => fresh,
    }
}

/// What is ours, with what the API server and others filled in since.
fn overlay(before: &Value, ours: Value) -> Value {
    match (before, ours) {
        (Value::Object(before), Value::Object(ours)) => {
            let mut both = before.clone();
            for (key, value) in ours {
                let value = match before.get(&key) {
                    Some(before) => overlay(before, value),
                    None => value,
                };
                both.insert(key, value);
            }
            Value::Object(both)
        }
        (Value::Array(before), Value::Array(ours)) if ours.iter().all(|item| item.get("name").is_some()) => {
            let named = |list: &[Value], name: &Value| list.iter().position(|item| item["name"] == *name);
            let mut both = Vec::new();
            for item in before {
                match named(&ours, &item["name"]) {
                    Some(index) => both.push(overlay(item, ours[index].clone())),
                    None => both.push(item.clone()),
                }
            }
            both.extend(ours.into_iter().filter(|item| named(before, &item["name"]).is_none()));
            Value::Array(both)
        }
        (_, ours) => ours,
    }
}

/// The control plane's name is one of the cluster's.
fn unresolved(spec: &PodSpec, settings: &Settings) -> Option<String> {
    let policy = spec.dns_policy.as_deref()?;
    let outside = ["Default", "None"].contains(&policy) && settings.control_plane.address.contains(".svc");
    outside.then(|| {
        format!(
            "with dnsPolicy {policy} the proxy may not find its control plane, {}",
            settings.control_plane.address
        )
    })
}

fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).expect("the types of Kubernetes are JSON")
}

/// What is under a key as a mapping; it is made where nothing is there.
fn object<'a>(value: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else {
        unreachable!("it was made one above")
    };
    entry(map, key)
}

fn entry<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made one above"),
    }
}

fn list<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let value = map.entry(key).or_insert(Value::Null);
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("it was made one above"),
    }
}
