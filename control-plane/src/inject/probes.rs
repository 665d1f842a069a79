//! A kubelet's probes of the application: asked of the proxy, which asks the application itself. Redirected, they would
//! find the proxy alive whatever the application does.

use super::document::{self, AppHealth, Check, Header, Scheme};
use super::ports::TELEMETRY;
use evenkeel_control_api::fault::Fault;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Map, Value, json};

/// What the proxy's pages of probes begin with.
const PREFIX: &str = "/app-health/";
/// What a probe may ask.
const HANDLERS: [&str; 3] = ["httpGet", "tcpSocket", "grpc"];

/// What the rewriting of a pod's probes comes to.
#[derive(Debug, Default)]
pub(super) struct Rewriting {
    /// What the proxy is to ask of the application.
    pub(super) health: Vec<AppHealth>,
    /// Probes that are left as they are, and why.
    pub(super) warnings: Vec<String>,
    /// Probes that cannot be.
    pub(super) faults: Vec<Fault>,
    /// What an earlier injection of this pod wrote down.
    pub(super) known: Vec<AppHealth>,
}

/// What becomes of a probe.
enum Verdict {
    /// The kubelet asks the proxy at this path, the proxy asks this.
    Rewritten(Check),
    /// It is rewritten already.
    Ours,
    /// It does not go to the application's port, or to none that can be told.
    Left(Option<String>),
}

impl Rewriting {
    /// Rewrites the probes of one container: `value` is the same as `container`, with whatever our types do not know.
    pub(super) fn container(&mut self, container: &Container, value: &mut Value) {
        let probes = [
            ("livenessProbe", "liveness", &container.liveness_probe),
            ("readinessProbe", "readiness", &container.readiness_probe),
            ("startupProbe", "startup", &container.startup_probe),
        ];
        for (key, kind, probe) in probes {
            let Some(probe) = probe else { continue };
            let path = format!("{PREFIX}{}/{kind}", container.name);
            let place = format!("{key} of the container {}", container.name);
            match verdict(probe, container, &path) {
                Verdict::Rewritten(check) => {
                    let seconds = probe.timeout_seconds.filter(|seconds| *seconds > 0).unwrap_or(1);
                    let timeout = format!("{seconds}s");
                    let health = AppHealth { path, check, timeout };
                    // By way of the proxy's port such a probe arrives as any request does.
                    if let Err(reason) = document::can_ask(&health) {
                        self.warnings
                            .push(format!("{place} is left as it is: the proxy cannot ask it: {reason}"));
                        continue;
                    }
                    if let Some(Value::Object(probe)) = value.get_mut(key) {
                        redirect(probe, &health.path);
                    }
                    self.health.push(health);
                }
                Verdict::Ours => match self.known.iter().find(|known| known.path == path) {
                    Some(known) => self.health.push(known.clone()),
                    None => self.faults.push(Fault {
                        position: None,
                        path: place,
                        reason: format!("{PREFIX} is the proxy's own, and nothing says what was probed before"),
                    }),
                },
                Verdict::Left(Some(reason)) => self.warnings.push(format!("{place} is left as it is: {reason}")),
                Verdict::Left(None) => {}
            }
        }
    }

    /// Says of a container that is started before the proxy that its probes stay.
    pub(super) fn leave(&mut self, container: &Container) {
        let probes = [
            &container.liveness_probe,
            &container.readiness_probe,
            &container.startup_probe,
        ];
        let asks = |probe: &Probe| probe.http_get.is_some() || probe.tcp_socket.is_some() || probe.grpc.is_some();
        if probes.into_iter().flatten().any(asks) {
            self.warnings.push(format!(
                "the probes of the container {} are left as they are: it is started before the proxy",
                container.name
            ));
        }
    }
}

fn verdict(probe: &Probe, container: &Container, path: &str) -> Verdict {
    if let Some(get) = &probe.http_get {
        return http(get, container, path);
    }
    if let Some(socket) = &probe.tcp_socket {
        if let Some(host) = socket.host.as_deref().filter(|host| !host.is_empty()) {
            return elsewhere(host);
        }
        return match port(&socket.port, container) {
            Ok(port) => Verdict::Rewritten(Check::Tcp { port }),
            Err(reason) => Verdict::Left(Some(reason)),
        };
    }
    let Some(grpc) = &probe.grpc else {
        return Verdict::Left(None);
    };
    match u16::try_from(grpc.port) {
        Ok(port) if port > 0 => Verdict::Rewritten(Check::Grpc {
            port,
            service: grpc.service.clone().filter(|service| !service.is_empty()),
        }),
        _ => Verdict::Left(Some(format!("{} is not a port", grpc.port))),
    }
}

fn http(get: &HTTPGetAction, container: &Container, path: &str) -> Verdict {
    if let Some(host) = get.host.as_deref().filter(|host| !host.is_empty()) {
        return elsewhere(host);
    }
    let port = match port(&get.port, container) {
        Ok(TELEMETRY) if get.path.as_deref() == Some(path) => return Verdict::Ours,
        // Whoever asks the proxy's own pages means them.
        Ok(TELEMETRY) => return Verdict::Left(None),
        Ok(port) => port,
        Err(reason) => return Verdict::Left(Some(reason)),
    };
    let mut host = None;
    let mut headers = Vec::new();
    for header in get.http_headers.iter().flatten() {
        if header.name.eq_ignore_ascii_case("host") {
            host = Some(header.value.clone());
        } else {
            headers.push(Header {
                name: header.name.clone(),
                value: header.value.clone(),
            });
        }
    }
    let path = get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    Verdict::Rewritten(Check::Http {
        port,
        // As the kubelet does.
        path: if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        },
        scheme: match get.scheme.as_deref() {
            Some("HTTPS") => Scheme::Https,
            _ => Scheme::Http,
        },
        host,
        headers,
    })
}

fn elsewhere(host: &str) -> Verdict {
    Verdict::Left(Some(format!("it goes to {host}, not to the pod")))
}

/// The number of a port, which may have a name in its container.
fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let named = |port: &&k8s_openapi::api::core::v1::ContainerPort| port.name.as_deref() == Some(name);
            match container.ports.iter().flatten().find(named) {
                Some(port) => port.container_port,
                None => return Err(format!("the container has no port {name:?}")),
            }
        }
    };
    match u16::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{number} is not a port")),
    }
}

/// Lets a probe ask the proxy; its times and thresholds stay.
fn redirect(probe: &mut Map<String, Value>, path: &str) {
    for handler in HANDLERS {
        probe.remove(handler);
    }
    let get = json!({"path": path, "port": TELEMETRY, "scheme": "HTTP"});
    probe.insert("httpGet".to_owned(), get);
}
