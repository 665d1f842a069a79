//! A pod in, what it is to become out. Pure: nothing is asked but what is given.
//!
//! ```text
//! template                       the pods inside of Deployments, Jobs and others, for use without a webhook
//! change                         the pod as it is to be: containers, volume, probes, grace
//! containers · probes · ports    what is put in | what is rewritten | what cannot be beside a proxy
//! document                       the mesh document of the pod's proxy
//! annotations · decision         what the pod says | whether it is injected at all
//! settings                       what holds for every pod, from a watched file
//! patch · yaml · place · name · scalar · labels
//! ```

pub mod annotations;
mod change;
pub mod containers;
mod decision;
mod document;
pub mod labels;
mod name;
mod patch;
mod place;
mod ports;
mod probes;
mod scalar;
pub mod settings;
pub mod telemetry;
pub mod template;
mod yaml;

pub use decision::{Namespace, Skipped};
use evenkeel_control_api::fault::{Fault, Faults};
use json_patch::Patch;
use k8s_openapi::api::core::v1::Pod;
pub use ports::{PROXY_UID, TELEMETRY};
use serde::Deserialize;
use serde_json::Value;
use settings::Settings;
pub(crate) use telemetry::workload;

/// What the injector knows of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Whether its API server knows init containers with `restartPolicy: Always`.
    pub native_sidecars: bool,
    /// The certificate of who signs the control plane's, in PEM.
    pub ca: String,
}

impl Cluster {
    /// Whether an API server of this version has native sidecars by default.
    pub fn has_native_sidecars(major: u32, minor: u32) -> bool {
        (major, minor) >= (1, 29)
    }
}

/// What becomes of a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It gets a proxy.
    Injected(Box<Injected>),
    /// It stays as it is.
    Skipped {
        /// Why.
        why: Skipped,
        /// What whoever made it should know.
        warnings: Vec<String>,
    },
    /// It cannot be.
    Refused(Faults),
}

/// A pod with a proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Injected {
    /// The whole of it, with all that our types do not know.
    pub pod: Value,
    /// What leads to it; nothing where it had its proxy already.
    pub patch: Patch,
    /// What whoever made it should know.
    pub warnings: Vec<String>,
}

/// What a pod is to become. `pod` is as JSON has it: a field that our types do not know must survive.
pub fn inject(pod: &Value, namespace: &Namespace, settings: &Settings, cluster: &Cluster) -> Outcome {
    let refused = |faults| Outcome::Refused(Faults(faults));
    let typed = match typed(pod) {
        Ok(typed) => typed,
        Err(fault) => return refused(vec![fault]),
    };
    let skipped = |why: Skipped| {
        let warnings = why.is_worth_a_warning().then(|| not_injected(why));
        Outcome::Skipped {
            why,
            warnings: warnings.into_iter().collect(),
        }
    };
    match decision::decide(&typed, namespace, settings) {
        Ok(None) => {}
        Ok(Some(why)) => return skipped(why),
        Err(fault) => return refused(vec![fault]),
    }
    let changed = change::changed(pod, &typed, settings, cluster);
    match changed {
        Ok(change::Changed::Pod {
            pod: after,
            mut warnings,
        }) => {
            if let Some(level) = namespace.forbids_redirection() {
                warnings.push(forbidden(&namespace.name, level));
            }
            // Whatever went in, only a pod goes out.
            if let Err(fault) = self::typed(&after) {
                return refused(vec![fault]);
            }
            Outcome::Injected(Box::new(Injected {
                patch: patch::between(pod, &after),
                pod: after,
                warnings,
            }))
        }
        Ok(change::Changed::Skipped(why)) => skipped(why),
        Err(faults) => refused(faults),
    }
}

fn typed(pod: &Value) -> Result<Pod, Fault> {
    let typed = Pod::deserialize(pod).map_err(|error| error.to_string());
    let typed = typed.and_then(|pod| match &pod.spec {
        Some(spec) if !spec.containers.is_empty() => Ok(pod),
        _ => Err("it has no containers".to_owned()),
    });
    typed.map_err(|reason| Fault {
        position: None,
        path: String::new(),
        reason: format!("not a Pod: {reason}"),
    })
}

fn not_injected(why: Skipped) -> String {
    format!("the pod gets no evenkeel-proxy: {}", why.sentence())
}

fn forbidden(namespace: &str, level: &str) -> String {
    format!(
        "the namespace {namespace} enforces Pod Security \"{level}\", which forbids the NET_ADMIN and NET_RAW of \
         evenkeel-init: it needs {}: privileged",
        labels::POD_SECURITY
    )
}
