//! A question about a pod to its answer.

use super::counts::Counted;
use super::review::{self, Request, Verdict};
use super::{Rule, Webhook};
use crate::inject::{Namespace, Outcome, inject};
use json_patch::Patch;
use serde_json::Value;
use std::sync::Arc;

/// The body of the answer. `Err`: why it cannot be one, for whoever sent the question.
pub(super) fn answer(webhook: &Webhook, rule: Rule, body: &[u8]) -> Result<Vec<u8>, String> {
    let request = review::read(body)?;
    let uid = request.uid.clone();
    review::write(&uid, verdict(webhook, rule, request))
        .map_err(|error| format!("the answer cannot be written: {error}"))
}

fn verdict(webhook: &Webhook, rule: Rule, request: Request) -> Verdict {
    let kind = &request.kind;
    let is_pod = (kind.group.as_str(), kind.version.as_str(), kind.kind.as_str()) == ("", "v1", "Pod");
    if !is_pod || request.operation != "CREATE" || !request.sub_resource.is_empty() {
        webhook.counts.count(Counted::NotAsked);
        let asked = format!("{} of {} {}", request.operation, kind.kind, request.sub_resource);
        let asked = asked.trim_end();
        return allowed(vec![format!("evenkeel: only CREATE of Pod is looked at, not {asked}")]);
    }
    let namespace = Namespace {
        opts_in: rule == Rule::Namespace,
        labels: (webhook.namespaces)(&request.namespace),
        name: request.namespace,
    };
    let settings = Arc::clone(&webhook.settings.borrow());
    let cluster = Arc::clone(&webhook.cluster.borrow());
    let pod = name(&request.object);
    match inject(&request.object, &namespace, &settings, &cluster) {
        Outcome::Injected(injected) => {
            let unchanged = injected.patch.0.is_empty();
            let result = if unchanged {
                Counted::Unchanged
            } else {
                Counted::Injected
            };
            webhook.counts.count(result);
            tracing::debug!(namespace = namespace.name, pod, unchanged, "injected");
            Verdict::Allowed {
                patch: injected.patch,
                warnings: ours(injected.warnings),
            }
        }
        Outcome::Skipped { why, warnings } => {
            webhook.counts.skipped(why);
            tracing::debug!(namespace = namespace.name, pod, why = why.label(), "skipped");
            allowed(ours(warnings))
        }
        Outcome::Refused(faults) => {
            webhook.counts.count(Counted::Refused);
            tracing::info!(namespace = namespace.name, pod, %faults, "a pod cannot be injected");
            Verdict::Denied(format!("evenkeel cannot inject this pod: {faults}"))
        }
    }
}

fn allowed(warnings: Vec<String>) -> Verdict {
    Verdict::Allowed {
        patch: Patch(Vec::new()),
        warnings,
    }
}

/// Whoever reads a warning should know who warns.
fn ours(warnings: Vec<String>) -> Vec<String> {
    let warnings = warnings.into_iter();
    warnings.map(|warning| format!("evenkeel: {warning}")).collect()
}

/// A pod of a Deployment has no name yet.
fn name(pod: &Value) -> &str {
    let metadata = &pod["metadata"];
    let name = metadata["name"].as_str().or(metadata["generateName"].as_str());
    name.unwrap_or_default()
}
