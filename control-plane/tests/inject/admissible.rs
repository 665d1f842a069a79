//! What an API server refuses of a pod (`pkg/apis/core/validation`), as far as an injector could bring it about.

mod fields;
mod probe;

use fields::{dns_label, quantity, variable};
use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod, PodSpec, ResourceRequirements, Volume};
use std::collections::BTreeSet;

/// Each fault with its path; none where the pod is taken.
pub(crate) fn faults(pod: &Pod) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    let Some(spec) = &pod.spec else {
        return vec!["spec: Required value".to_owned()];
    };
    metadata(pod, &mut faults);
    let volumes = volumes(spec, &mut faults);
    if spec.containers.is_empty() {
        faults.add("spec.containers", "Required value");
    }
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let mut names = BTreeSet::new();
    for (list, containers) in [("initContainers", init), ("containers", &spec.containers)] {
        for (index, container) in containers.iter().enumerate() {
            let path = format!("spec.{list}[{index}]");
            if !names.insert(container.name.as_str()) {
                faults.add(&format!("{path}.name"), "Duplicate value");
            }
            let role = match (list, container.restart_policy.as_deref()) {
                ("containers", _) => Role::Container,
                (_, Some("Always")) => Role::Sidecar,
                _ => Role::Init,
            };
            container_faults(container, &path, role, &volumes, &mut faults);
        }
    }
    pod_level(spec, &mut faults);
    faults.0
}

/// What a container is to its pod.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Init,
    Sidecar,
    Container,
}

pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(crate) fn add(&mut self, path: &str, reason: &str) {
        self.0.push(format!("{path}: {reason}"));
    }

    pub(crate) fn unless(&mut self, holds: bool, path: &str, reason: &str) {
        if !holds {
            self.add(path, reason);
        }
    }
}

fn metadata(pod: &Pod, faults: &mut Faults) {
    for (key, value) in pod.metadata.labels.iter().flatten() {
        let plain = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        faults.unless(
            fields::qualified(key),
            &format!("metadata.labels[{key}]"),
            "Invalid key",
        );
        faults.unless(
            value.len() <= 63 && plain(value),
            &format!("metadata.labels[{key}]"),
            "Invalid value",
        );
    }
    let mut size = 0;
    for (key, value) in pod.metadata.annotations.iter().flatten() {
        size += key.len() + value.len();
        faults.unless(
            fields::qualified(key),
            &format!("metadata.annotations[{key}]"),
            "Invalid key",
        );
    }
    faults.unless(size <= 256 << 10, "metadata.annotations", "Too long");
}

fn volumes<'a>(spec: &'a PodSpec, faults: &mut Faults) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let path = format!("spec.volumes[{index}]");
        faults.unless(dns_label(&volume.name), &format!("{path}.name"), "Invalid value");
        faults.unless(
            names.insert(volume.name.as_str()),
            &format!("{path}.name"),
            "Duplicate value",
        );
        faults.unless(sources(volume) == 1, &path, "must specify exactly one volume type");
        for source in volume
            .projected
            .iter()
            .flat_map(|projected| projected.sources.iter().flatten())
        {
            let Some(token) = &source.service_account_token else {
                continue;
            };
            let seconds = token.expiration_seconds.unwrap_or(3_600);
            faults.unless(
                (600..=1 << 32).contains(&seconds),
                &path,
                "may not specify a duration less than 10 minutes",
            );
            let relative = !token.path.is_empty() && !token.path.starts_with('/') && !token.path.contains("..");
            faults.unless(relative, &path, "must be a relative path");
        }
    }
    names
}

fn sources(volume: &Volume) -> usize {
    let value = serde_json::to_value(volume).unwrap();
    value.as_object().unwrap().len() - 1
}

fn container_faults(container: &Container, path: &str, role: Role, volumes: &BTreeSet<&str>, faults: &mut Faults) {
    faults.unless(dns_label(&container.name), &format!("{path}.name"), "Invalid value");
    let image = container.image.as_deref().unwrap_or_default();
    faults.unless(
        !image.is_empty() && image.trim() == image,
        &format!("{path}.image"),
        "Required value",
    );
    let policy = container.image_pull_policy.as_deref().unwrap_or("Always");
    let policies = ["Always", "IfNotPresent", "Never"];
    faults.unless(
        policies.contains(&policy),
        &format!("{path}.imagePullPolicy"),
        "Unsupported value",
    );
    if role == Role::Container && container.restart_policy.is_some() {
        faults.add(
            &format!("{path}.restartPolicy"),
            "may not be set for non-init containers",
        );
    }
    if role == Role::Init {
        faults.unless(
            container.lifecycle.is_none(),
            &format!("{path}.lifecycle"),
            "may not be set for init containers",
        );
        for (name, probe) in probe::of(container) {
            faults.unless(
                probe.is_none(),
                &format!("{path}.{name}"),
                "may not be set for init containers",
            );
        }
    }
    probe::faults(container, path, faults);
    ports(container.ports.as_deref().unwrap_or_default(), path, faults);
    env(container, path, faults);
    let mut mounted = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        faults.unless(
            volumes.contains(mount.name.as_str()),
            &format!("{path}.name"),
            "Not found",
        );
        let unique = mounted.insert(mount.mount_path.as_str());
        faults.unless(unique, &format!("{path}.mountPath"), "Invalid value: must be unique");
        faults.unless(
            !mount.mount_path.is_empty(),
            &format!("{path}.mountPath"),
            "Required value",
        );
    }
    if let Some(resources) = &container.resources {
        resource_faults(resources, &format!("{path}.resources"), faults);
    }
    security(container, &format!("{path}.securityContext"), faults);
}

fn ports(ports: &[ContainerPort], path: &str, faults: &mut Faults) {
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let in_range = |number: i32| (1..=65_535).contains(&number);
        faults.unless(
            in_range(port.container_port),
            &format!("{path}.containerPort"),
            "must be between 1 and 65535",
        );
        faults.unless(
            port.host_port.is_none_or(in_range),
            &format!("{path}.hostPort"),
            "must be between 1 and 65535",
        );
        if let Some(name) = &port.name {
            faults.unless(fields::port_name(name), &format!("{path}.name"), "Invalid value");
            faults.unless(names.insert(name), &format!("{path}.name"), "Duplicate value");
        }
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        faults.unless(
            ["TCP", "UDP", "SCTP"].contains(&protocol),
            &format!("{path}.protocol"),
            "Unsupported value",
        );
    }
}

fn env(container: &Container, path: &str, faults: &mut Faults) {
    for (index, entry) in container.env.iter().flatten().enumerate() {
        let path = format!("{path}.env[{index}]");
        faults.unless(variable(&entry.name), &format!("{path}.name"), "Invalid value");
        let Some(from) = &entry.value_from else { continue };
        faults.unless(
            entry.value.is_none(),
            &path,
            "may not be specified when `value` is not empty",
        );
        let sources = serde_json::to_value(from).unwrap().as_object().unwrap().len();
        faults.unless(sources == 1, &path, "must specify one source");
    }
}

fn resource_faults(resources: &ResourceRequirements, path: &str, faults: &mut Faults) {
    for (kind, amounts) in [("limits", &resources.limits), ("requests", &resources.requests)] {
        for (name, amount) in amounts.iter().flatten() {
            faults.unless(
                quantity(&amount.0).is_some(),
                &format!("{path}.{kind}[{name}]"),
                "not a quantity",
            );
        }
    }
    for (name, request) in resources.requests.iter().flatten() {
        let limit = resources.limits.as_ref().and_then(|limits| limits.get(name));
        let fits = limit.is_none_or(|limit| quantity(&request.0) <= quantity(&limit.0));
        faults.unless(
            fits,
            &format!("{path}.requests[{name}]"),
            "must be less than or equal to limit",
        );
    }
}

fn security(container: &Container, path: &str, faults: &mut Faults) {
    let Some(context) = &container.security_context else {
        return;
    };
    if context.allow_privilege_escalation == Some(false) {
        let added = context
            .capabilities
            .as_ref()
            .and_then(|capabilities| capabilities.add.as_ref());
        let admin = added.is_some_and(|added| added.iter().any(|name| name == "SYS_ADMIN" || name == "CAP_SYS_ADMIN"));
        let reason = "cannot set `allowPrivilegeEscalation` to false and add SYS_ADMIN or be privileged";
        faults.unless(context.privileged != Some(true) && !admin, path, reason);
    }
    for id in [context.run_as_user, context.run_as_group].into_iter().flatten() {
        faults.unless(
            (0..=i64::from(i32::MAX)).contains(&id),
            path,
            "must be between 0 and 2147483647",
        );
    }
    let as_root = context.run_as_non_root == Some(true) && context.run_as_user == Some(0);
    // The kubelet refuses this one.
    faults.unless(!as_root, path, "runAsNonRoot with runAsUser 0");
    if let Some(profile) = &context.seccomp_profile {
        let local = profile.type_ == "Localhost";
        faults.unless(
            local == profile.localhost_profile.is_some(),
            path,
            "localhostProfile goes with Localhost only",
        );
    }
}

fn pod_level(spec: &PodSpec, faults: &mut Faults) {
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    faults.unless(
        ["Always", "OnFailure", "Never"].contains(&policy),
        "spec.restartPolicy",
        "Unsupported value",
    );
    let grace = spec.termination_grace_period_seconds.unwrap_or(30);
    faults.unless(
        grace >= 0,
        "spec.terminationGracePeriodSeconds",
        "must be greater than or equal to 0",
    );
    if spec.host_network == Some(true) {
        for port in spec
            .containers
            .iter()
            .flat_map(|container| container.ports.iter().flatten())
        {
            let same = port.host_port.is_none_or(|host| host == port.container_port);
            faults.unless(
                same,
                "spec.containers.ports",
                "hostPort must equal containerPort with hostNetwork",
            );
        }
    }
    for secret in spec.image_pull_secrets.iter().flatten() {
        faults.unless(!secret.name.is_empty(), "spec.imagePullSecrets", "Required value");
    }
}

/// The checker finds what it is there for.
#[test]
fn what_an_api_server_refuses_is_found() {
    let check = |spec: serde_json::Value| faults(&serde_json::from_value(serde_json::json!({"spec": spec})).unwrap());
    let one = |container: serde_json::Value| {
        let mut whole = serde_json::json!({"name": "a", "image": "a"});
        whole
            .as_object_mut()
            .unwrap()
            .extend(container.as_object().unwrap().clone());
        check(serde_json::json!({"containers": [whole]}))
    };
    assert_eq!(one(serde_json::json!({})), Vec::<String>::new());
    for bad in [
        serde_json::json!({"name": "A"}),
        serde_json::json!({"name": "a.b"}),
        serde_json::json!({"image": ""}),
        serde_json::json!({"restartPolicy": "Always"}),
        serde_json::json!({"ports": [{"containerPort": 0}]}),
        serde_json::json!({"ports": [{"containerPort": 1, "name": "sixteen-letters-"}]}),
        serde_json::json!({"ports": [{"containerPort": 1, "name": "8080"}]}),
        serde_json::json!({"ports": [{"containerPort": 1, "name": "x"}, {"containerPort": 2, "name": "x"}]}),
        serde_json::json!({"env": [{"name": "a=b"}]}),
        serde_json::json!({"volumeMounts": [{"name": "missing", "mountPath": "/x"}]}),
        serde_json::json!({"livenessProbe": {}}),
        serde_json::json!({"livenessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}}),
        serde_json::json!({"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}}),
        serde_json::json!({"startupProbe": {"tcpSocket": {"port": 0}}}),
        serde_json::json!({"readinessProbe": {"httpGet": {"port": 1, "path": "/"}, "periodSeconds": -1}}),
        serde_json::json!({"readinessProbe": {"httpGet": {"port": 1}, "terminationGracePeriodSeconds": 1}}),
        serde_json::json!({"readinessProbe": {"httpGet": {"port": 1, "scheme": "http"}}}),
        serde_json::json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}),
        serde_json::json!({"resources": {"requests": {"cpu": "much"}}}),
        serde_json::json!({"securityContext": {"privileged": true, "allowPrivilegeEscalation": false}}),
        serde_json::json!({"securityContext": {"runAsNonRoot": true, "runAsUser": 0}}),
        serde_json::json!({"securityContext": {"seccompProfile": {"type": "Localhost"}}}),
    ] {
        assert_eq!(one(bad.clone()).len(), 1, "{bad}: {:?}", one(bad.clone()));
    }
    let a = serde_json::json!({"name": "a", "image": "a"});
    assert_eq!(check(serde_json::json!({"containers": [a, a]})).len(), 1);
    assert_eq!(
        check(serde_json::json!({"containers": [a], "terminationGracePeriodSeconds": -1})).len(),
        1
    );
    let empty = serde_json::json!({"name": "v", "emptyDir": {}});
    assert_eq!(
        check(serde_json::json!({"containers": [a], "volumes": [empty, empty]})).len(),
        1
    );
    assert_eq!(
        check(serde_json::json!({"containers": [a], "volumes": [{"name": "v"}]})).len(),
        1
    );
    let init =
        serde_json::json!({"name": "i", "image": "a", "lifecycle": {}, "readinessProbe": {"exec": {"command": ["a"]}}});
    assert_eq!(
        check(serde_json::json!({"containers": [a], "initContainers": [init]})).len(),
        2
    );
}
