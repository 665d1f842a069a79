//! The kinds of objects that there are. To serve another, add its row.

use serde_json::Value;

/// The group of the Gateway API.
pub(super) const GATEWAY: &str = "gateway.networking.k8s.io";
/// The group of this project.
pub(super) const EVENKEEL: &str = "evenkeel.io";

/// Every kind that the server knows. Those of a group that is not installed are answered with 404.
const KINDS: &[Kind] = &[
    Kind::new("", "v1", "configmaps", "ConfigMap").namespaced(),
    Kind::new("", "v1", "events", "Event").namespaced(),
    Kind::new("", "v1", "namespaces", "Namespace").with_status(),
    Kind::new("", "v1", "nodes", "Node").with_status(),
    Kind::new("", "v1", "pods", "Pod").namespaced().with_status(),
    Kind::new("", "v1", "secrets", "Secret").namespaced(),
    Kind::new("", "v1", "serviceaccounts", "ServiceAccount").namespaced(),
    Kind::new("", "v1", "services", "Service").namespaced().with_status(),
    Kind::new(
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
    ),
    Kind::new(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
    )
    .with_status(),
    Kind::new("apps", "v1", "deployments", "Deployment")
        .namespaced()
        .with_status(),
    Kind::new("apps", "v1", "replicasets", "ReplicaSet")
        .namespaced()
        .with_status(),
    Kind::new("coordination.k8s.io", "v1", "leases", "Lease").namespaced(),
    Kind::new("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice").namespaced(),
    Kind::new("events.k8s.io", "v1", "events", "Event").namespaced(),
    Kind::new(GATEWAY, "v1", "gatewayclasses", "GatewayClass").with_status(),
    Kind::new(GATEWAY, "v1", "gateways", "Gateway")
        .namespaced()
        .with_status(),
    Kind::new(GATEWAY, "v1", "grpcroutes", "GRPCRoute")
        .namespaced()
        .with_status(),
    Kind::new(GATEWAY, "v1", "httproutes", "HTTPRoute")
        .namespaced()
        .with_status(),
    Kind::new(GATEWAY, "v1", "referencegrants", "ReferenceGrant").namespaced(),
    Kind::new(GATEWAY, "v1", "tlsroutes", "TLSRoute")
        .namespaced()
        .with_status(),
    Kind::new(GATEWAY, "v1alpha2", "tcproutes", "TCPRoute")
        .namespaced()
        .with_status(),
    Kind::new(EVENKEEL, "v1alpha1", "trafficpolicies", "TrafficPolicy")
        .namespaced()
        .with_status(),
];

/// A kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The group; empty for the core's.
    pub group: &'static str,
    /// The one version that is served.
    pub version: &'static str,
    /// Its word in paths.
    pub plural: &'static str,
    /// Its word in objects.
    pub name: &'static str,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
    /// Whether its status is written by itself, at `/status`.
    pub has_status: bool,
}

// === impl Kind ===

impl Kind {
    const fn new(group: &'static str, version: &'static str, plural: &'static str, name: &'static str) -> Self {
        Self {
            group,
            version,
            plural,
            name,
            namespaced: false,
            has_status: false,
        }
    }

    const fn namespaced(mut self) -> Self {
        self.namespaced = true;
        self
    }

    const fn with_status(mut self) -> Self {
        self.has_status = true;
        self
    }

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = &'static Self> {
        KINDS.iter()
    }

    /// The kind at this path.
    pub(super) fn at(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        Self::all().find(|kind| (kind.group, kind.version, kind.plural) == (group, version, plural))
    }

    /// The kind with this word in paths; where two groups have it, the core's.
    pub(super) fn named(plural: &str) -> Option<&'static Self> {
        Self::all().find(|kind| kind.plural == plural)
    }

    /// The kind that an object says it is.
    pub(super) fn of(object: &Value) -> Option<&'static Self> {
        let (version, name) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
        Self::all().find(|kind| kind.api_version() == version && kind.name == name)
    }

    /// What its objects have as `apiVersion`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            return self.version.to_owned();
        }
        format!("{}/{}", self.group, self.version)
    }

    /// Whether it is defined by a `CustomResourceDefinition`; lists of others leave `kind` and `apiVersion` of each item out.
    pub(super) fn is_custom(&self) -> bool {
        self.group == GATEWAY || self.group == EVENKEEL
    }
}
