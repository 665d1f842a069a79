//! `evenkeel-control run` in a pod, as the chart's Deployment has it, with a cluster's API server behind it.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use nix::sys::signal::Signal;
use serde_json::Value;
use serde_json::json;

use super::api::ApiServer;
use super::chart::Chart;
use super::chart::NAMESPACE;
use super::chart::container_port;
use super::world::Request;
use crate::cluster::Family;
use crate::http;
use crate::kubelet::Probe;
use crate::kubelet::Running;
use crate::metrics::Metrics;
use crate::pod::Pod;
use crate::process::Process;
use crate::wait;

/// The container.
const CONTAINER: &str = "control";
/// The configuration that tells the API server of it.
const WEBHOOKS: &str = "evenkeel-injector";
/// What it says to whoever is in its pod.
const DUMP: &str = "/config_dump";
/// From start to serving, with room for a busy machine.
const START: Duration = Duration::from_secs(30);

/// A control plane of a cluster. It stops with its pod.
#[derive(Debug)]
pub struct ControlPlane {
    chart: Chart,
    pod: Pod,
    object: Value,
    running: Mutex<Running>,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Starts one, and waits until it serves.
    pub fn start(pod: &Pod, api: &ApiServer) -> Result<Self> {
        let control = Self::begin(pod, api, &json!({}))?;
        control.await_ready()?;
        Ok(control)
    }

    /// Starts one, of the chart with these values, without waiting; a second one is of the chart that is installed.
    pub fn begin(pod: &Pod, api: &ApiServer, values: &Value) -> Result<Self> {
        let chart = Chart::install(api, values)?;
        let object = chart.pod(api, pod)?;
        let running = Running::start(pod, &object, api, &chart.hosts())?;
        Ok(Self {
            chart,
            pod: pod.clone(),
            object,
            running: Mutex::new(running),
        })
    }

    /// Waits until it serves, as a kubelet finds out.
    pub fn await_ready(&self) -> Result<()> {
        let ready = || self.probe(Probe::Readiness).ok().filter(|&green| green);
        wait::until(START, ready).with_context(|| self.said()).map(drop)
    }

    /// Waits until the API server would believe it, so that pods can be made.
    pub fn await_trusted(&self, api: &ApiServer) -> Result<()> {
        let is_known = |configuration: &Value| {
            let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
            let mut bundles = webhooks.map(|webhook| &webhook["clientConfig"]["caBundle"]);
            bundles.all(Value::is_string)
        };
        api.wait_for("mutatingwebhookconfigurations", "", WEBHOOKS, is_known)
            .map(drop)
    }

    /// One look by a probe of its Deployment.
    pub fn probe(&self, which: Probe) -> Result<bool> {
        self.running().probe(CONTAINER, which)
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&self) {
        if let Ok(process) = self.process() {
            process.kill();
        }
    }

    /// The process that runs now.
    pub fn process(&self) -> Result<Process> {
        self.running().process(CONTAINER).cloned()
    }

    /// Starts it again after it has ended, without waiting.
    pub fn restart(&self) -> Result<()> {
        self.running().restart(CONTAINER)
    }

    /// Ends it as a rolling update does, where another is there: nobody is led to it any more, and it is told to end.
    pub fn retire(&self, api: &ApiServer) -> Result<()> {
        api.delete("pods", NAMESPACE, self.identity());
        self.chart.expose(api, &self.pod)?;
        let process = self.process()?;
        process.signal(Signal::SIGTERM)?;
        let status = process.wait(START)?;
        ensure!(status.success(), "{status}: {}", process.said());
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The installation that it is of.
    pub fn chart(&self) -> &Chart {
        &self.chart
    }

    /// The name of its pod, which holds the Lease where it leads.
    pub fn identity(&self) -> &str {
        self.pod.name()
    }

    /// Whether it was this one that asked.
    pub fn made(&self, request: &Request) -> bool {
        request.who.as_deref() == Some(self.identity())
    }

    /// What the process that runs now has said.
    pub fn said(&self) -> String {
        self.process()
            .map_or_else(|error| error.to_string(), |process| process.said())
    }

    /// Its metrics, now, from where its annotations lead Prometheus.
    pub fn metrics(&self) -> Result<Metrics> {
        Metrics::parse(&self.page()?)
    }

    /// What of the cluster's objects it does not use, as it says to whoever is in its pod, which is nobody's business besides.
    pub fn refused(&self) -> Result<Vec<Value>> {
        let port = container_port(&self.object, &json!("telemetry"))?;
        let beyond = http::get(self.pod.node(), SocketAddr::new(self.pod.ip(Family::V4), port), DUMP)?;
        ensure!(beyond.status == 403, "{beyond:?}");
        let page = http::get(&self.pod, SocketAddr::new(Family::V4.loopback(), port), DUMP)?;
        let dump: Value = serde_json::from_str(&page.body).with_context(|| page.body.clone())?;
        Ok(dump["refused"].as_array().cloned().unwrap_or_default())
    }

    fn page(&self) -> Result<String> {
        let annotation = |name: &str| self.object["metadata"]["annotations"][format!("prometheus.io/{name}")].as_str();
        let port = annotation("port").map_or_else(
            || container_port(&self.object, &json!("telemetry")),
            |port| Ok(port.parse()?),
        )?;
        let at = SocketAddr::new(self.pod.ip(Family::V4), port);
        Ok(http::get(self.pod.node(), at, annotation("path").unwrap_or("/metrics"))?.body)
    }

    /// Waits until the metrics are as `enough` wants them; the error shows how they were at last.
    pub fn wait_for_metrics(&self, enough: impl Fn(&Metrics) -> bool) -> Result<Metrics> {
        let found = wait::until(START, || self.metrics().ok().filter(&enough));
        found.with_context(|| self.page().unwrap_or_else(|error| error.to_string()))
    }
}
