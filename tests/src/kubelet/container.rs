//! One container of a pod's spec.

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use serde_json::Value;

use super::Probe;
use super::environment;
use super::image;

/// A container, with everything put in that its spec refers to.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) is_sidecar: bool,
    pub(super) user: u32,
    pub(super) group: u32,
    /// What it may do though it is not everything that root may do; `None` where the spec drops nothing.
    pub(super) capabilities: Option<Vec<String>>,
    pub(super) gains_no_privileges: bool,
    pub(super) root_is_read_only: bool,
    /// Volume and path.
    pub(super) mounts: Vec<(String, String)>,
    pub(super) post_start: Option<Vec<String>>,
    pub(super) pre_stop: Option<Vec<String>>,
    spec: Value,
}

// === impl Container ===

impl Container {
    /// Reads a container of the pod; `facts` is what the downward API says, `services` the variables that every container has.
    pub(super) fn read(spec: &Value, pod: &Value, facts: &Value, services: &[(String, String)]) -> Result<Self> {
        let name = spec["name"].as_str().context("a container has a name")?.to_owned();
        let environment = environment::read(&spec["env"], facts, services)?;
        let command = command(spec).with_context(|| name.clone())?;
        let command: Vec<_> = command
            .iter()
            .map(|word| environment::expand(word, &environment))
            .collect();
        let security = &spec["securityContext"];
        let own = |field: &str| {
            let value = security.get(field).or(pod["securityContext"].get(field));
            value.cloned().unwrap_or(Value::Null)
        };
        let user = u32::try_from(own("runAsUser").as_u64().unwrap_or(0))?;
        ensure!(user != 0 || own("runAsNonRoot") != true, "{name} would run as root");
        let mounts = super::list(&spec["volumeMounts"]).iter().map(|mount| {
            let (volume, path) = (mount["name"].as_str(), mount["mountPath"].as_str());
            Some((volume?.to_owned(), path?.to_owned()))
        });
        Ok(Self {
            command,
            environment,
            is_sidecar: spec["restartPolicy"] == "Always",
            user,
            group: u32::try_from(own("runAsGroup").as_u64().unwrap_or(0))?,
            capabilities: capabilities(&security["capabilities"]),
            gains_no_privileges: security["allowPrivilegeEscalation"] == false,
            root_is_read_only: security["readOnlyRootFilesystem"] == true,
            mounts: mounts.collect::<Option<_>>().context("a mount has a name and a path")?,
            post_start: hook(&spec["lifecycle"]["postStart"])?,
            pre_stop: hook(&spec["lifecycle"]["preStop"])?,
            spec: spec.clone(),
            name,
        })
    }

    /// A probe of it.
    pub(super) fn probe(&self, which: Probe) -> Option<&Value> {
        let field = match which {
            Probe::Liveness => "livenessProbe",
            Probe::Readiness => "readinessProbe",
            Probe::Startup => "startupProbe",
        };
        self.spec.get(field).filter(|probe| probe.is_object())
    }

    /// Whether it has such a probe.
    pub(super) fn has(&self, which: Probe) -> bool {
        self.probe(which).is_some()
    }

    /// A port by number or by name.
    pub(super) fn port(&self, port: &Value) -> Option<u16> {
        let number = port.as_u64().or_else(|| {
            let named = super::list(&self.spec["ports"])
                .iter()
                .find(|one| one["name"] == *port)?;
            named["containerPort"].as_u64()
        });
        u16::try_from(number?).ok()
    }
}

/// What is started: the image's entrypoint where the spec has no command, and its arguments where the spec has neither.
fn command(spec: &Value) -> Result<Vec<String>> {
    let (mut command, mut arguments) = (words(&spec["command"]), words(&spec["args"]));
    if command.is_empty() {
        let (entrypoint, by_default) = image::starts(spec["image"].as_str().unwrap_or_default())?;
        command = entrypoint;
        if arguments.is_empty() {
            arguments = by_default;
        }
    }
    command.extend(arguments);
    Ok(command)
}

fn words(list: &Value) -> Vec<String> {
    let words = super::list(list).iter().filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}

fn capabilities(wanted: &Value) -> Option<Vec<String>> {
    let drops_all = words(&wanted["drop"]).iter().any(|word| word == "ALL");
    drops_all.then(|| words(&wanted["add"]).iter().map(|word| word.to_lowercase()).collect())
}

fn hook(handler: &Value) -> Result<Option<Vec<String>>> {
    if handler.is_null() {
        return Ok(None);
    }
    let command = words(&handler["exec"]["command"]);
    if command.is_empty() {
        bail!("a hook of a kind that is not known: {handler}");
    }
    Ok(Some(command))
}
