//! `evenkeel-control inject`, run as it is.

use crate::fixtures::CA;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const MANIFESTS: &str = r#"
# A remark.
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80, name: "on"}], selector: {app: "0123"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, env: [{name: VERSION, value: "1.10"}], livenessProbe: {httpGet: {port: 8080}}}]}
---
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: "*/5 * * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: report, image: report}]}}}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: node}, spec: {hostNetwork: true, containers: [{name: a, image: a}]}}
- {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {template: {spec: {containers: [{name: db, image: db}]}}}}
- {apiVersion: example.com/v1, kind: Deployment, metadata: {name: other}, spec: {template: {spec: {containers: []}}}}
"#;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("ca.pem", CA);
        folder
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, stdin: &str, arguments: &[&str]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_evenkeel-control"))
            .args(["inject", "--ca", "ca.pem"])
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that fails early does not read.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn documents(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_saphyr::from_multiple(&text(&output.stdout)).unwrap()
}

#[test]
fn manifests_come_out_with_proxies_and_the_rest_as_it_was() {
    let folder = Folder::new();
    let output = folder.run(MANIFESTS, &["-f", "-"]);
    let after = documents(&output);
    let before: Vec<Value> = serde_saphyr::from_multiple(MANIFESTS).unwrap();
    let before: Vec<Value> = before.into_iter().filter(|document| !document.is_null()).collect();
    assert_eq!(after.len(), 4);
    assert_eq!(after[0], before[0]);
    let template = &after[1]["spec"]["template"];
    assert_eq!(template["spec"]["initContainers"][1]["name"], "evenkeel-proxy");
    assert_eq!(
        template["spec"]["containers"][0]["env"],
        before[1]["spec"]["template"]["spec"]["containers"][0]["env"]
    );
    assert_eq!(template["metadata"]["labels"]["evenkeel.io/injected"], "true");
    assert_eq!(after[1]["metadata"], before[1]["metadata"]);
    let report = &after[2]["spec"]["jobTemplate"]["spec"]["template"];
    assert_eq!(report["spec"]["initContainers"][1]["name"], "evenkeel-proxy");
    assert_eq!(after[3]["items"][0], before[3]["items"][0]);
    assert_eq!(
        after[3]["items"][1]["spec"]["template"]["spec"]["initContainers"][0]["name"],
        "evenkeel-init"
    );
    assert_eq!(after[3]["items"][2], before[3]["items"][2]);
    let notes = text(&output.stderr);
    assert_eq!(
        notes,
        "-: document 4, items[0] (Pod node): not injected: its network is the node's\n"
    );
}

#[test]
fn what_came_out_goes_in_again_unchanged() {
    let folder = Folder::new();
    let once = text(&folder.run(MANIFESTS, &["-f", "-"]).stdout);
    let path = folder.write("once.yaml", &once);
    let twice = text(&folder.run("", &["-f", &path]).stdout);
    assert_eq!(twice, once);
}

#[test]
fn settings_and_the_version_of_the_cluster_are_obeyed() {
    let folder = Folder::new();
    let settings = folder.write("settings.yaml", "images: {proxy: example.com/proxy}\n");
    let output = folder.run(
        MANIFESTS,
        &["-f", "-", "--settings", &settings, "--kubernetes-version", "v1.28.4"],
    );
    let after = documents(&output);
    let containers = &after[1]["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[0]["image"], "example.com/proxy");
    assert!(text(&output.stderr).contains("(CronJob report): not injected: without native sidecars"));
}

#[test]
fn what_cannot_be_is_told_with_file_document_and_path_and_nothing_comes_out() {
    let folder = Folder::new();
    let bad = MANIFESTS.replace(
        "metadata: {labels: {app: web}}",
        "metadata: {annotations: {evenkeel.io/workers: many}}",
    );
    let path = folder.write(
        "bad.yaml",
        &bad.replace(
            "spec: {template: {spec: {containers: [{name: db",
            "spec: {tmplate: {spec: {containers: [{name: db",
        ),
    );
    let output = folder.run("", &["-f", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    let annotation = "document 2 (Deployment web): spec.template.metadata.annotations[\"evenkeel.io/workers\"]: \"many\" is not a number";
    assert!(said.contains(&format!("{path}: {annotation}")), "{said}");
    assert!(
        said.contains(&format!(
            "{path}: document 4, items[1] (StatefulSet db): spec.template: is missing"
        )),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn files_that_are_no_use_are_told_in_a_sentence() {
    let folder = Folder::new();
    let settings = folder.write("settings.yaml", "imags: {}\nnativeSidecar: 3\n");
    let fails = |arguments: &[&str]| {
        let output = folder.run("a: [1", arguments);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
        text(&output.stderr)
    };
    assert!(fails(&["-f", "-"]).starts_with("-: "));
    assert!(fails(&["-f", "missing.yaml"]).starts_with("missing.yaml: it cannot be read: "));
    let said = fails(&["-f", "-", "--settings", &settings]);
    assert!(
        said.contains("settings.yaml: imags: unknown key; did you mean \"images\"?"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
    for no_certificate in ["nothing", "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"] {
        folder.write("ca.pem", no_certificate);
        assert!(fails(&["-f", "-"]).starts_with("ca.pem: there is no certificate"));
    }
}
