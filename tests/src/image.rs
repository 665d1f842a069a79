//! Images of the `Dockerfile`, built by `buildah` out of the programs that are here already, and run as the kubelet would: a
//! read-only root, the image's user, no capability that was not asked for.
//!
//! The stages that compile are not built: they want a base image from a registry. What they call is `images/compile`, and
//! `images/roots`, which made the folder that is used here.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use serde_json::Value;
use tempfile::TempDir;

use crate::binaries;
use crate::namespace::Namespace;

/// Mount points as a runtime makes them; then the program. What changes the root and the user is the script's own, and cannot
/// be gained again.
const SCRIPT: &str = r#"
set -e
mapfile -t IMAGE_ENV <<<"$IMAGE_ENV"
mount --make-rprivate /
mkdir -p "$ROOT/proc" "$ROOT/dev"
mount --bind "$ROOT" "$ROOT"
mount -o remount,ro,bind "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
own=+sys_chroot,+setuid,+setgid
exec env -i "${IMAGE_ENV[@]}" "$(type -P setpriv)" --no-new-privs --inh-caps=-all --bounding-set="-all,$own$CAPABILITIES" \
    "$(type -P chroot)" --userspec="$IMAGE_USER" --groups= "$ROOT" "$@"
"#;

/// A built image, and a container of it.
#[derive(Debug)]
pub struct Image {
    storage: TempDir,
    root: PathBuf,
    config: Value,
}

// === impl Image ===

impl Image {
    /// Builds the target of this name, `evenkeel-proxy` say.
    pub fn build(target: &str) -> Result<Self> {
        let storage = tempfile::tempdir()?;
        let made = storage.path().join("made");
        let programs = made.join("programs");
        std::fs::create_dir_all(&programs)?;
        let program = binaries::path(target)?;
        // As `images/compile` does it.
        let mut strip = Command::new("strip");
        run(strip
            .arg("--strip-debug")
            .arg("-o")
            .arg(programs.join(target))
            .arg(program))?;
        let roots = binaries::fetched("roots/script")?;
        let roots = roots.parent().and_then(Path::parent).context("the target folder")?;
        let mut image = Self {
            storage,
            root: PathBuf::new(),
            config: Value::Null,
        };
        let context = |name: &str, folder: &Path| format!("--build-context={name}={}", folder.display());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut build = image.buildah();
        build.args(["build", "--quiet", "--isolation=chroot", "--build-arg=TARGETARCH=none"]);
        build.args([context("programs", &made), context("roots", roots)]);
        build.args(["--target", target, "--tag", target]);
        run(build.arg(source))?;
        let described = run(image.buildah().args(["inspect", "--type=image", target]))?;
        let described: Value = serde_json::from_str(&described)?;
        image.config = described["OCIv1"]["config"].clone();
        let container = run(image.buildah().args(["from", target]))?;
        image.root = run(image.buildah().args(["mount", container.trim()]))?.trim().into();
        Ok(image)
    }

    /// Its user, as `UID:GID`.
    pub fn user(&self) -> &str {
        self.config["User"].as_str().unwrap_or("0:0")
    }

    /// What it starts.
    pub fn entrypoint(&self) -> &Value {
        &self.config["Entrypoint"]
    }

    /// Its files.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A program of the image with its arguments, in a container that has these capabilities, such as `net_admin`.
    pub fn command(&self, namespace: &Namespace, capabilities: &[&str], line: &[&str]) -> Result<Command> {
        let environment = self.config["Env"].as_array().into_iter().flatten();
        let environment: Vec<_> = environment.filter_map(Value::as_str).collect();
        let capabilities: Vec<_> = capabilities.iter().map(|name| format!(",+{name}")).collect();
        let mut command = namespace.command("unshare");
        command.args(["--mount", "bash", "-c", SCRIPT, "container"]).args(line);
        command.env("ROOT", &self.root).env("IMAGE_ENV", environment.join("\n"));
        command
            .env("IMAGE_USER", self.user())
            .env("CAPABILITIES", capabilities.concat());
        Ok(command)
    }

    fn buildah(&self) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(self.storage.path().join("root"));
        command.arg("--runroot").arg(self.storage.path().join("run"));
        command.args(["--storage-driver", "vfs"]);
        command
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
