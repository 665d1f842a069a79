//! A container with nothing to write to and nothing that it may do: the proxy runs there.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use evenkeel_tests::binaries;
use evenkeel_tests::namespace::Namespace;

const DEADLINE: Duration = Duration::from_secs(40);

/// Everything below the root, read-only, in a mount namespace of its own; then the proxy as a plain user without
/// capabilities. It stops where something could be written after all.
const SCRIPT: &str = r#"
set -e
mount --make-rprivate /
mount --bind / "$ROOT"
mount -o remount,ro,bind "$ROOT"
mount --rbind /proc "$ROOT/proc"
! chroot "$ROOT" touch /var/tmp/evenkeel-probe 2>/dev/null
exec chroot "$ROOT" setpriv --reuid=1337 --regid=1337 --clear-groups --inh-caps=-all --bounding-set=-all \
    "$PROXY" run --config /proc/self/fd/0 < "$DOCUMENT"
"#;

#[test]
fn a_proxy_needs_no_capability_and_nothing_to_write_to() -> Result<()> {
    let pod = Namespace::new("readonly")?;
    let folder = pod.folder()?;
    let (root, document) = (folder.join("root"), folder.join("mesh.yaml"));
    fs::create_dir(&root)?;
    fs::write(&document, "services: []\n")?;
    let mut command = pod.command("unshare");
    command.args(["--mount", "bash", "-c", SCRIPT]);
    command.env("ROOT", &root).env("DOCUMENT", &document);
    command.env("PROXY", binaries::path("evenkeel-proxy")?);
    let proxy = pod.spawn(command)?;
    proxy.wait_for_line("ready", DEADLINE)?;
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.pid()))?;
    let none = |set: &str| {
        status
            .lines()
            .any(|line| line.starts_with(set) && line.ends_with("0000000000000000"))
    };
    assert!(none("CapEff:") && none("CapBnd:"), "{status}");
    assert_eq!(
        pod.exec(&["curl", "-s", "http://127.0.0.1:15020/ready"])?.trim(),
        "ready"
    );
    Ok(())
}
