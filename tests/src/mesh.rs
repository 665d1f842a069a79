//! The mesh in a pod: redirection installed by evenkeel-init, evenkeel-proxy running as a plain user.

use std::fs::File;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;

use crate::binaries;
use crate::cluster::Family;
use crate::document::Document;
use crate::http;
use crate::http::Page;
use crate::metrics::Metrics;
use crate::namespace::User;
use crate::pod::Pod;
use crate::process::Process;
use crate::wait;

/// The proxy's user and group, which the redirection exempts.
pub const PROXY_USER: User = User::Plain(1337);

/// The operator's door, on loopback.
const ADMIN: u16 = 15000;
/// `/metrics`, `/ready` and `/live`, on the pod's addresses.
const TELEMETRY: u16 = 15020;

/// From start to ready, with room for a busy machine.
const START: Duration = Duration::from_secs(40);

/// A pod's mesh. It stops with the pod.
#[derive(Debug)]
pub struct Mesh {
    pod: Pod,
    proxy: Process,
    mount: ConfigMap,
    quiet: bool,
}

// === impl Mesh ===

impl Mesh {
    pub(crate) fn install(pod: Pod, document: &Document) -> Result<Self> {
        let mut mesh = Self::begin(pod, document)?;
        mesh.await_ready()?;
        Ok(mesh)
    }

    /// As [`Mesh::install`], without waiting.
    pub(crate) fn begin(pod: Pod, document: &Document) -> Result<Self> {
        pod.exec(&[binaries::path("evenkeel-init")?.as_os_str(), "install".as_ref()])?;
        let mount = ConfigMap::new(pod.folder()?)?;
        mount.publish(&document.text())?;
        Ok(Self {
            proxy: start(&pod, &mount)?,
            pod,
            mount,
            quiet: false,
        })
    }

    /// Does not tell what the proxy said when it ends, which is what a test wants (its output is shown when it fails).
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The proxy's process.
    pub fn proxy(&self) -> &Process {
        &self.proxy
    }

    /// Replaces the configuration as the kubelet replaces a ConfigMap; returns at once.
    pub fn configure(&self, document: &Document) -> Result<()> {
        self.configure_text(&document.text())
    }

    /// As [`Mesh::configure`], with any text, for documents that are wrong on purpose.
    pub fn configure_text(&self, text: &str) -> Result<()> {
        self.mount.publish(text)
    }

    /// Replaces the configuration, and waits until every worker has it.
    pub fn apply(&self, document: &Document) -> Result<()> {
        self.applied(|| self.configure(document))
    }

    /// Makes a change wherever the configuration comes from, and waits until every worker has it.
    pub fn applied(&self, change: impl FnOnce() -> Result<()>) -> Result<()> {
        let before = self.generation()?;
        change()?;
        wait::until(START, || self.generation().ok().filter(|&now| now > before)).context("it is not applied")?;
        Ok(())
    }

    /// The oldest configuration that a worker has.
    fn generation(&self) -> Result<f64> {
        let metrics = self.metrics()?;
        let generations = metrics.series("evenkeel_worker_snapshot_generation", &[]);
        let oldest = generations.map(|sample| sample.value).fold(f64::INFINITY, f64::min);
        ensure!(oldest.is_finite(), "no worker says its generation");
        Ok(oldest)
    }

    /// Starts the proxy again after it has ended, with the same configuration.
    pub fn restart(&mut self) -> Result<()> {
        self.proxy = start(&self.pod, &self.mount)?;
        self.await_ready()
    }

    /// A page of the operator's door.
    pub fn admin(&self, method: &str, path: &str, body: &str) -> Result<Page> {
        http::request(
            &self.pod,
            SocketAddr::new(Family::V4.loopback(), ADMIN),
            method,
            path,
            body,
        )
    }

    /// A page of the telemetry port.
    pub fn telemetry(&self, path: &str) -> Result<Page> {
        http::get(&self.pod, SocketAddr::new(Family::V4.loopback(), TELEMETRY), path)
    }

    /// The proxy's metrics, now.
    pub fn metrics(&self) -> Result<Metrics> {
        Metrics::parse(&self.telemetry("/metrics")?.body)
    }

    /// Waits until the metrics are as `enough` wants them; the error shows how they were at last.
    pub fn wait_for_metrics(&self, deadline: Duration, enough: impl Fn(&Metrics) -> bool) -> Result<Metrics> {
        let found = wait::until(deadline, || self.metrics().ok().filter(&enough));
        found.with_context(|| {
            self.telemetry("/metrics")
                .map_or_else(|error| error.to_string(), |page| page.body)
        })
    }

    /// Waits until the proxy is ready: `evenkeel-proxy await` ends then. A proxy that ends before is an error with its last
    /// words.
    pub fn await_ready(&mut self) -> Result<()> {
        let mut command = self.pod.command(binaries::path("evenkeel-proxy")?);
        command.arg("await");
        let waiting = self.pod.spawn(command)?;
        let first = wait::until(START, || {
            let proxy = self.proxy.ended().ok().flatten().map(|status| (false, status));
            waiting.ended().ok().flatten().map(|status| (true, status)).or(proxy)
        });
        waiting.kill();
        match first {
            Ok((true, status)) if status.success() => Ok(()),
            Ok((true, status)) => bail!(
                "evenkeel-proxy await: {status}: {}\n{}",
                waiting.said(),
                self.proxy.said()
            ),
            Ok((false, status)) => bail!("evenkeel-proxy ended: {status}: {}", self.proxy.said()),
            Err(error) => Err(error.context(format!("evenkeel-proxy is not ready: {}", self.proxy.said()))),
        }
    }
}

impl Drop for Mesh {
    #[allow(clippy::print_stderr)] // a test that failed needs the proxy's side of the story
    fn drop(&mut self) {
        if !self.quiet {
            eprintln!("--- evenkeel-proxy in {} said:\n{}", self.pod.name(), self.proxy.said());
        }
        self.proxy.kill();
    }
}

/// Starts the proxy as its own user.
///
/// That user may not be allowed to enter the folder of the build (a checkout under `/root`), so the program is opened
/// here, handed over as standard input, and executed through it.
fn start(pod: &Pod, mount: &ConfigMap) -> Result<Process> {
    let program = File::open(binaries::path("evenkeel-proxy")?)?;
    let mut command = pod.command_as(PROXY_USER, "/proc/self/fd/0");
    command.args(["run", "--config"]).arg(mount.document()).stdin(program);
    pod.spawn(command)
}

/// A folder that changes as a mounted ConfigMap does: `mesh.yaml` -> `..data/mesh.yaml`, `..data` -> a folder of this
/// version, and the change is the rename of a new `..data` over the old one.
#[derive(Debug)]
struct ConfigMap {
    folder: PathBuf,
    version: AtomicU32,
}

// === impl ConfigMap ===

impl ConfigMap {
    fn new(folder: PathBuf) -> Result<Self> {
        let document = folder.join("mesh.yaml");
        if !document.is_symlink() {
            symlink("..data/mesh.yaml", document)?;
        }
        Ok(Self {
            folder,
            version: AtomicU32::new(0),
        })
    }

    fn document(&self) -> PathBuf {
        self.folder.join("mesh.yaml")
    }

    fn publish(&self, text: &str) -> Result<()> {
        let version = format!("..version-{}", self.version.fetch_add(1, Ordering::Relaxed));
        let folder = self.folder.join(&version);
        std::fs::create_dir(&folder)?;
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
        write_readable(&folder.join("mesh.yaml"), text)?;
        let (new, data) = (self.folder.join("..data_tmp"), self.folder.join("..data"));
        let old = std::fs::read_link(&data).ok();
        symlink(&version, &new)?;
        std::fs::rename(&new, &data)?;
        if let Some(old) = old {
            std::fs::remove_dir_all(self.folder.join(old))?;
        }
        Ok(())
    }
}

fn write_readable(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(path, Permissions::from_mode(0o644))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_document_replaces_the_one_before_it_and_leaves_no_other_version() {
        let folder = tempfile::tempdir().unwrap();
        let mount = ConfigMap::new(folder.path().to_owned()).unwrap();
        mount.publish("one").unwrap();
        mount.publish("two").unwrap();
        assert_eq!(std::fs::read_to_string(mount.document()).unwrap(), "two");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            3,
            "mesh.yaml, ..data and one version"
        );
    }
}
