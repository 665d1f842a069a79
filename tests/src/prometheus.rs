//! A real Prometheus in a pod, and `promtool`.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use serde_json::Value;

use crate::binaries;
use crate::cluster::Family;
use crate::http;
use crate::pod::Pod;
use crate::process::Process;
use crate::wait;

/// Where it answers, on loopback.
const PORT: u16 = 9090;
/// From start to answering, with room for a busy machine.
const START: Duration = Duration::from_secs(30);

/// A Prometheus that scrapes every second. It stops with its pod.
#[derive(Debug)]
pub struct Prometheus {
    pod: Pod,
    process: Process,
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts one that scrapes these, each as a job of this name, and follows these rules.
    pub fn start(pod: &Pod, targets: &[(&str, SocketAddr)], rules: &Path) -> Result<Self> {
        let mut settings = "global: {scrape_interval: 1s, evaluation_interval: 1s}\nscrape_configs:\n".to_owned();
        for (job, target) in targets {
            writeln!(
                settings,
                "- {{job_name: {job}, static_configs: [{{targets: [\"{target}\"]}}]}}"
            )?;
        }
        writeln!(settings, "rule_files: [\"{}\"]", rules.canonicalize()?.display())?;
        let folder = pod.folder()?;
        let file = folder.join("prometheus.yaml");
        std::fs::write(&file, settings)?;
        let mut command = pod.command(binaries::fetched("prometheus/usr/bin/prometheus")?);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg("--enable-feature=exemplar-storage")
            .arg(format!("--web.listen-address={}", at()));
        let prometheus = Self {
            process: pod.spawn(command)?,
            pod: pod.clone(),
        };
        let ready =
            || Some(()).filter(|()| http::get(&prometheus.pod, at(), "/-/ready").is_ok_and(|page| page.status == 200));
        wait::until(START, ready).with_context(|| prometheus.process.said())?;
        Ok(prometheus)
    }

    /// The result of a query: the series that it finds now.
    pub fn query(&self, query: &str) -> Result<Vec<Value>> {
        let data = self.ask(&format!("/api/v1/query?query={}", escaped(query)))?;
        // A scalar is a result, too.
        Ok(data["result"].as_array().cloned().unwrap_or_default())
    }

    /// The exemplars of all series that this finds.
    pub fn exemplars(&self, query: &str) -> Result<Vec<Value>> {
        let data = self.ask(&format!("/api/v1/query_exemplars?query={}", escaped(query)))?;
        let series = data.as_array().context("series")?;
        let exemplars = series.iter().filter_map(|series| series["exemplars"].as_array());
        Ok(exemplars.flatten().cloned().collect())
    }

    /// Every rule, as it stands.
    pub fn rules(&self) -> Result<Vec<Value>> {
        let data = self.ask("/api/v1/rules")?;
        let groups = data["groups"].as_array().context("groups of rules")?;
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        Ok(rules.flatten().cloned().collect())
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let page = http::get(&self.pod, at(), path)?;
        let mut answer: Value = serde_json::from_str(&page.body).with_context(|| page.body.clone())?;
        ensure!(answer["status"] == "success", "{path}: {answer}");
        Ok(answer["data"].take())
    }
}

/// What `promtool` says, run in this folder; an error where it is not content.
pub fn promtool(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(binaries::fetched("prometheus/usr/bin/promtool")?);
    let output = command.args(arguments).current_dir(folder).output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "promtool {arguments:?}: {said}");
    Ok(said)
}

fn at() -> SocketAddr {
    SocketAddr::new(Family::V4.loopback(), PORT)
}

/// For the query of a URL.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => escaped.push(byte.into()),
            other => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "%{other:02X}");
            }
        }
    }
    escaped
}
