//! Manifests with pods inside: Deployments, Jobs, Lists and others, for use without a webhook.

use super::settings::Settings;
use super::{Cluster, Injected, Namespace, Outcome, inject};
use evenkeel_control_api::fault::Faults;
use serde_json::Value;

/// Where the pods of a kind are.
const TEMPLATES: [(&str, &str, &[&str]); 9] = [
    ("v1", "Pod", &[]),
    ("v1", "ReplicationController", &["spec", "template"]),
    ("apps/v1", "Deployment", &["spec", "template"]),
    ("apps/v1", "StatefulSet", &["spec", "template"]),
    ("apps/v1", "DaemonSet", &["spec", "template"]),
    ("apps/v1", "ReplicaSet", &["spec", "template"]),
    ("batch/v1", "Job", &["spec", "template"]),
    ("batch/v1", "CronJob", &["spec", "jobTemplate", "spec", "template"]),
    ("v1", "PodTemplate", &["template"]),
];

/// What became of the documents of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// All of them, with proxies where those belong.
    pub documents: Vec<Value>,
    /// What whoever made them should know, a line each.
    pub notes: Vec<String>,
    /// What cannot be, a line each. Where there is any, the documents are of no use.
    pub refused: Vec<String>,
}

/// Injects whatever is a pod, or has one inside; the rest passes unchanged, but for documents with nothing inside. `Err`: why it is not YAML.
pub fn inject_text(text: &str, settings: &Settings, cluster: &Cluster) -> Result<Report, String> {
    let mut report = Report::default();
    let documents = super::yaml::read_all(text)?;
    for (index, mut document) in documents.into_iter().enumerate() {
        report.document(&format!("document {}", index + 1), &mut document, settings, cluster);
        report.documents.push(document);
    }
    Ok(report)
}

impl Report {
    /// As text that `kubectl apply -f -` takes.
    pub fn text(&self) -> String {
        let texts: Vec<String> = self.documents.iter().map(super::yaml::write).collect();
        texts.join("---\n")
    }

    fn document(&mut self, place: &str, document: &mut Value, settings: &Settings, cluster: &Cluster) {
        let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if version == "v1" && kind.ends_with("List") {
            let items = document.get_mut("items").and_then(Value::as_array_mut);
            for (index, item) in items.into_iter().flatten().enumerate() {
                self.document(&format!("{place}, items[{index}]"), item, settings, cluster);
            }
            return;
        }
        let known = TEMPLATES.iter().find(|(a, b, _)| (*a, *b) == (&version, &kind));
        let Some((_, _, path)) = known else { return };
        let metadata = &document["metadata"];
        let name = metadata["name"].as_str().or(metadata["generateName"].as_str());
        let place = format!("{place} ({kind} {})", name.unwrap_or("without a name"));
        let namespace = Namespace {
            name: metadata["namespace"].as_str().unwrap_or_default().to_owned(),
            // Whoever gives a pod to this command wants it injected.
            opts_in: true,
            labels: None,
        };
        let mut pod = document;
        for key in *path {
            match pod.get_mut(*key) {
                Some(value) => pod = value,
                None => return self.refused.push(format!("{place}: {}: is missing", path.join("."))),
            }
        }
        let inside = [path, &[""][..path.len().min(1)]].concat().join(".");
        match inject(pod, &namespace, settings, cluster) {
            Outcome::Injected(injected) => {
                let Injected {
                    pod: after, warnings, ..
                } = *injected;
                *pod = after;
                self.note(&place, &warnings);
            }
            Outcome::Skipped { why, .. } => self.notes.push(format!("{place}: not injected: {}", why.sentence())),
            Outcome::Refused(Faults(faults)) => {
                let lines = faults.iter().map(|fault| format!("{place}: {inside}{fault}"));
                self.refused.extend(lines);
            }
        }
    }

    fn note(&mut self, place: &str, warnings: &[String]) {
        self.notes
            .extend(warnings.iter().map(|warning| format!("{place}: {warning}")));
    }
}
