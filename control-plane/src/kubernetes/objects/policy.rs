//! `TrafficPolicy`: what is kept of one. Checked at the border: a policy that asks for what the data plane cannot do says so
//! in its status, and nothing of it is used.

mod limits;
pub mod resource;

use super::Object;
use super::written::Written;
use crate::kubernetes::key::Key;
use evenkeel_control_api::mesh::model::TrafficLimits;
use evenkeel_control_api::mesh::model::ranges::CHOICES;
use evenkeel_control_api::resource::cluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use resource::{Algorithm, AncestorRef, Balancer, TargetRef};
pub use resource::{TrafficPolicy, TrafficPolicySpec, TrafficPolicyStatus};
use serde_json::{Value, json};
use std::num::NonZeroU32;

/// What is kept of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// `metadata.uid` and `metadata.generation`: its status is about this one.
    pub state: (String, i64),
    /// When it was made: of two the older one is in force.
    pub created: Option<Timestamp>,
    /// What it is for.
    pub targets: Vec<PolicyTarget>,
    /// What it says, or what is wrong with it.
    pub settings: Result<Settings, Vec<String>>,
}

/// A Service that a policy is for, or one port of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTarget {
    /// The Service.
    pub service: Key,
    /// The name of a port; `None`: all.
    pub section: Option<String>,
}

/// What holds at a port.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How an endpoint is chosen.
    pub algorithm: cluster::Algorithm,
    /// The limits.
    pub limits: TrafficLimits,
}

impl PolicyTarget {
    /// As a status names it.
    pub fn written(&self) -> Value {
        json!(AncestorRef {
            group: String::new(),
            kind: "Service".to_owned(),
            namespace: Some(self.service.namespace.to_string()),
            name: self.service.name.to_string(),
            section_name: self.section.clone(),
        })
    }
}

/// Keeps what is used. What is wrong with it is said in its status, for each target, and not as a fault of the object.
pub(crate) fn keep(policy: &Written) -> Object {
    Object::TrafficPolicy(Box::new(read(&policy.metadata, &policy.spec)))
}

fn read(metadata: &ObjectMeta, spec: &Value) -> Policy {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    // Of a policy that cannot be read, the targets may still be: their status says what is wrong.
    let targets = spec
        .get("targetRefs")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let target = |value: &Value| {
        let TargetRef { name, section_name, .. } = serde_json::from_value(value.clone()).ok()?;
        Some(PolicyTarget {
            service: Key::new(namespace, &name),
            section: section_name,
        })
    };
    Policy {
        state: (
            metadata.uid.clone().unwrap_or_default(),
            metadata.generation.unwrap_or_default(),
        ),
        created: metadata.creation_timestamp.as_ref().map(|time| time.0),
        targets: targets.iter().filter_map(target).collect(),
        settings: match serde_json::from_value(spec.clone()) {
            Ok(spec) => settings(&spec),
            Err(error) => Err(vec![format!("spec: {error}")]),
        },
    }
}

fn settings(spec: &TrafficPolicySpec) -> Result<Settings, Vec<String>> {
    let mut faults = Vec::new();
    for (field, is_set) in [
        ("retryBudget", spec.retry_budget.is_some()),
        ("outlierDetection", spec.outlier_detection.is_some()),
    ] {
        if is_set {
            faults.push(format!("spec.{field}: is not supported yet"));
        }
    }
    let limits = spec.limits.as_ref().map(|limits| limits::limits(limits, &mut faults));
    let settings = Settings {
        algorithm: spec.balancer.as_ref().map_or(cluster::Algorithm::PeakEwma, |balancer| {
            algorithm(balancer, &mut faults)
        }),
        limits: limits.unwrap_or_default(),
    };
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

fn algorithm(balancer: &Balancer, faults: &mut Vec<String>) -> cluster::Algorithm {
    if balancer.choices.is_some() && balancer.algorithm != Algorithm::LeastRequest {
        faults.push("spec.balancer.choices: belongs to the algorithm least_request only".to_owned());
    }
    let choices = balancer.choices.unwrap_or(*CHOICES.start());
    if !CHOICES.contains(&choices) {
        let (least, most) = CHOICES.into_inner();
        faults.push(format!("spec.balancer.choices: {choices} is not in {least} to {most}"));
    }
    match balancer.algorithm {
        Algorithm::PeakEwma => cluster::Algorithm::PeakEwma,
        Algorithm::LeastRequest => cluster::Algorithm::LeastRequest {
            choices: NonZeroU32::new(choices).unwrap_or(NonZeroU32::MIN),
        },
        Algorithm::RoundRobin => cluster::Algorithm::RoundRobin,
        Algorithm::Random => cluster::Algorithm::Random,
    }
}

#[cfg(test)]
mod tests;
