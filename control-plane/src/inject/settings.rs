//! What holds for every pod that is injected: the settings file, with every default.

pub(in crate::inject) mod read;

use super::telemetry::Telemetry;
use super::yaml;
use evenkeel_control_api::fault::{Fault, Faults};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::time::Duration;

/// The settings of the injector.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What the containers run.
    pub images: Images,
    /// Where proxies get their configuration.
    pub control_plane: ControlPlane,
    /// Of each proxy; most of it can be set for a pod by its annotations.
    pub proxy: Proxy,
    /// Whether the proxy is a native sidecar.
    pub native_sidecar: NativeSidecar,
    /// What is redirected to the proxy.
    pub redirection: Redirection,
    /// Blocks of addresses that proxies ask the control plane about; empty: the proxy's own default.
    pub on_demand: Vec<String>,
    /// What proxies tell of requests.
    pub telemetry: Telemetry,
    /// Pods there are never injected, whatever their labels say.
    pub excluded_namespaces: BTreeSet<String>,
}

/// The images of the containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Has `evenkeel-proxy` on its path.
    pub proxy: String,
    /// Has `evenkeel-init` and both iptables backends on its path.
    pub init: String,
    /// As Kubernetes writes it; `None` leaves it to Kubernetes.
    pub pull_policy: Option<PullPolicy>,
    /// Secrets of the pod's namespace, added to those that the pod names.
    pub pull_secrets: Vec<String>,
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// Where the node has none.
    IfNotPresent,
    /// The node must have it.
    Never,
}

/// Where proxies get their configuration, and what they do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlane {
    /// `HOST:PORT` of its TLS port.
    pub address: String,
    /// Of the token that a proxy proves itself with.
    pub audience: String,
    /// How long a proxy that starts waits for its first configuration.
    pub startup_wait: Duration,
    /// What it does then.
    pub startup_then: StartupThen,
}

/// What a proxy does that got no configuration in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartupThen {
    /// Connections pass to where they were going.
    Passthrough,
    /// It stays not ready, and so does the pod.
    NotReady,
}

/// What a proxy is started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// A level, or several as in `info,evenkeel_proxy::control=debug`.
    pub log_level: String,
    /// Lines on stdout.
    pub access_log: AccessLog,
    /// Threads that carry traffic.
    pub workers: Workers,
    /// Of the proxy's container, and of the init container.
    pub resources: Resources,
    /// How long an ordinary container's drain takes at most.
    pub shutdown_grace: Duration,
    /// Whether pods say to Prometheus, in annotations, where their proxy is.
    pub scrape_annotations: bool,
    /// Further environment.
    pub extra_env: BTreeMap<String, String>,
}

/// The form of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// None.
    Off,
    /// Lines of text.
    Text,
    /// Lines of JSON.
    Json,
}

/// How many threads carry traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// So many.
    Count(NonZeroU16),
    /// The container's CPU limit, rounded up.
    CpuLimit,
}

/// Requests and limits, each by the name of the resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// What the scheduler sets aside.
    pub requests: BTreeMap<String, Quantity>,
    /// What the kernel enforces.
    pub limits: BTreeMap<String, Quantity>,
}

/// Whether the proxy is an init container with `restartPolicy: Always`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeSidecar {
    /// Where the API server knows such containers.
    Auto,
    /// Always.
    Always,
    /// Never: an ordinary container, and pods that are to complete are left alone.
    Never,
}

/// What `evenkeel-init` is told. Items are as it reads them, and were checked by its own code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirection {
    /// Which iptables.
    pub backend: Backend,
    /// Inbound ports that are redirected; empty: all.
    pub include_inbound_ports: Vec<String>,
    /// Inbound ports that are not.
    pub exclude_inbound_ports: Vec<String>,
    /// Outbound ports that are redirected; empty: all.
    pub include_outbound_ports: Vec<String>,
    /// Outbound ports that are not.
    pub exclude_outbound_ports: Vec<String>,
    /// Outbound blocks that are redirected; empty: all.
    pub include_outbound_cidrs: Vec<String>,
    /// Outbound blocks that are not.
    pub exclude_outbound_cidrs: Vec<String>,
}

/// Which iptables `evenkeel-init` uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// It finds out.
    #[default]
    Auto,
    /// That of `nf_tables`.
    Nft,
    /// The one before.
    Legacy,
}

impl Settings {
    /// Reads a settings file, YAML or JSON: every key and value checked, every default filled in.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        let value = yaml::read(text).map_err(|error| {
            Faults(vec![Fault {
                position: None,
                path: String::new(),
                reason: format!("not YAML: {error}"),
            }])
        })?;
        let faults = RefCell::new(Vec::new());
        let settings = read::settings(&value, &faults);
        let faults = faults.into_inner();
        if faults.is_empty() {
            Ok(settings)
        } else {
            Err(Faults(faults))
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self {
            images: Images {
                proxy: format!("evenkeel-proxy:{version}"),
                init: format!("evenkeel-init:{version}"),
                pull_policy: None,
                pull_secrets: Vec::new(),
            },
            control_plane: ControlPlane {
                address: "evenkeel-control.evenkeel-system.svc:15012".to_owned(),
                audience: "evenkeel".to_owned(),
                startup_wait: Duration::from_secs(10),
                startup_then: StartupThen::Passthrough,
            },
            proxy: Proxy {
                log_level: "info".to_owned(),
                access_log: AccessLog::Off,
                workers: Workers::Count(NonZeroU16::MIN),
                resources: Resources {
                    requests: amounts(&[("cpu", "10m"), ("memory", "32Mi")]),
                    limits: amounts(&[("memory", "256Mi")]),
                },
                shutdown_grace: Duration::from_secs(25),
                scrape_annotations: true,
                extra_env: BTreeMap::new(),
            },
            native_sidecar: NativeSidecar::Auto,
            redirection: Redirection::default(),
            on_demand: Vec::new(),
            telemetry: Telemetry::default(),
            excluded_namespaces: ["kube-system", "kube-public", "kube-node-lease", "evenkeel-system"]
                .map(str::to_owned)
                .into(),
        }
    }
}

fn amounts(pairs: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    let amount = |(name, amount): &(&str, &str)| ((*name).to_owned(), Quantity((*amount).to_owned()));
    pairs.iter().map(amount).collect()
}

#[cfg(test)]
mod tests;
