//! The words on namespaces and pods that the injector obeys, and the one that it leaves.

/// On a namespace: `enabled` opts its pods in.
pub const INJECTION: &str = "evenkeel.io/injection";
/// On a pod: `false` opts it out, `true` opts it in by itself.
pub const INJECT: &str = "evenkeel.io/inject";
/// On a pod that was injected: `true`.
pub const INJECTED: &str = "evenkeel.io/injected";
/// What the labels and annotations that are ours begin with.
pub const PREFIX: &str = "evenkeel.io/";
/// Which level of Pod Security a namespace enforces.
pub const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";
/// On the image in the API of a pod that a kubelet runs from a file.
pub const MIRROR: &str = "kubernetes.io/config.mirror";
