//! A running `replica` program in a pod of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;

use crate::binaries;
use crate::cluster::Family;
use crate::counts::Counts;
use crate::http;
use crate::pod::Pod;
use crate::process::Process;

const HTTP: u16 = 8080;
const BANNER: u16 = 9000;
const CONTROL: u16 = 9100;

/// From start to listening, with room for a busy machine.
const START: Duration = Duration::from_secs(30);

/// A replica; it stops when its pod does.
#[derive(Debug, Clone)]
pub struct Replica {
    pod: Pod,
    process: Process,
}

// === impl Replica ===

impl Replica {
    /// Starts the program in `pod` and waits until it listens.
    pub fn start(pod: Pod, name: &str, delay: u64) -> Result<Self> {
        let mut command = pod.command(binaries::path("replica")?);
        command.args(["--name", name, "--delay", &delay.to_string()]);
        command.args([
            "--http",
            &HTTP.to_string(),
            "--banner",
            &BANNER.to_string(),
            "--control",
            &CONTROL.to_string(),
        ]);
        let process = pod.spawn(command)?;
        process.wait_for_line("is ready", START)?;
        Ok(Self { pod, process })
    }

    /// Its pod.
    pub fn pod(&self) -> &Pod {
        &self.pod
    }

    /// The program, to stop it or to signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where it serves HTTP/1.1, h2c, WebSocket and gRPC.
    pub fn http(&self, family: Family) -> SocketAddr {
        self.pod.at(family, HTTP)
    }

    /// Where it serves the server-first protocol.
    pub fn banner(&self, family: Family) -> SocketAddr {
        self.pod.at(family, BANNER)
    }

    /// What it says that it has served.
    pub fn counts(&self) -> Result<Counts> {
        let page = http::get(&self.pod, SocketAddr::new(Family::V4.loopback(), CONTROL), "/counts")?;
        serde_json::from_str(&page.body).with_context(|| format!("counts: {:?}", page.body))
    }
}

/// What each replica has served since `earlier` readings, one number each.
pub fn served(replicas: &[Replica], earlier: &[Counts], count: impl Fn(Counts) -> u64) -> Result<Vec<u64>> {
    replicas
        .iter()
        .zip(earlier)
        .map(|(replica, &earlier)| Ok(count(replica.counts()? - earlier)))
        .collect()
}

/// A reading of every replica.
pub fn readings(replicas: &[Replica]) -> Result<Vec<Counts>> {
    replicas.iter().map(Replica::counts).collect()
}
