//! The containers and the volume that a pod gets.

use super::document::{self, TOKEN};
use super::ports::{PROXY_UID, TELEMETRY};
use super::settings::{Backend, PullPolicy, Redirection, Resources, Settings};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, ExecAction, HTTPGetAction, Lifecycle,
    LifecycleHandler, ObjectFieldSelector, Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile,
    SecurityContext, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Puts the redirection in place.
pub const INIT: &str = "evenkeel-init";
/// Carries the pod's traffic.
pub const PROXY: &str = "evenkeel-proxy";
/// Both.
pub(super) const NAMES: [&str; 2] = [INIT, PROXY];
/// The name of the port that has `/metrics`.
pub const TELEMETRY_PORT: &str = "ek-telemetry";
/// Has the token that the proxy proves itself with.
pub const TOKEN_VOLUME: &str = "evenkeel-token";
/// Has the proxy's mesh document.
pub(super) const DOCUMENT: &str = "EVENKEEL_CONFIG_INLINE";

/// Kubernetes renews a token at four fifths of its life.
const TOKEN_SECONDS: i64 = 3_600;
/// How long a proxy may take to be ready, in seconds: a control plane that is away is waited for by the proxy itself.
const START_SECONDS: i32 = 300;
/// The lock file of iptables must be somewhere else than on a root that is read-only; every pod has this.
const LOCK_FILE: &str = "/dev/shm/evenkeel-xtables.lock";
/// Kubernetes copies it from the node that a pod gets, from 1.35 on; without it, nothing is put in.
const ZONE: &str = "metadata.labels['topology.kubernetes.io/zone']";

/// How the proxy's container is started and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An init container with `restartPolicy: Always`: started before all others, ended after them.
    NativeSidecar,
    /// The first of the containers: the next is started when its hook has returned.
    Ordinary,
}

/// `evenkeel-init`.
pub(super) fn init(settings: &Settings) -> Container {
    let mut command = vec![INIT.to_owned(), "install".to_owned()];
    command.extend(flags(&settings.redirection));
    Container {
        name: INIT.to_owned(),
        image: Some(settings.images.init.clone()),
        image_pull_policy: settings.images.pull_policy.map(pull_policy),
        command: Some(command),
        env: Some(vec![variable("XTABLES_LOCKFILE", LOCK_FILE)]),
        resources: Some(resources(&settings.proxy.resources)),
        security_context: Some(SecurityContext {
            capabilities: Some(Capabilities {
                add: Some(vec!["NET_ADMIN".to_owned(), "NET_RAW".to_owned()]),
                drop: Some(vec!["ALL".to_owned()]),
            }),
            run_as_group: Some(0),
            run_as_non_root: Some(false),
            run_as_user: Some(0),
            ..confined()
        }),
        ..Container::default()
    }
}

/// `evenkeel-proxy`.
pub(super) fn proxy(settings: &Settings, kind: Kind, document: String) -> Container {
    let native = kind == Kind::NativeSidecar;
    let mut env = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        variable("EVENKEEL_LOG", &settings.proxy.log_level),
    ];
    if settings.telemetry.metrics.is_some() {
        env.push(field("POD_ZONE", ZONE));
    }
    // Before the document, which is long.
    env.extend(
        settings
            .proxy
            .extra_env
            .iter()
            .map(|(name, value)| variable(name, value)),
    );
    env.push(EnvVar {
        name: DOCUMENT.to_owned(),
        value: Some(document),
        value_from: None,
    });
    Container {
        name: PROXY.to_owned(),
        image: Some(settings.images.proxy.clone()),
        image_pull_policy: settings.images.pull_policy.map(pull_policy),
        command: Some(words(&[PROXY, "run"])),
        env: Some(env),
        ports: Some(vec![ContainerPort {
            container_port: TELEMETRY.into(),
            name: Some(TELEMETRY_PORT.to_owned()),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        lifecycle: Some(lifecycle(kind)),
        readiness_probe: Some(ready(2, 3)),
        startup_probe: native.then(|| ready(1, START_SECONDS)),
        restart_policy: native.then(|| "Always".to_owned()),
        resources: Some(resources(&settings.proxy.resources)),
        security_context: Some(SecurityContext {
            capabilities: Some(Capabilities {
                add: None,
                drop: Some(vec!["ALL".to_owned()]),
            }),
            run_as_group: Some(PROXY_UID),
            run_as_non_root: Some(true),
            run_as_user: Some(PROXY_UID),
            ..confined()
        }),
        volume_mounts: Some(vec![VolumeMount {
            mount_path: TOKEN.rsplit_once('/').map_or(TOKEN, |(folder, _)| folder).to_owned(),
            name: TOKEN_VOLUME.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

/// The token, of our own audience: a pod that mounts none of Kubernetes' own has this one all the same.
pub(super) fn token(settings: &Settings) -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: Some(settings.control_plane.audience.clone()),
        expiration_seconds: Some(TOKEN_SECONDS),
        path: "token".to_owned(),
    };
    Volume {
        name: TOKEN_VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(0o644),
            sources: Some(vec![VolumeProjection {
                service_account_token: Some(token),
                ..VolumeProjection::default()
            }]),
        }),
        ..Volume::default()
    }
}

/// A kubelet runs a sidecar's `preStop` when the pod begins to end, as it does those of all others (KEP-753), and sends
/// SIGTERM when all others have ended. A drain that ends by itself would take the proxy away under the application.
fn lifecycle(kind: Kind) -> Lifecycle {
    let run = |command: &[&str]| {
        Some(LifecycleHandler {
            exec: Some(ExecAction {
                command: Some(words(command)),
            }),
            ..LifecycleHandler::default()
        })
    };
    match kind {
        Kind::NativeSidecar => Lifecycle {
            post_start: None,
            pre_stop: run(&[PROXY, "drain", "--until-terminated"]),
        },
        Kind::Ordinary => Lifecycle {
            post_start: run(&[PROXY, "await", "--timeout", &format!("{START_SECONDS}s")]),
            pre_stop: run(&[PROXY, "drain", "--timeout", "24h"]),
        },
    }
}

fn ready(period: i32, failures: i32) -> Probe {
    Probe {
        failure_threshold: Some(failures),
        http_get: Some(HTTPGetAction {
            path: Some("/ready".to_owned()),
            port: IntOrString::Int(TELEMETRY.into()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        success_threshold: Some(1),
        timeout_seconds: Some(1),
        ..Probe::default()
    }
}

/// What holds for both containers.
fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..SecurityContext::default()
    }
}

/// What differs from the defaults of `evenkeel-init`.
fn flags(redirection: &Redirection) -> Vec<String> {
    let backend = match redirection.backend {
        Backend::Auto => None,
        Backend::Nft => Some("--backend=nft".to_owned()),
        Backend::Legacy => Some("--backend=legacy".to_owned()),
    };
    let lists = [
        ("--include-inbound-ports", &redirection.include_inbound_ports),
        ("--exclude-inbound-ports", &redirection.exclude_inbound_ports),
        ("--include-outbound-ports", &redirection.include_outbound_ports),
        ("--exclude-outbound-ports", &redirection.exclude_outbound_ports),
        ("--include-outbound-cidrs", &redirection.include_outbound_cidrs),
        ("--exclude-outbound-cidrs", &redirection.exclude_outbound_cidrs),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let lists = lists.map(|(flag, list)| format!("{flag}={}", list.join(",")));
    backend.into_iter().chain(lists).collect()
}

fn resources(resources: &Resources) -> ResourceRequirements {
    ResourceRequirements {
        claims: None,
        limits: (!resources.limits.is_empty()).then(|| resources.limits.clone()),
        requests: (!resources.requests.is_empty()).then(|| resources.requests.clone()),
    }
}

fn pull_policy(policy: PullPolicy) -> String {
    let word = match policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    };
    word.to_owned()
}

fn field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: path.to_owned(),
            }),
            ..EnvVarSource::default()
        }),
    }
}

/// A value means what it says: Kubernetes puts nothing in.
fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.replace('$', "$$")),
        value_from: None,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What an earlier injection wrote into the proxy's container of the application's probes.
pub(super) fn known_health(container: &Container) -> Vec<document::AppHealth> {
    let document = container
        .env
        .iter()
        .flatten()
        .find(|variable| variable.name == DOCUMENT);
    let text = document.and_then(|variable| variable.value.as_deref());
    text.map(document::app_health).unwrap_or_default()
}
