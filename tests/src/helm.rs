//! The chart, rendered by the real `helm`; no cluster is needed.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;

use crate::binaries;

/// Where the tests install the chart.
pub const NAMESPACE: &str = "evenkeel-system";

/// The folder of the chart.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/evenkeel")
}

/// Every object that an installation with these values makes, with the CRDs and the tests.
pub fn render(values: &Value) -> Result<Vec<Value>> {
    render_with(&["--namespace", NAMESPACE], values)
}

/// The same with arguments of one's own.
pub fn render_with(arguments: &[&str], values: &Value) -> Result<Vec<Value>> {
    let mut command = helm("template")?;
    command.args(["evenkeel", ".", "--include-crds", "--kube-version", "1.32.0"]);
    let text = run(command.args(arguments), values)?;
    objects(&text)
}

/// What `helm lint --strict` says of the chart with these values; an error where it is not content.
pub fn lint(values: &Value) -> Result<String> {
    let mut command = helm("lint")?;
    run(command.args([".", "--strict", "--namespace", NAMESPACE]), values)
}

/// What people read after an installation.
pub fn notes(values: &Value) -> Result<String> {
    let mut command = helm("install")?;
    command.args(["evenkeel", ".", "--dry-run=client", "--namespace", NAMESPACE]);
    let text = run(&mut command, values)?;
    let (_, notes) = text.split_once("\nNOTES:\n").context("the notes")?;
    Ok(notes.to_owned())
}

/// The documents of a stream of YAML; those of comments alone are left out.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).with_context(|| text.to_owned())?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// A file of the chart, read as YAML.
pub fn file(name: &str) -> Result<Value> {
    let text = std::fs::read_to_string(chart().join(name)).with_context(|| name.to_owned())?;
    serde_saphyr::from_str(&text).with_context(|| name.to_owned())
}

/// It neither sees nor needs what a person has configured for a cluster.
fn helm(verb: &str) -> Result<Command> {
    let mut command = Command::new(binaries::fetched("helm/helm")?);
    command.arg(verb).current_dir(chart());
    command.env_clear().env("HOME", "/nonexistent");
    Ok(command)
}

/// With the values on stdin: JSON is YAML.
fn run(command: &mut Command, values: &Value) -> Result<String> {
    command.args(["--values", "-"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    stdin.write_all(values.to_string().as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(said)
}
