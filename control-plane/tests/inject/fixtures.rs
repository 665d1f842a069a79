//! The pods of `fixtures/`, each with what it is given to the injector with.

use evenkeel_control_plane::inject::settings::{NativeSidecar, Settings};
use evenkeel_control_plane::inject::{Cluster, Injected, Namespace, Outcome, inject};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A certificate of nobody: the proxy's document has its text.
pub(crate) const CA: &str = "-----BEGIN CERTIFICATE-----\nMIIBejCCASGgAwIBAgIU\nAAAA\n-----END CERTIFICATE-----\n";

/// A pod, and where it is made.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) pod: Value,
    pub(crate) namespace: Namespace,
    pub(crate) settings: Settings,
    pub(crate) cluster: Cluster,
}

impl Fixture {
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome_of(&self.pod)
    }

    pub(crate) fn outcome_of(&self, pod: &Value) -> Outcome {
        inject(pod, &self.namespace, &self.settings, &self.cluster)
    }

    /// What it becomes, if it is injected.
    pub(crate) fn injected(&self) -> Option<Injected> {
        match self.outcome() {
            Outcome::Injected(injected) => Some(*injected),
            Outcome::Skipped { .. } | Outcome::Refused(_) => None,
        }
    }
}

pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inject")
        .join(name)
}

/// All of them, by name.
pub(crate) fn all() -> Vec<Fixture> {
    let mut names: Vec<String> = fs::read_dir(folder("fixtures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
        .iter()
        .map(|name| named(name.strip_suffix(".yaml").unwrap()))
        .collect()
}

/// A file has the pod, and under `given` what differs from a cluster of today and an injected namespace.
pub(crate) fn named(name: &str) -> Fixture {
    let text = fs::read_to_string(folder("fixtures").join(format!("{name}.yaml"))).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let given = &file["given"];
    let mut labels = json!({"evenkeel.io/injection": "enabled"});
    if !given["namespaceLabels"].is_null() {
        labels = given["namespaceLabels"].clone();
    }
    let mut settings =
        Settings::parse(&given["settings"].to_string()).unwrap_or_else(|error| panic!("{name}: {error}"));
    if given["nativeSidecar"] == false {
        settings.native_sidecar = NativeSidecar::Never;
    }
    Fixture {
        name: name.to_owned(),
        pod: file["pod"].clone(),
        namespace: Namespace {
            name: given["namespace"].as_str().unwrap_or("shop").to_owned(),
            opts_in: labels["evenkeel.io/injection"] == "enabled",
            labels: Some(serde_json::from_value(labels).unwrap()),
        },
        settings,
        cluster: Cluster {
            native_sidecars: given["oldCluster"] != true,
            ca: CA.to_owned(),
        },
    }
}
