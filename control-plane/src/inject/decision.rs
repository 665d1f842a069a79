//! Whether a pod is to be injected at all.

use super::labels;
use super::settings::Settings;
use evenkeel_control_api::fault::Fault;
use k8s_openapi::api::core::v1::Pod;
use std::collections::BTreeMap;

/// The namespace that a pod is made in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Whether it asks for proxies. Whoever asks about a pod has found that, and knows it better than labels that were seen
    /// some time ago.
    pub opts_in: bool,
    /// Its labels; `None` where they are not known.
    pub labels: Option<BTreeMap<String, String>>,
}

/// Why a pod is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// Neither it nor its namespace asks for it.
    NotOptedIn,
    /// Its label says so.
    OptedOut,
    /// Its namespace is one of those that are never injected.
    ExcludedNamespace,
    /// Its network is the node's.
    HostNetwork,
    /// There is no redirection there.
    Windows,
    /// A kubelet runs it from a file, and takes no change.
    MirrorPod,
    /// An ordinary container would keep it from completing.
    WouldNotComplete,
}

impl Skipped {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::NotOptedIn,
        Self::OptedOut,
        Self::ExcludedNamespace,
        Self::HostNetwork,
        Self::Windows,
        Self::MirrorPod,
        Self::WouldNotComplete,
    ];

    /// For metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotOptedIn => "not_opted_in",
            Self::OptedOut => "opted_out",
            Self::ExcludedNamespace => "excluded_namespace",
            Self::HostNetwork => "host_network",
            Self::Windows => "windows",
            Self::MirrorPod => "mirror_pod",
            Self::WouldNotComplete => "would_not_complete",
        }
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotOptedIn => "neither the pod nor its namespace asks for a proxy",
            Self::OptedOut => "its label evenkeel.io/inject says no",
            Self::ExcludedNamespace => "pods of this namespace are never injected",
            Self::HostNetwork => "its network is the node's",
            Self::Windows => "it runs on Windows",
            Self::MirrorPod => "a kubelet runs it from a file",
            Self::WouldNotComplete => {
                "without native sidecars the proxy would keep it from completing; \
                 evenkeel.io/force-inject: \"true\" injects it all the same"
            }
        }
    }

    /// Whether whoever made the pod is to be told.
    pub(super) fn is_worth_a_warning(self) -> bool {
        match self {
            Self::WouldNotComplete => true,
            Self::NotOptedIn
            | Self::OptedOut
            | Self::ExcludedNamespace
            | Self::HostNetwork
            | Self::Windows
            | Self::MirrorPod => false,
        }
    }
}

/// What labels and the pod's nature say. `Err`: a label that says nothing.
pub(super) fn decide(pod: &Pod, namespace: &Namespace, settings: &Settings) -> Result<Option<Skipped>, Fault> {
    let spec = pod.spec.as_ref();
    let annotations = pod.metadata.annotations.as_ref();
    let os = spec.and_then(|spec| spec.os.as_ref()).map(|os| os.name.as_str());
    let nature = if settings.excluded_namespaces.contains(&namespace.name) {
        Some(Skipped::ExcludedNamespace)
    } else if annotations.is_some_and(|annotations| annotations.contains_key(labels::MIRROR)) {
        Some(Skipped::MirrorPod)
    } else if spec.and_then(|spec| spec.host_network) == Some(true) {
        Some(Skipped::HostNetwork)
    } else {
        (os == Some("windows")).then_some(Skipped::Windows)
    };
    if nature.is_some() {
        return Ok(nature);
    }
    let wish = pod
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(labels::INJECT));
    match wish.map(String::as_str) {
        Some("true") => Ok(None),
        Some("false") => Ok(Some(Skipped::OptedOut)),
        Some(other) => Err(Fault {
            position: None,
            path: format!("metadata.labels[\"{}\"]", labels::INJECT),
            reason: format!("{other:?} is not \"true\" or \"false\""),
        }),
        None => Ok((!namespace.opts_in).then_some(Skipped::NotOptedIn)),
    }
}

impl Namespace {
    /// What the namespace enforces, where that forbids the init container.
    pub(super) fn forbids_redirection(&self) -> Option<&str> {
        let level = self.labels.as_ref()?.get(labels::POD_SECURITY)?;
        ["baseline", "restricted"].contains(&level.as_str()).then_some(level)
    }
}
