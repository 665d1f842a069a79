//! What an API server refuses of a probe.

use super::Faults;
use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// A container's probes by their keys.
pub(super) fn of(container: &Container) -> [(&'static str, Option<&Probe>); 3] {
    [
        ("livenessProbe", container.liveness_probe.as_ref()),
        ("readinessProbe", container.readiness_probe.as_ref()),
        ("startupProbe", container.startup_probe.as_ref()),
    ]
}

pub(super) fn faults(container: &Container, path: &str, faults: &mut Faults) {
    for (name, probe) in of(container) {
        if let Some(probe) = probe {
            one(name, probe, &format!("{path}.{name}"), faults);
        }
    }
}

fn one(name: &str, probe: &Probe, path: &str, faults: &mut Faults) {
    let handlers = [
        probe.exec.is_some(),
        probe.http_get.is_some(),
        probe.tcp_socket.is_some(),
        probe.grpc.is_some(),
    ];
    let count = handlers.into_iter().filter(|is_there| *is_there).count();
    faults.unless(count == 1, path, "must specify exactly one handler type");
    let numbers = [
        probe.initial_delay_seconds,
        probe.timeout_seconds,
        probe.period_seconds,
        probe.success_threshold,
        probe.failure_threshold,
    ];
    let positive = numbers.into_iter().flatten().all(|number| number >= 0);
    faults.unless(positive, path, "must be greater than or equal to 0");
    if name == "readinessProbe" {
        let none = probe.termination_grace_period_seconds.is_none();
        let reason = "must not set terminationGracePeriodSeconds for readiness probes";
        faults.unless(none, path, reason);
    } else {
        let once = probe.success_threshold.is_none_or(|threshold| threshold <= 1);
        faults.unless(once, &format!("{path}.successThreshold"), "must be 1");
    }
    if let Some(get) = &probe.http_get {
        port(&get.port, path, faults);
        let scheme = get.scheme.as_deref().unwrap_or("HTTP");
        faults.unless(
            ["HTTP", "HTTPS"].contains(&scheme),
            &format!("{path}.scheme"),
            "Unsupported value",
        );
    }
    if let Some(socket) = &probe.tcp_socket {
        port(&socket.port, path, faults);
    }
    if let Some(grpc) = &probe.grpc {
        faults.unless((1..=65_535).contains(&grpc.port), path, "must be between 1 and 65535");
    }
}

fn port(port: &IntOrString, path: &str, faults: &mut Faults) {
    match port {
        IntOrString::Int(number) => faults.unless((1..=65_535).contains(number), path, "must be between 1 and 65535"),
        IntOrString::String(name) => faults.unless(super::fields::port_name(name), path, "Invalid port name"),
    }
}
