//! What a kubelet does with a pod, in a namespace: init containers one after another, sidecars before the others, hooks, probes,
//! the environment, users, capabilities, read-only roots, projected volumes and ConfigMaps, as the pod's spec says. Images are the
//! programs of this workspace and of this machine.
//!
//! ```text
//!  container    one container of a spec, read       environment, image
//!  environment  variables, and what they stand for
//!  image        what an image of ours starts
//!  volume       folders of a pod, and what is in them
//!  sandbox      a process in a mount namespace of its own, with what it may do and see
//!  probe        one look at a container, from the node
//! ```

mod container;
mod environment;
mod image;
mod probe;
mod sandbox;
mod volume;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use nix::sys::signal::Signal;
use serde_json::Value;

use container::Container;
use sandbox::Sandbox;

use crate::cluster::Cluster;
use crate::cluster::Family;
use crate::kubernetes::ApiServer;
use crate::pod::Pod;
use crate::process::Process;
use crate::wait;

/// What is waited for happens sooner, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(40);

/// A pod whose containers were started.
#[derive(Debug)]
pub struct Running {
    pod: Pod,
    object: Value,
    sandbox: Sandbox,
    sidecars: Vec<(Container, Process)>,
    containers: Vec<(Container, Process)>,
}

/// Which of a container's probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// `livenessProbe`.
    Liveness,
    /// `readinessProbe`.
    Readiness,
    /// `startupProbe`.
    Startup,
}

// === impl Running ===

impl Running {
    /// Starts what the object says in this namespace, which has the pod's addresses. The object is stored already; `hosts` is
    /// what names stand for in the pod.
    pub fn start(pod: &Pod, object: &Value, api: &ApiServer, hosts: &BTreeMap<String, IpAddr>) -> Result<Self> {
        let facts = facts(pod, object);
        let sandbox = Sandbox::new(pod, hosts, volume::all(pod, object, api)?)?;
        let services = [
            ("KUBERNETES_SERVICE_HOST".to_owned(), api.at().ip().to_string()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), api.at().port().to_string()),
        ];
        let mut running = Self {
            pod: pod.clone(),
            object: object.clone(),
            sandbox,
            sidecars: Vec::new(),
            containers: Vec::new(),
        };
        for spec in list(&object["spec"]["initContainers"]) {
            let container = Container::read(spec, &object["spec"], &facts, &services)?;
            let process = running.begin(&container)?;
            if container.is_sidecar {
                running.sidecars.push((container, process));
                continue;
            }
            let status = process.wait(DEADLINE)?;
            ensure!(status.success(), "{}: {status}: {}", container.name, process.said());
        }
        for spec in list(&object["spec"]["containers"]) {
            let container = Container::read(spec, &object["spec"], &facts, &services)?;
            let process = running.begin(&container)?;
            running.containers.push((container, process));
        }
        Ok(running)
    }

    /// Starts a container; returns when its hook has, and its startup probe is green where others wait for that.
    fn begin(&self, container: &Container) -> Result<Process> {
        let process = self.sandbox.run(&self.pod, container, &container.command)?;
        if let Some(hook) = &container.post_start {
            let status = self.hook(container, hook)?;
            ensure!(
                status.success(),
                "postStart of {}: {status}\n{}",
                container.name,
                process.said()
            );
        }
        if container.is_sidecar && container.has(Probe::Startup) {
            let green = wait::until(DEADLINE, || {
                let green = self.look(container, Probe::Startup).is_ok_and(|green| green);
                (green || process.ended().is_ok_and(|ended| ended.is_some())).then_some(green)
            });
            ensure!(
                green.unwrap_or_default(),
                "{} does not start: {}",
                container.name,
                process.said()
            );
        }
        Ok(process)
    }

    /// Starts a container again that has ended.
    pub fn restart(&mut self, container: &str) -> Result<()> {
        let container = self.find(container)?.0.clone();
        let process = self.begin(&container)?;
        let mut all = self.sidecars.iter_mut().chain(&mut self.containers);
        if let Some(found) = all.find(|(found, _)| found.name == container.name) {
            found.1 = process;
        }
        Ok(())
    }

    fn hook(&self, container: &Container, command: &[String]) -> Result<ExitStatus> {
        self.sandbox.run(&self.pod, container, command)?.wait(DEADLINE)
    }

    /// Its namespace.
    pub fn pod(&self) -> &Pod {
        &self.pod
    }

    /// The process of a container.
    pub fn process(&self, container: &str) -> Result<&Process> {
        Ok(&self.find(container)?.1)
    }

    /// One look by a probe, from the node, as the kubelet takes it: whether it is green.
    pub fn probe(&self, container: &str, which: Probe) -> Result<bool> {
        self.look(&self.find(container)?.0, which)
    }

    fn look(&self, container: &Container, which: Probe) -> Result<bool> {
        let probe = container
            .probe(which)
            .with_context(|| format!("{} has no {which:?}", container.name))?;
        if let Some(command) = probe["exec"]["command"].as_array() {
            let command: Vec<_> = command.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            return Ok(self.hook(container, &command)?.success());
        }
        probe::look(&self.pod, container, probe)
    }

    fn find(&self, name: &str) -> Result<&(Container, Process)> {
        let mut all = self.sidecars.iter().chain(&self.containers);
        let found = all.find(|(container, _)| container.name == name);
        found.with_context(|| format!("no container {name}"))
    }

    /// The file in which the proxy finds its token.
    pub fn token_file(&self) -> PathBuf {
        self.sandbox.folder().join("volumes/evenkeel-token/token")
    }

    /// Puts new tokens in place of those that the pod has, before they expire; the old ones are good until they do.
    pub fn renew_tokens(&self, api: &ApiServer) -> Result<()> {
        volume::all(&self.pod, &self.object, api).map(drop)
    }

    /// Ends the pod as it is deleted: each container's hook and then TERM, all at the same time; the sidecars' TERM comes once the
    /// others have ended.
    pub fn end(&self, grace: Duration) -> Result<()> {
        self.stop_hooks_of_sidecars()?;
        std::thread::scope(|scope| {
            let end = |(container, process): &(Container, Process)| {
                self.stop_hook(container)?;
                terminate(process)
            };
            let threads = self.containers.iter().map(|one| scope.spawn(move || end(one)));
            let threads: Vec<_> = threads.collect();
            let mut ended = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            ended.try_for_each(|ended| ended)
        })?;
        self.end_sidecars(grace)
    }

    /// Waits for the containers to end by themselves, as those of a Job do, and ends the sidecars then.
    pub fn complete(&self, grace: Duration) -> Result<()> {
        for (_, process) in &self.containers {
            process.wait(grace)?;
        }
        self.stop_hooks_of_sidecars()?;
        self.end_sidecars(grace)
    }

    /// Those run when the pod begins to end, not when the turn of the sidecar comes.
    fn stop_hooks_of_sidecars(&self) -> Result<()> {
        for (container, _) in &self.sidecars {
            self.stop_hook(container)?;
        }
        Ok(())
    }

    fn stop_hook(&self, container: &Container) -> Result<()> {
        if let Some(hook) = &container.pre_stop {
            let status = self.hook(container, hook)?;
            ensure!(status.success(), "preStop of {}: {status}", container.name);
        }
        Ok(())
    }

    fn end_sidecars(&self, grace: Duration) -> Result<()> {
        for (_, process) in &self.containers {
            process.wait(grace)?;
        }
        for (_, process) in self.sidecars.iter().rev() {
            terminate(process)?;
            process.wait(grace)?;
        }
        Ok(())
    }
}

impl Drop for Running {
    #[allow(clippy::print_stderr)] // a test that failed needs the containers' side of the story
    fn drop(&mut self) {
        for (container, process) in self.sidecars.iter().chain(&self.containers) {
            eprintln!(
                "--- {} in {} said:\n{}",
                container.name,
                self.pod.name(),
                process.said()
            );
            process.kill();
        }
    }
}

// === helpers ===

fn terminate(process: &Process) -> Result<()> {
    if process.ended()?.is_none() {
        process.signal(Signal::SIGTERM)?;
    }
    Ok(())
}

/// What the downward API says of a pod.
fn facts(pod: &Pod, object: &Value) -> Value {
    let mut facts = object.clone();
    let ips = Family::BOTH.map(|family| pod.ip(family).to_string());
    facts["status"]["podIP"] = ips[0].clone().into();
    facts["status"]["podIPs"] = ips.join(",").into();
    facts["status"]["hostIP"] = Cluster::node_ip(Family::V4).to_string().into();
    facts
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
