//! The custom resource `TrafficPolicy`, as users write it. Its definition in `charts/evenkeel/crds/` is generated from
//! these types: what is said of a field here is what `kubectl explain` shows.

use evenkeel_control_api::mesh::model::ranges;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the Gateway API cannot say about the traffic to a Service.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "evenkeel.io",
    version = "v1alpha1",
    kind = "TrafficPolicy",
    plural = "trafficpolicies",
    shortname = "tp",
    namespaced,
    status = "TrafficPolicyStatus",
    derive = "PartialEq",
    doc = "How requests to a Service are balanced, and their limits.",
    label("gateway.networking.k8s.io/policy", "Direct"),
    printcolumn = r#"{"name": "Targets", "type": "string", "jsonPath": ".spec.targetRefs[*].name"}"#,
    printcolumn = r#"{"name": "Algorithm", "type": "string", "jsonPath": ".spec.balancer.algorithm"}"#,
    printcolumn = r#"{"name": "Accepted", "type": "string",
        "jsonPath": ".status.ancestors[*].conditions[?(@.type=='Accepted')].status"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficPolicySpec {
    /// The Services of this namespace that it is for. Of two policies for one target the older one is in force; one for
    /// a port goes before one for its whole Service.
    #[schemars(length(min = 1, max = 16))]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "self.all(one, self.exists_one(other, one.name == other.name && \
            (has(one.sectionName) ? one.sectionName : '') == (has(other.sectionName) ? other.sectionName : '')))",
        "message": "a target is named twice"
    }]))]
    pub target_refs: Vec<TargetRef>,
    /// How an endpoint is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancer: Option<Balancer>,
    /// Limits, where others than the defaults are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Not supported yet: a policy that has it is not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudget>,
    /// Not supported yet: a policy that has it is not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
}

/// A Service of the policy's namespace, or one port of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetRef {
    /// The core group, which has no name.
    #[serde(default)]
    #[schemars(length(max = 0))]
    pub group: String,
    /// `Service`.
    #[serde(default)]
    pub kind: TargetKind,
    /// Of the Service.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The name of one of its ports; without it all are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub section_name: Option<String>,
}

/// What a policy may be for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum TargetKind {
    /// A Service of the core group.
    #[default]
    Service,
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.choices) || self.algorithm == 'least_request'",
    "message": "choices belongs to the algorithm least_request only"
}]))]
pub struct Balancer {
    /// `peak_ewma`: latency times requests in flight, the better of two. `least_request`: fewest requests in flight of
    /// `choices`. `round_robin`: in turn. `random`.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// So many random endpoints are compared; for `least_request` only (default 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ranges::CHOICES.start(), max = *ranges::CHOICES.end()), extend("format" = "int64"))]
    pub choices: Option<u32>,
}

/// The words of `balancer.algorithm`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    #[expect(
        missing_docs,
        reason = "the field says what each word means, in one sentence that users see"
    )]
    #[default]
    PeakEwma,
    #[expect(missing_docs, reason = "as above")]
    LeastRequest,
    #[expect(missing_docs, reason = "as above")]
    RoundRobin,
    #[expect(missing_docs, reason = "as above")]
    Random,
}

/// Limits; what is not said keeps its default.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// For a TCP handshake with an endpoint (default 2s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 28), regex(pattern = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub connect_timeout: Option<String>,
    /// How long an HTTP/1 connection to an endpoint waits for its next request (default 4s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 28), regex(pattern = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub upstream_idle: Option<String>,
    /// How long an HTTP connection of a client may be without a request, or `off` (default 1h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 28), regex(pattern = r"^(off|([0-9]{1,5}(h|m|s|ms)){1,4})$"))]
    pub downstream_idle: Option<String>,
    /// For the head of a request, from its first byte, or `off` (default 30s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 28), regex(pattern = r"^(off|([0-9]{1,5}(h|m|s|ms)){1,4})$"))]
    pub head_timeout: Option<String>,
    /// Of a request's head, in whole KiB (default 65536); more is answered with 431.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ranges::HEADER_BYTES.start(), max = *ranges::HEADER_BYTES.end()), extend("format" = "int64", "multipleOf" = ranges::HEADER_UNIT))]
    pub header_bytes: Option<u32>,
    /// Of a request's head (default 100); more is answered with 431.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ranges::HEADER_FIELDS.start(), max = *ranges::HEADER_FIELDS.end()), extend("format" = "int64"))]
    pub header_fields: Option<u32>,
    /// After so many a client is asked to open another connection (default: never).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ranges::REQUESTS.start(), max = *ranges::REQUESTS.end()), extend("format" = "int64"))]
    pub requests_per_connection: Option<u32>,
    /// TCP keepalive towards endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<Keepalive>,
    /// How long sent bytes may stay unacknowledged by an endpoint (default 30s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 28), regex(pattern = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub user_timeout: Option<String>,
    /// Of HTTP/2 on both sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http2: Option<Http2>,
}

/// TCP keepalive.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Keepalive {
    /// Silence before the first probe, 1 s to 32767 s in whole seconds (default 10s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 28), regex(pattern = r"^([0-9]{1,5}(h|m|s)){1,4}$"))]
    pub idle: Option<String>,
    /// Between probes, 1 s to 32767 s in whole seconds (default 3s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 28), regex(pattern = r"^([0-9]{1,5}(h|m|s)){1,4}$"))]
    pub interval: Option<String>,
    /// Probes without an answer before the connection is given up (default 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ranges::KEEPALIVE_COUNT.start(), max = *ranges::KEEPALIVE_COUNT.end()), extend("format" = "int64"))]
    pub count: Option<u32>,
}

/// HTTP/2.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http2 {
    /// On one connection (default 1000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ranges::STREAMS.start(), max = *ranges::STREAMS.end()), extend("format" = "int64"))]
    pub max_concurrent_streams: Option<u32>,
    /// What the other side may send on a stream before we have read it, in bytes (default 1048576).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ranges::WINDOW.start(), max = *ranges::WINDOW.end()), extend("format" = "int64"))]
    pub stream_window: Option<u32>,
    /// The same for a whole connection (default 4194304).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ranges::WINDOW.start(), max = *ranges::WINDOW.end()), extend("format" = "int64"))]
    pub connection_window: Option<u32>,
}

/// How many requests may be tried again.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryBudget {
    /// Of the active requests.
    #[schemars(range(min = 0, max = 100), extend("format" = "int64"))]
    pub percent: u32,
    /// Allowed in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000), extend("format" = "int64"))]
    pub min_retries_per_second: Option<u32>,
}

/// When an endpoint that answers badly is left alone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutlierDetection {
    /// So many failures in a row.
    #[schemars(range(min = 1, max = 1_000_000), extend("format" = "int64"))]
    pub consecutive_failures: u32,
    /// For so long, the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 28), regex(pattern = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub base_ejection_time: Option<String>,
    /// Of the endpoints at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100), extend("format" = "int64"))]
    pub max_ejection_percent: Option<u32>,
}

/// What became of it, for each target: the form of the Gateway API's policies.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct TrafficPolicyStatus {
    /// One for each target and controller.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub ancestors: Vec<Ancestor>,
}

/// What became of a policy at one target.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ancestor {
    /// The target.
    pub ancestor_ref: AncestorRef,
    /// Who says so: `evenkeel.io/control`.
    #[schemars(length(min = 1, max = 253))]
    pub controller_name: String,
    /// `Accepted`.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub conditions: Vec<Condition>,
}

/// A target, in full.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AncestorRef {
    /// The core group, which has no name.
    #[serde(default)]
    pub group: String,
    /// `Service`.
    #[serde(default)]
    pub kind: String,
    /// Of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Of the Service.
    pub name: String,
    /// Of its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}
