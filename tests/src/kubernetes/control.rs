//! `evenkeel-control run` in a pod, with a cluster's API server behind it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use serde_json::Value;

use super::api::ApiServer;
use crate::binaries;
use crate::cluster::Family;
use crate::document::Document;
use crate::forward::Forwarder;
use crate::http;
use crate::metrics::Metrics;
use crate::pod::Pod;
use crate::process::Process;
use crate::wait;

/// The namespace of its pods.
pub const NAMESPACE: &str = "evenkeel-system";
/// Where it is asked about new pods.
pub const WEBHOOK: u16 = 15017;
/// The file that says how pods are injected.
const SETTINGS: &str = "injection.yaml";
/// Where it serves resources, on loopback.
const RESOURCES: u16 = 15010;
/// Where other pods are led there.
const DOOR: u16 = 15099;
/// Where it answers `/metrics`.
const TELEMETRY: u16 = 15014;
/// From start to serving, with room for a busy machine.
const START: Duration = Duration::from_secs(30);

/// A control plane of a cluster. It stops with its pod.
#[derive(Debug)]
pub struct ControlPlane {
    pod: Pod,
    kubeconfig: PathBuf,
    process: Mutex<Process>,
    _door: Forwarder,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Starts one, and waits until it serves.
    pub fn start(pod: &Pod, api: &ApiServer) -> Result<Self> {
        let control = Self::begin(pod, api)?;
        control.await_ready()?;
        Ok(control)
    }

    /// As [`ControlPlane::start`], without waiting, for one whose API server is not there yet.
    pub fn begin(pod: &Pod, api: &ApiServer) -> Result<Self> {
        Self::begin_with(pod, api, &Value::Object(serde_json::Map::new()))
    }

    /// As [`ControlPlane::begin`], with these settings of the injector.
    pub fn begin_with(pod: &Pod, api: &ApiServer, injection: &Value) -> Result<Self> {
        let kubeconfig = pod.folder()?.join("kubeconfig");
        std::fs::write(&kubeconfig, api.kubeconfig(pod.name()))?;
        std::fs::write(pod.folder()?.join(SETTINGS), injection.to_string())?;
        Ok(Self {
            process: Mutex::new(run(pod, &kubeconfig)?),
            // It serves other hosts only whom it knows by a token; here everyone may ask in anybody's name.
            _door: Forwarder::start(pod, DOOR, SocketAddr::new(Family::V4.loopback(), RESOURCES))?,
            pod: pod.clone(),
            kubeconfig,
        })
    }

    /// Waits until it serves.
    pub fn await_ready(&self) -> Result<()> {
        let ready = || {
            let page = http::get(&self.pod, telemetry(), "/ready").ok()?;
            (page.status == 200).then_some(())
        };
        wait::until(START, ready).with_context(|| self.said())
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Starts it again after it has ended, without waiting.
    pub fn restart(&self) -> Result<()> {
        *self.process() = run(&self.pod, &self.kubeconfig)?;
        Ok(())
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tells its requests, and its hold on the Lease, from those of others.
    pub fn identity(&self) -> &str {
        self.pod.name()
    }

    /// What the process that runs now has said.
    pub fn said(&self) -> String {
        self.process().said()
    }

    /// The document of a proxy in the pod of this name; `settings` are further keys of the section `control_plane`, such as
    /// `, subscribe: everything`.
    pub fn client(&self, family: Family, pod: &str, settings: &str) -> Document {
        let at = self.pod.at(family, DOOR);
        Document::under(&format!("{{servers: [\"{at}\"], node: {{id: {pod}}}{settings}}}"))
    }

    /// Its metrics, now.
    pub fn metrics(&self) -> Result<Metrics> {
        Metrics::parse(&http::get(&self.pod, telemetry(), "/metrics")?.body)
    }

    /// Waits until the metrics are as `enough` wants them; the error shows how they were at last.
    pub fn wait_for_metrics(&self, enough: impl Fn(&Metrics) -> bool) -> Result<Metrics> {
        let found = wait::until(START, || self.metrics().ok().filter(&enough));
        found.with_context(|| {
            let page = http::get(&self.pod, telemetry(), "/metrics");
            page.map_or_else(|error| error.to_string(), |page| page.body)
        })
    }
}

impl Drop for ControlPlane {
    #[allow(clippy::print_stderr)] // a test that failed needs the control plane's side of the story
    fn drop(&mut self) {
        eprintln!("--- evenkeel-control in {} said:\n{}", self.pod.name(), self.said());
    }
}

fn run(pod: &Pod, kubeconfig: &PathBuf) -> Result<Process> {
    let mut command = pod.command(binaries::path("evenkeel-control")?);
    let at = SocketAddr::new(Family::V4.loopback(), RESOURCES);
    command.args(["run", "--plaintext-listen", &at.to_string()]);
    command.env("KUBECONFIG", kubeconfig).env("EVENKEEL_LOG", "info");
    command.env("POD_NAME", pod.name()).env("POD_NAMESPACE", NAMESPACE);
    command.args(["--xds-listen", "15012", "--certificates", "self", "--webhook-listen"]);
    command
        .args([&WEBHOOK.to_string(), "--injection-settings"])
        .arg(pod.folder()?.join(SETTINGS));
    pod.spawn(command)
}

fn telemetry() -> SocketAddr {
    SocketAddr::new(Family::V4.loopback(), TELEMETRY)
}
