//! The images: what is in them is enough to run, and what they run as is what the chart and the injector say.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::image::Image;
use evenkeel_tests::namespace::Namespace;
use evenkeel_tests::process::Process;
use serde_json::json;

const DEADLINE: Duration = Duration::from_mins(1);
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
                let mode = metadata.permissions().mode();
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

/// Where the `Dockerfile` is.
fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs `images/compile` with a compiler and a `strip` that only write down what they are told to do.
fn told(arguments: &[&str]) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    for tool in ["cargo", "x86_64-linux-gnu-strip", "aarch64-linux-gnu-strip"] {
        let path = folder.path().join(tool);
        let environment = "env | grep -E '^(CC_|CARGO_TARGET_.*_LINKER)' | sort";
        let script = format!(
            "#!/bin/sh\n{{ echo {tool} \"$@\"; {environment}; }} >>'{}'\n",
            log.display()
        );
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH")?);
    let output = Command::new(source().join("images/compile"))
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(fs::read_to_string(&log)?.lines().map(str::to_owned).collect())
}

#[test]
fn the_stage_that_compiles_asks_for_what_it_installs_and_for_what_the_images_copy() -> Result<()> {
    let dockerfile = fs::read_to_string(source().join("Dockerfile"))?;
    let programs = ["evenkeel-proxy", "evenkeel-init", "evenkeel-control"];
    for (architecture, machine) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
        let (target, compiler) = (
            format!("{machine}-unknown-linux-gnu"),
            format!("{machine}-linux-gnu-gcc"),
        );
        let checked = told(&[architecture])?;
        let told = told(&[architecture, "/tmp"])?;
        let packages =
            ["evenkeel-proxy", "evenkeel-init", "evenkeel-control-plane"].map(|name| format!("--package {name}"));
        let cargo = format!(
            "cargo build --locked --profile release --target {target} {} --bins",
            packages.join(" ")
        );
        assert_eq!(told.first(), Some(&cargo));
        let check = cargo.replace("build --locked --profile release", "check --quiet --locked");
        assert_eq!(checked.first(), Some(&check), "the same, where it is only checked");
        let underscored = target.replace('-', "_");
        for (variable, value) in [
            (format!("CC_{underscored}"), &compiler),
            (format!("CARGO_TARGET_{}_LINKER", underscored.to_uppercase()), &compiler),
        ] {
            let line = format!("{variable}={value}");
            assert!(told.contains(&line), "{line}: {told:?}");
        }
        for program in programs {
            let strip =
                format!("{machine}-linux-gnu-strip --strip-debug -o /tmp/{program} target/{target}/release/{program}");
            assert!(told.contains(&strip), "{strip}: {told:?}");
        }
        // What the stage before installs: the standard library, and the compiler where that is not the machine's own.
        let added = dockerfile.lines().find(|line| line.contains("rustup target add"));
        assert!(added.context("targets")?.split(' ').any(|word| word == target));
        let package = format!("gcc-{}-linux-gnu", machine.replace('_', "-"));
        let libraries = format!("libc6-dev-{architecture}-cross");
        let installed = format!("compiler=\"{package} {libraries}\"");
        assert!(dockerfile.contains(&installed), "{installed}");
    }
    assert!(told(&["riscv64", "/tmp"]).is_err());
    Ok(())
}

#[test]
fn everything_that_the_dockerfile_copies_is_there() -> Result<()> {
    let dockerfile = fs::read_to_string(source().join("Dockerfile"))?;
    let manifest = fs::read_to_string(source().join("Cargo.toml"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let image = format!("rust:{}-", version.context("a version")?.trim_matches('"'));
    assert!(dockerfile.contains(&image), "{image}");
    let ignored = fs::read_to_string(source().join(".dockerignore"))?;
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = "));
    let members: Vec<String> = serde_json::from_str(members.context("members")?)?;
    let kept = |path: &str| source().join(path).exists() && !ignored.lines().any(|line| line == format!("/{path}"));
    for path in members.iter().map(String::as_str).chain(["Cargo.lock", "images"]) {
        assert!(kept(path), "{path}");
    }
    let roots = fs::read_to_string(source().join("images/roots"))?;
    let mut stages = BTreeSet::new();
    let mut copied = 0;
    for line in dockerfile.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["FROM", .., "AS", name] => {
                let base = words.iter().skip(1).find(|word| !word.starts_with("--"));
                let base = *base.context("a base")?;
                assert!(
                    ["${RUST}", "scratch"].contains(&base) || stages.contains(base),
                    "{line}"
                );
                stages.insert((*name).to_owned());
            }
            ["COPY", from, path, _] if from.starts_with("--from=") => {
                assert!(stages.contains(from.trim_start_matches("--from=")), "{line}");
                let made = match path.strip_prefix("/roots/") {
                    Some(root) => roots.contains(&format!("root \"$folder/{root}\"")),
                    None => binary(path.trim_start_matches("/programs/")),
                };
                assert!(made, "{line}");
                copied += 1;
            }
            ["COPY", path, _] => assert!(source().join(path).exists(), "{line}"),
            _ => {}
        }
    }
    assert_eq!(copied, 6);
    Ok(())
}

/// Whether it is a program that is built.
fn binary(name: &str) -> bool {
    evenkeel_tests::binaries::path(name).is_ok()
}
