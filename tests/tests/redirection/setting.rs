//! A pod with one neighbour, and `evenkeel-init` inside it.

use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::binaries;
use evenkeel_tests::namespace::Namespace;
use evenkeel_tests::wait;

/// For what happens at once unless something is wrong.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// Both backends; every test of rules goes through both.
pub(crate) const BACKENDS: [&str; 2] = ["nft", "legacy"];

/// The family's stem of program names, and addresses of the pod and its neighbour on `eth0` and on `eth1`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) program: &'static str,
    pub(crate) pod: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) peer_by_eth1: &'static str,
    pub(crate) loopback: &'static str,
}

pub(crate) const FAMILIES: [Family; 2] = [
    Family {
        program: "iptables",
        pod: "10.77.0.2",
        peer: "10.77.0.1",
        peer_by_eth1: "10.78.0.1",
        loopback: "127.0.0.1",
    },
    Family {
        program: "ip6tables",
        pod: "[fd77::2]",
        peer: "[fd77::1]",
        peer_by_eth1: "[fd78::1]",
        loopback: "[::1]",
    },
];

pub(crate) fn at(address: &str, port: u16) -> SocketAddr {
    format!("{address}:{port}")
        .parse()
        .expect("an address of this file and a port")
}

/// A pod and the neighbour that it has two links to.
pub(crate) struct Setting {
    pub(crate) pod: Namespace,
    pub(crate) peer: Namespace,
}

impl Setting {
    pub(crate) fn new() -> Result<Setting> {
        let (pod, peer) = (Namespace::new("pod")?, Namespace::new("peer")?);
        for (link, net) in [("eth0", 77), ("eth1", 78)] {
            pod.ip(&format!(
                "link add {link} type veth peer name {link} netns {}",
                peer.name()
            ))?;
            for (namespace, host) in [(&peer, 1), (&pod, 2)] {
                namespace.ip(&format!("addr add 10.{net}.0.{host}/24 dev {link}"))?;
                namespace.ip(&format!("addr add fd{net}::{host}/64 dev {link} nodad"))?;
                namespace.ip(&format!("link set {link} up"))?;
            }
        }
        Ok(Setting { pod, peer })
    }
}

/// A listener in the pod or at its neighbour.
///
/// Another thread that is just starting a program holds, until the program runs, a copy of every listener that was
/// closed meanwhile; so an address that is in use may be free in a moment.
pub(crate) fn listen(namespace: &Namespace, at: SocketAddr) -> Result<TcpListener> {
    wait::until(DEADLINE, || namespace.listen(at).ok())
}

/// `evenkeel-init` with these arguments, whatever comes of it.
pub(crate) fn attempt(pod: &Namespace, arguments: &[&str]) -> Result<Output> {
    let mut command = pod.command(binaries::path("evenkeel-init")?);
    Ok(command.args(arguments).output()?)
}

/// `evenkeel-init` with these arguments and this PATH.
pub(crate) fn attempt_with(pod: &Namespace, path: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = pod.command("env");
    command
        .arg(format!("PATH={path}"))
        .arg(binaries::path("evenkeel-init")?)
        .args(arguments);
    Ok(command.output()?)
}

/// `evenkeel-init` with these arguments, which must succeed.
pub(crate) fn init(pod: &Namespace, arguments: &[&str]) -> Result<String> {
    let output = attempt(pod, arguments)?;
    ensure!(output.status.success(), "{arguments:?}: {}", said(&output));
    Ok(said(&output))
}

/// Everything that a program printed.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// All tables of both families and of one backend, without the comments, which have the time in them.
pub(crate) fn saved(pod: &Namespace, backend: &str) -> Result<String> {
    let mut all = String::new();
    for family in FAMILIES {
        all += &saved_family(pod, backend, family)?;
    }
    Ok(all)
}

pub(crate) fn saved_family(pod: &Namespace, backend: &str, family: Family) -> Result<String> {
    // `-c` shows the packets that each rule has counted, so that a rule that was replaced by its equal shows as well.
    let text = pod.exec(&[&format!("{}-{backend}-save", family.program), "-c"])?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    Ok(lines.join("\n") + "\n")
}

/// How often a rule of a foreign chain leads to our chains.
pub(crate) fn jumps(saved: &str) -> usize {
    let jump = |line: &&str| line.ends_with(" -j EVENKEEL_OUTPUT") || line.ends_with(" -j EVENKEEL_INBOUND");
    saved.lines().filter(jump).count()
}

/// Gives the pod a program of its own making, and returns the PATH that finds it first.
///
/// A shell writes it: were this process to hold the file open for writing while another thread forks, running it
/// could fail with "text file busy".
pub(crate) fn substitute(pod: &Namespace, program: &str, script: &str) -> Result<String> {
    let folder: PathBuf = pod.folder()?.join("substitutes");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(program).display().to_string();
    let text = format!("#!/bin/sh\n{script}\n");
    pod.exec_with_input(&["sh", "-c", "cat > \"$0\" && chmod 755 \"$0\"", &file], &text)?;
    Ok(format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display()))
}
