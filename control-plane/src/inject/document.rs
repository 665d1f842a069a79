//! The mesh document that a proxy in a pod is started with.

use super::settings::{AccessLog, Settings, StartupThen, Workers};
use evenkeel_control_api::fault::Faults;
use evenkeel_control_api::mesh;
use evenkeel_control_api::mesh::scalar::write_duration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Where the pod's token is, in the proxy's container.
pub(super) const TOKEN: &str = "/var/run/secrets/evenkeel/token";
/// Who the proxy is, and where. Kubernetes puts the names in.
const NODE: &str = "$(POD_NAME).$(POD_NAMESPACE)";
const NAMESPACE: &str = "$(POD_NAMESPACE)";
const ZONE: &str = "$(POD_ZONE)";
/// As in the mesh document: no shorter drain of an ordinary container, unless its deadline is.
const LEAST_DRAIN: Duration = Duration::from_secs(5);

/// What a kubelet's probe asked of the application, and where the kubelet finds it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AppHealth {
    pub(super) path: String,
    #[serde(flatten)]
    pub(super) check: Check,
    pub(super) timeout: String,
}

/// How the application is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Check {
    /// By a request; 200 to 399 is well.
    Http {
        port: u16,
        path: String,
        scheme: Scheme,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<Header>,
    },
    /// By a connection.
    Tcp { port: u16 },
    /// By gRPC's health service.
    Grpc {
        port: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

/// How long the proxy goes on when the pod ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drain {
    /// It ends after the application, which is told by SIGTERM: nothing is left to be waited for.
    pub(super) outlives_application: bool,
    /// At most.
    pub(super) deadline: Duration,
}

#[derive(Serialize)]
struct Document<'a> {
    control_plane: ControlPlane<'a>,
    limits: Limits,
    proxy: Process<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracing: Option<Map<String, Value>>,
}

#[derive(Serialize)]
struct ControlPlane<'a> {
    servers: [&'a str; 1],
    ca: &'a str,
    token: &'static str,
    startup: Startup,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_demand: Option<OnDemand<'a>>,
}

#[derive(Serialize)]
struct Startup {
    wait: String,
    then: &'static str,
}

#[derive(Serialize)]
struct OnDemand<'a> {
    cidrs: &'a [String],
}

#[derive(Serialize)]
struct Limits {
    drain: DrainTimes,
}

#[derive(Serialize)]
struct DrainTimes {
    least: String,
    deadline: String,
}

#[derive(Serialize)]
struct Process<'a> {
    workers: Value,
    access_log: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    app_health: &'a [AppHealth],
}

/// The text, as the value of a container's variable: names of the pod are put in by Kubernetes.
pub(super) fn text(
    settings: &Settings,
    ca: &str,
    drain: Drain,
    workload: Option<&str>,
    app_health: &[AppHealth],
) -> String {
    let control_plane = &settings.control_plane;
    let ranges = settings.on_demand.as_slice();
    let least = if drain.outlives_application {
        Duration::ZERO
    } else {
        LEAST_DRAIN.min(drain.deadline)
    };
    let document = Document {
        control_plane: ControlPlane {
            servers: [&control_plane.address],
            ca,
            token: TOKEN,
            startup: Startup {
                wait: write_duration(control_plane.startup_wait),
                then: match control_plane.startup_then {
                    StartupThen::Passthrough => "passthrough",
                    StartupThen::NotReady => "not_ready",
                },
            },
            on_demand: (!ranges.is_empty()).then_some(OnDemand { cidrs: ranges }),
        },
        limits: Limits {
            drain: DrainTimes {
                least: write_duration(least),
                deadline: write_duration(drain.deadline),
            },
        },
        proxy: Process {
            workers: match settings.proxy.workers {
                Workers::Count(count) => count.get().into(),
                Workers::CpuLimit => "cpu-limit".into(),
            },
            access_log: access_log(settings, workload),
            metrics: settings.telemetry.metrics_of(workload),
            app_health,
        },
        tracing: settings.telemetry.tracing_of(workload),
    };
    let mut document = escaped(serde_json::to_value(&document).expect("keys are texts, and numbers are finite"));
    document["control_plane"]["node"]["id"] = NODE.into();
    if settings.telemetry.metrics.is_some() {
        document["proxy"]["metrics"]["namespace"] = NAMESPACE.into();
        document["proxy"]["metrics"]["zone"] = ZONE.into();
    }
    let text = super::yaml::write(&document);
    // In quotes: the pod 1 of the namespace 5 is no number, nor is the zone 1. No other `$` stands alone.
    let quoted = |text: String, name: &str| text.replace(&format!(" {name}"), &format!(" \"{name}\""));
    [NODE, NAMESPACE, ZONE].into_iter().fold(text, quoted)
}

/// What Kubernetes reads as this: it takes `$$` for `$`, and puts a variable in for `$(NAME)`.
fn escaped(value: Value) -> Value {
    let text = |text: String| text.replace('$', "$$");
    match value {
        Value::String(string) => text(string).into(),
        Value::Array(values) => values.into_iter().map(escaped).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (text(key), escaped(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// The word, or the keys where lines go to a collector, too.
fn access_log(settings: &Settings, workload: Option<&str>) -> Value {
    let format = match settings.proxy.access_log {
        AccessLog::Off => return "off".into(),
        AccessLog::Text => "text",
        AccessLog::Json => "json",
    };
    match settings.telemetry.records_of(workload) {
        Some(otlp) => json!({"format": format, "otlp": otlp}),
        None => format.into(),
    }
}

/// Whether a proxy takes the document.
pub(super) fn check(text: &str) -> Result<(), Faults> {
    mesh::parse(text).map(drop)
}

/// Whether a proxy can ask this. `Err`: why not.
pub(super) fn can_ask(health: &AppHealth) -> Result<(), String> {
    let document = super::yaml::write(&json!({"proxy": {"app_health": [health]}}));
    check(&document).map_err(|faults| {
        let reasons: Vec<String> = faults.0.into_iter().map(|fault| fault.reason).collect();
        reasons.join(", ")
    })
}

/// What an earlier injection wrote down of the application's probes.
pub(super) fn app_health(text: &str) -> Vec<AppHealth> {
    #[derive(Deserialize, Default)]
    struct Document {
        #[serde(default)]
        proxy: Process,
    }
    #[derive(Deserialize, Default)]
    struct Process {
        #[serde(default)]
        app_health: Vec<AppHealth>,
    }
    // A text that somebody changed is no news of ours: its probes are refused as unknown.
    let document: Document = super::yaml::read(&text.replace("$$", "$")).unwrap_or_default();
    document.proxy.app_health
}
