//! The images: what is in them is enough to run, and what they run as is what the chart and the injector say.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::image::Image;
use evenkeel_tests::namespace::Namespace;
use evenkeel_tests::process::Process;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(20);
/// What the injector gives the init container.
const OF_INIT: [&str; 2] = ["net_admin", "net_raw"];

/// Runs a program of the image to its end and returns what it said.
fn run(image: &Image, pod: &Namespace, capabilities: &[&str], line: &[&str]) -> Result<String> {
    let process = pod.spawn(image.command(pod, capabilities, line)?)?;
    let status = process.wait(DEADLINE)?;
    ensure!(status.success(), "{line:?}: {}", process.said());
    Ok(process.said())
}

fn has_no_capability(process: &Process) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let effective = status.lines().find(|line| line.starts_with("CapEff:"));
    ensure!(
        effective.is_some_and(|line| line.ends_with("0000000000000000")),
        "{status}"
    );
    Ok(())
}

#[test]
fn the_init_image_installs_and_removes_the_rules_with_both_backends_on_a_read_only_root() -> Result<()> {
    let image = Image::build("evenkeel-init")?;
    assert_eq!(image.entrypoint(), &json!(["evenkeel-init"]));
    for backend in ["nft", "legacy"] {
        let pod = Namespace::new(backend)?;
        let with = |verb| run(&image, &pod, &OF_INIT, &["evenkeel-init", verb, "--backend", backend]);
        with("install")?;
        with("verify")?;
        for family in ["iptables", "ip6tables"] {
            let rules = pod.exec(&[&format!("{family}-{backend}-save"), "-t", "nat"])?;
            assert!(rules.contains("--uid-owner 1337"), "{family}: {rules}");
        }
        with("cleanup")?;
        let rules = pod.exec(&[&format!("iptables-{backend}-save"), "-t", "nat"])?;
        assert!(!rules.contains("EVENKEEL"), "{rules}");
    }
    Ok(())
}

#[test]
fn the_proxy_of_its_image_runs_without_capabilities_as_the_user_that_the_rules_exempt() -> Result<()> {
    let image = Image::build("evenkeel-proxy")?;
    assert_eq!(
        (image.user(), image.entrypoint()),
        ("1337:1337", &json!(["evenkeel-proxy"]))
    );
    let pod = Namespace::new("proxy")?;
    let document = pod.folder()?.join("mesh.yaml");
    fs::write(&document, "services: []\n")?;
    let mut command = image.command(&pod, &[], &["evenkeel-proxy", "run", "--config", "/proc/self/fd/0"])?;
    command.stdin(fs::File::open(document)?);
    let proxy = pod.spawn(command)?;
    proxy.wait_for_line("ready", DEADLINE)?;
    has_no_capability(&proxy)?;
    // What hooks and probes run is in the same image.
    run(&image, &pod, &[], &["evenkeel-proxy", "await", "--timeout", "5s"])?;
    run(&image, &pod, &[], &["evenkeel-proxy", "drain"])?;
    assert!(proxy.wait(DEADLINE)?.success(), "{}", proxy.said());
    Ok(())
}

#[test]
fn the_control_plane_of_its_image_runs_without_capabilities_as_nobody_in_particular() -> Result<()> {
    let image = Image::build("evenkeel-control")?;
    assert_eq!(
        (image.user(), image.entrypoint()),
        ("65532:65532", &json!(["evenkeel-control"]))
    );
    let pod = Namespace::new("control")?;
    let document = pod.folder()?.join("mesh.yaml");
    fs::write(&document, "services: []\n")?;
    let mut command = image.command(&pod, &[], &["evenkeel-control", "serve", "--mesh", "/proc/self/fd/0"])?;
    command.stdin(fs::File::open(document)?);
    let control = pod.spawn(command)?;
    control.wait_for_line("serving", DEADLINE)?;
    has_no_capability(&control)?;
    let ready = pod.exec(&["curl", "-s", "http://127.0.0.1:15014/ready"])?;
    assert_eq!(ready.trim(), "ready");
    Ok(())
}

#[test]
fn there_is_no_shell_and_nothing_that_gives_privileges() -> Result<()> {
    for target in ["evenkeel-proxy", "evenkeel-control"] {
        let image = Image::build(target)?;
        let mut folders = vec![image.root().to_owned()];
        let mut programs = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let metadata = entry.path().symlink_metadata()?;
                let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
                ensure!(
                    mode & 0o6000 == 0 || metadata.is_dir(),
                    "{:?} gives privileges",
                    entry.path()
                );
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if ["bin", "sbin"]
                    .iter()
                    .any(|bin| entry.path().parent().is_some_and(|in_| in_.ends_with(bin)))
                {
                    programs.push(entry.file_name().into_string().unwrap_or_default());
                }
            }
        }
        assert_eq!(programs, [target]);
    }
    Ok(())
}
