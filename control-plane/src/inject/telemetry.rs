//! What proxies tell of requests, by the settings: the sections of the mesh document that the settings file has, and who a pod
//! is in them.

use super::document;
use super::place::{FaultList, Place};
use evenkeel_control_api::fault::Fault;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Map, Value, json};

/// Which of a `ReplicaSet`'s pods a Deployment has made.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// Of the name of a `CronJob`'s Job: the minute that it was due, since 1970.
const LEAST_MINUTES: usize = 8;

/// What all proxies tell. Each is as the mesh document has it, and was read by its own reader.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// Spans; `None`: there are none.
    pub tracing: Option<Map<String, Value>>,
    /// Labels of series, and where metrics are pushed; `None`: they are scraped, without further labels.
    pub metrics: Option<Map<String, Value>>,
    /// Where lines of the access log go as records; `None`: to stdout alone.
    pub access_log: Option<Map<String, Value>>,
}

impl Telemetry {
    /// The section `telemetry:`. What differs from pod to pod is the injector's.
    pub(super) fn read(place: &Place<'_>, faults: &FaultList) -> Self {
        let fields = place.fields(&["tracing", "metrics", "accessLog"]);
        let tracing = fields.optional("tracing").inspect(|place| {
            place.fields(&[
                "collector",
                "protocol",
                "timeout",
                "sample",
                "propagation",
                "attributes",
            ]);
        });
        let metrics = fields.optional("metrics").inspect(|place| {
            let fields = place.fields(&["labels", "services", "idle", "push"]);
            if let Some(push) = fields.optional("push") {
                push.fields(&["collector", "protocol", "timeout", "interval"]);
            }
        });
        let access_log = fields.optional("accessLog").inspect(|place| {
            place.fields(&["collector", "protocol", "timeout"]);
        });
        let map = |place: Option<Place<'_>>| place.and_then(|place| place.map().cloned());
        let read = Self {
            tracing: map(tracing),
            metrics: map(metrics),
            access_log: map(access_log),
        };
        if faults.borrow().is_empty() {
            refuse(&read.sections(), faults);
        }
        read
    }

    /// As they stand in a mesh document.
    fn sections(&self) -> Value {
        let (mut sections, mut proxy) = (Map::new(), Map::new());
        let add = |to: &mut Map<String, Value>, name: &str, section: Option<Value>| {
            to.extend(section.map(|section| (name.to_owned(), section)));
        };
        add(&mut proxy, "metrics", self.metrics.clone().map(Value::Object));
        let otlp = self.access_log.as_ref();
        add(
            &mut proxy,
            "access_log",
            otlp.map(|otlp| json!({"format": "json", "otlp": otlp})),
        );
        add(&mut sections, "proxy", Some(proxy.into()));
        add(&mut sections, "tracing", self.tracing.clone().map(Value::Object));
        sections.into()
    }

    /// `tracing:` of the document of a pod of this workload.
    pub(super) fn tracing_of(&self, workload: Option<&str>) -> Option<Map<String, Value>> {
        let mut tracing = self.tracing.clone()?;
        tracing.extend(workload.map(|workload| ("service".to_owned(), service(workload).into())));
        Some(tracing)
    }

    /// `proxy.access_log.otlp:` of the document of a pod of this workload.
    pub(super) fn records_of(&self, workload: Option<&str>) -> Option<Map<String, Value>> {
        let mut otlp = self.access_log.clone()?;
        otlp.extend(workload.map(|workload| ("service".to_owned(), service(workload).into())));
        Some(otlp)
    }

    /// `proxy.metrics:` of the document of a pod of this workload, but for its namespace and its zone.
    pub(super) fn metrics_of(&self, workload: Option<&str>) -> Option<Map<String, Value>> {
        let mut metrics = self.metrics.clone()?;
        if let (Some(Value::Object(push)), Some(workload)) = (metrics.get_mut("push"), workload) {
            push.insert("service".to_owned(), service(workload).into());
        }
        metrics.extend(workload.map(|workload| ("workload".to_owned(), workload.into())));
        Some(metrics)
    }
}

/// A workload as the name of a service, which is shorter than names of objects may be.
fn service(workload: &str) -> String {
    const LONGEST: usize = 128;
    workload.chars().filter(char::is_ascii_graphic).take(LONGEST).collect()
}

/// What a pod is part of: the Deployment, `StatefulSet`, `DaemonSet`, `CronJob` or the like that makes it, else the pod itself.
/// `None`: the pod is a template without a name.
pub(crate) fn workload(pod: &Pod) -> Option<String> {
    let ObjectMeta {
        name,
        generate_name,
        labels,
        owner_references,
        ..
    } = &pod.metadata;
    let owners = owner_references.as_deref().unwrap_or_default();
    let Some(owner) = owners.iter().find(|owner| owner.controller == Some(true)) else {
        let generated = generate_name.as_deref().map(|name| name.trim_end_matches('-'));
        return name.as_deref().or(generated).map(str::to_owned);
    };
    let hash = labels.as_ref().and_then(|labels| labels.get(TEMPLATE_HASH));
    let OwnerReference { kind, name, .. } = owner;
    let maker = match (kind.as_str(), hash) {
        ("ReplicaSet", Some(hash)) => name.strip_suffix(hash.as_str()).and_then(|name| name.strip_suffix('-')),
        ("Job", _) => name
            .rsplit_once('-')
            .filter(|(_, due)| due.len() >= LEAST_MINUTES && due.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|(name, _)| name),
        _ => None,
    };
    Some(maker.unwrap_or(name).to_owned())
}

/// What the reader of the mesh document has against the sections.
fn refuse(sections: &Value, faults: &FaultList) {
    let Err(found) = document::check(&super::yaml::write(sections)) else {
        return;
    };
    let here = |fault: Fault| {
        let path = fault.path.trim_start_matches("proxy.");
        let path = path.replace("access_log.otlp", "accessLog");
        Fault {
            position: None,
            path: format!("telemetry.{path}"),
            ..fault
        }
    };
    faults.borrow_mut().extend(found.0.into_iter().map(here));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(metadata: &Value) -> Option<String> {
        workload(&serde_json::from_value(json!({"metadata": metadata})).unwrap())
    }

    fn owned(kind: &str, name: &str, labels: &Value) -> Option<String> {
        let owner = json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": "1", "controller": true});
        of(&json!({"generateName": "x-", "labels": labels, "ownerReferences": [owner]}))
    }

    #[test]
    fn a_pod_is_part_of_what_somebody_has_written() {
        let hash = json!({"pod-template-hash": "7c9d"});
        for (kind, name, labels, expected) in [
            ("ReplicaSet", "web-v2-7c9d", hash.clone(), "web-v2"),
            ("ReplicaSet", "bare-7c9d", json!({}), "bare-7c9d"),
            ("StatefulSet", "db", json!({}), "db"),
            ("DaemonSet", "agent-7c9d", hash, "agent-7c9d"),
            ("Job", "backup-29384756", json!({}), "backup"),
            ("Job", "migrate-2", json!({}), "migrate-2"),
        ] {
            assert_eq!(owned(kind, name, &labels).as_deref(), Some(expected), "{kind} {name}");
        }
        assert_eq!(of(&json!({"name": "one"})).as_deref(), Some("one"));
        assert_eq!(of(&json!({"generateName": "many-"})).as_deref(), Some("many"));
        assert_eq!(of(&json!({})), None);
    }
}
