//! A process as a container runtime starts one: a root of its own, with the volumes and the hosts file of the pod, as the user
//! and with the capabilities of its spec.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

use super::container::Container;
use crate::binaries;
use crate::pod::Pod;
use crate::process::Process;

/// Where a volume may be mounted: in what is fresh in every container.
const FRESH: [&str; 3] = ["/var/run/", "/run/", "/tmp/"];
/// Or here: then this is empty otherwise, as it is in our images.
const ETC: &str = "/etc/";

/// Makes the root and becomes the program. `/proc/sys` is read-only in a container that is not privileged, and what is
/// writable at `/run`, `/tmp` and `/dev/shm` is the container's own.
const SCRIPT: &str = r#"
set -e
mount --make-rprivate /
mount --bind / "$ROOT"
mount --rbind /proc "$ROOT/proc"
mount --bind "$ROOT/proc/sys" "$ROOT/proc/sys"
mount -o remount,ro,bind "$ROOT/proc/sys"
mount --rbind /dev "$ROOT/dev"
for fresh in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$ROOT/$fresh"; done
[ -z "$OWN_ETC" ] || { mount -t tmpfs tmpfs "$ROOT/etc" && : > "$ROOT/etc/hosts"; }
mount --bind "$PROGRAMS" "$ROOT/usr/local/bin"
mount --bind "$HOSTS" "$ROOT/etc/hosts"
while read -r volume path; do
    [ -n "$volume" ] || continue
    mkdir -p "$ROOT$path"
    mount --bind "$volume" "$ROOT$path"
    mount -o remount,ro,bind "$ROOT$path"
done <<< "$MOUNTS"
[ -z "$READ_ONLY" ] || for at in "" run tmp $OWN_ETC; do mount -o remount,ro,bind "$ROOT/$at"; done
exec chroot "$ROOT" setpriv --pdeathsig KILL "$@"
"#;

/// What the containers of a pod have in common.
#[derive(Debug)]
pub(super) struct Sandbox {
    folder: PathBuf,
    volumes: BTreeMap<String, PathBuf>,
}

// === impl Sandbox ===

impl Sandbox {
    pub(super) fn new(pod: &Pod, hosts: &BTreeMap<String, IpAddr>, volumes: BTreeMap<String, PathBuf>) -> Result<Self> {
        let folder = pod.folder()?;
        std::fs::create_dir_all(folder.join("root"))?;
        let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        for (name, address) in hosts {
            let _ = writeln!(text, "{address} {name}");
        }
        std::fs::write(folder.join("hosts"), text)?;
        Ok(Self { folder, volumes })
    }

    /// Where the files of the pod are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a command as this container.
    pub(super) fn run(&self, pod: &Pod, container: &Container, command: &[String]) -> Result<Process> {
        let mut line = pod.command("unshare");
        line.args(["--mount", "bash", "-c", SCRIPT, "container"]);
        line.args(rights(container));
        line.args(["--", "env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        line.args(
            container
                .environment
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        line.args(command);
        let proxy = binaries::path("evenkeel-proxy")?;
        line.env("ROOT", self.folder.join("root"));
        line.env("PROGRAMS", proxy.parent().context("a program lies in a folder")?);
        line.env("HOSTS", self.folder.join("hosts"));
        line.env("MOUNTS", self.mounts(container)?);
        let own_etc = container.mounts.iter().any(|(_, path)| path.starts_with(ETC));
        line.env("OWN_ETC", if own_etc { "etc" } else { "" });
        line.env("READ_ONLY", if container.root_is_read_only { "yes" } else { "" });
        pod.spawn(line)
    }

    fn mounts(&self, container: &Container) -> Result<String> {
        let mut lines = String::new();
        for (volume, path) in &container.mounts {
            ensure!(
                FRESH.iter().chain(&[ETC]).any(|fresh| path.starts_with(fresh)),
                "{}: a volume at {path} would need a folder there",
                container.name
            );
            let folder = self
                .volumes
                .get(volume)
                .with_context(|| format!("no volume {volume}"))?;
            // A link, which would lead out of the root.
            let path = path
                .strip_prefix("/var")
                .filter(|path| path.starts_with("/run/"))
                .unwrap_or(path);
            let _ = writeln!(lines, "{} {path}", folder.display());
        }
        Ok(lines)
    }
}

/// As `setpriv` spells it.
fn rights(container: &Container) -> Vec<String> {
    let mut rights = Vec::new();
    if (container.user, container.group) != (0, 0) {
        rights.push(format!("--reuid={}", container.user));
        rights.push(format!("--regid={}", container.group));
    }
    rights.push("--clear-groups".to_owned());
    if let Some(capabilities) = &container.capabilities {
        let kept = capabilities.iter().map(|word| format!("+{word}"));
        let set: Vec<_> = std::iter::once("-all".to_owned()).chain(kept).collect();
        rights.push("--inh-caps=-all".to_owned());
        rights.push(format!("--bounding-set={}", set.join(",")));
    }
    if container.gains_no_privileges {
        rights.push("--no-new-privs".to_owned());
    }
    rights
}
