//! `evenkeel-control` in a pod, and the mesh document that it serves.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::binaries;
use crate::cluster::Family;
use crate::document::Document;
use crate::http;
use crate::metrics::Metrics;
use crate::pod::Pod;
use crate::process::Process;

/// Where it serves resources, on the pod's address.
const RESOURCES: u16 = 15010;
/// Where it answers `/metrics`.
const TELEMETRY: u16 = 15014;
/// From start to serving, with room for a busy machine and ten thousand services.
const START: Duration = Duration::from_secs(30);

/// A running control plane. It stops with its pod.
#[derive(Debug)]
pub struct ControlPlane {
    pod: Pod,
    file: PathBuf,
    at: SocketAddr,
    process: Process,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Serves the document on the pod's address of this family.
    pub fn start(pod: &Pod, family: Family, mesh: &Document) -> Result<Self> {
        let (file, at) = (pod.folder()?.join("served.yaml"), pod.at(family, RESOURCES));
        publish(&file, &mesh.text())?;
        Ok(Self {
            process: serve(pod, &file, at)?,
            pod: pod.clone(),
            file,
            at,
        })
    }

    /// Replaces the document; returns at once.
    pub fn publish(&self, mesh: &Document) -> Result<()> {
        publish(&self.file, &mesh.text())
    }

    /// Its process, to stop it or to signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again after it has ended, with the document that was published last.
    pub fn restart(&mut self) -> Result<()> {
        self.process = serve(&self.pod, &self.file, self.at)?;
        Ok(())
    }

    /// The document of a proxy that gets its mesh from here; `settings` are further keys of the section `control_plane`, such as
    /// `, subscribe: everything`.
    pub fn client(&self, settings: &str) -> Document {
        Document::under(&format!("{{servers: [\"{}\"]{settings}}}", self.at))
    }

    /// Its metrics, now.
    pub fn metrics(&self) -> Result<Metrics> {
        let telemetry = SocketAddr::new(Family::V4.loopback(), TELEMETRY);
        Metrics::parse(&http::get(&self.pod, telemetry, "/metrics")?.body)
    }
}

fn serve(pod: &Pod, file: &Path, at: SocketAddr) -> Result<Process> {
    let mut command = pod.command(binaries::path("evenkeel-control")?);
    command.args([
        "serve",
        "--plaintext-beyond-loopback",
        "--listen",
        &at.to_string(),
        "--mesh",
    ]);
    command.arg(file);
    let process = pod.spawn(command)?;
    process.wait_for_line("serving", START)?;
    Ok(process)
}

/// At once and whole, as an editor saves it.
fn publish(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, text)?;
    Ok(std::fs::rename(new, file)?)
}
