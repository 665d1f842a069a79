//! The proxy's ports and user, which an application cannot have.

use super::{containers, labels};
use evenkeel_control_api::fault::Fault;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

/// Who the proxy runs as; `evenkeel-init` leaves that user's connections alone.
pub const PROXY_UID: i64 = 1337;
/// Where `/metrics`, `/ready` and the kubelet's probes are answered.
pub const TELEMETRY: u16 = 15_020;
/// Never redirected, never dialled.
const OWN_PORTS: [i32; 4] = [15_000, 15_001, 15_006, 15_020];

/// What of the pod cannot be beside a proxy.
pub(super) fn collisions(pod: &Pod, spec: &PodSpec) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut refuse = |path: String, reason: String| {
        faults.push(Fault {
            position: None,
            path,
            reason,
        });
    };
    let injected = is_injected(pod);
    let lists = [
        ("initContainers", spec.init_containers.as_deref().unwrap_or_default()),
        ("containers", spec.containers.as_slice()),
    ];
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            let path = format!("spec.{list}[{index}]");
            if containers::NAMES.contains(&container.name.as_str()) {
                if !injected {
                    let reason = format!("{} is a name of the injector's", container.name);
                    refuse(format!("{path}.name"), reason);
                }
                continue;
            }
            for (path, reason) in of_container(container) {
                refuse(format!("spec.{list}[{index}].{path}"), reason);
            }
        }
    }
    let volumes = spec.volumes.iter().flatten().enumerate();
    for (index, volume) in volumes.filter(|(_, volume)| volume.name == containers::TOKEN_VOLUME) {
        if !injected {
            let reason = format!("{} is a name of the injector's", volume.name);
            refuse(format!("spec.volumes[{index}].name"), reason);
        }
    }
    let user = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    if user == Some(PROXY_UID) {
        refuse("spec.securityContext.runAsUser".to_owned(), user_is_taken());
    }
    faults
}

/// Whether an earlier injection says that it was here.
pub(super) fn is_injected(pod: &Pod) -> bool {
    let labels = pod.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.get(labels::INJECTED).is_some_and(|value| value == "true"))
}

fn of_container(container: &Container) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let tcp = port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
        if tcp && OWN_PORTS.contains(&port.container_port) {
            let reason = format!("{} is a port of the proxy", port.container_port);
            found.push((format!("ports[{index}].containerPort"), reason));
        }
    }
    let user = container
        .security_context
        .as_ref()
        .and_then(|context| context.run_as_user);
    if user == Some(PROXY_UID) {
        found.push(("securityContext.runAsUser".to_owned(), user_is_taken()));
    }
    found
}

fn user_is_taken() -> String {
    format!("{PROXY_UID} is the proxy's user: what runs as it goes round the proxy")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use evenkeel_init::options::{Cli, Command};

    #[test]
    fn the_ports_and_the_user_are_those_of_evenkeel_init() {
        let Command::Print { plan } = Cli::parse_from(["evenkeel-init", "print"]).command else {
            panic!("it prints")
        };
        let plan = plan.check().unwrap();
        for port in 1..=u16::MAX {
            assert_eq!(
                plan.own_ports.contains(port),
                OWN_PORTS.contains(&port.into()),
                "{port}"
            );
        }
        assert_eq!(Vec::from_iter(plan.exempt_uids), [PROXY_UID as u32]);
    }
}
