//! A settings file to [`Settings`]: to add a key, read it here, and say it in `docs/kubernetes.md`.

use super::{
    AccessLog, Backend, ControlPlane, Images, NativeSidecar, Proxy, PullPolicy, Redirection, Resources, Settings,
    StartupThen, Workers,
};
use crate::inject::place::{self, FaultList, Fields, Place};
use crate::inject::telemetry::Telemetry;
use crate::inject::{name, scalar};
use crate::log;
use evenkeel_control_api::resource::listener::Prefix;
use evenkeel_init::cidr::Cidr;
use evenkeel_init::ports::PortRange;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

/// More workers than any machine has cores; as in the mesh document.
const MOST_WORKERS: u16 = 1_024;
/// As in the mesh document.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Whoever gives an application longer has mistyped.
const LONGEST_GRACE: Duration = Duration::from_hours(24);

/// The words of `accessLog`.
pub(in crate::inject) const ACCESS_LOGS: [(&str, AccessLog); 3] = [
    ("off", AccessLog::Off),
    ("text", AccessLog::Text),
    ("json", AccessLog::Json),
];
const PULL_POLICIES: [(&str, PullPolicy); 3] = [
    ("Always", PullPolicy::Always),
    ("IfNotPresent", PullPolicy::IfNotPresent),
    ("Never", PullPolicy::Never),
];
const THENS: [(&str, StartupThen); 2] = [
    ("passthrough", StartupThen::Passthrough),
    ("not_ready", StartupThen::NotReady),
];
const NATIVE_SIDECARS: [(&str, NativeSidecar); 3] = [
    ("auto", NativeSidecar::Auto),
    ("always", NativeSidecar::Always),
    ("never", NativeSidecar::Never),
];
const BACKENDS: [(&str, Backend); 3] = [
    ("auto", Backend::Auto),
    ("nft", Backend::Nft),
    ("legacy", Backend::Legacy),
];

/// The settings. They are right only when no fault was added.
pub(super) fn settings(value: &Value, faults: &FaultList) -> Settings {
    let root = Place::root(value, faults);
    let fields = root.fields(&[
        "images",
        "controlPlane",
        "proxy",
        "nativeSidecar",
        "redirection",
        "onDemand",
        "telemetry",
        "excludedNamespaces",
    ]);
    let base = Settings::default();
    let settings = Settings {
        images: section(&fields, "images", base.images, images),
        control_plane: section(&fields, "controlPlane", base.control_plane, control_plane),
        proxy: section(&fields, "proxy", base.proxy, proxy),
        native_sidecar: fields
            .optional("nativeSidecar")
            .and_then(|place| place.word(&NATIVE_SIDECARS))
            .unwrap_or(base.native_sidecar),
        redirection: section(&fields, "redirection", base.redirection, |place, _| redirection(place)),
        on_demand: section(&fields, "onDemand", base.on_demand, on_demand),
        telemetry: section(&fields, "telemetry", base.telemetry, |place, _| {
            Telemetry::read(place, faults)
        }),
        excluded_namespaces: fields
            .optional("excludedNamespaces")
            .map_or(base.excluded_namespaces, |place| {
                list(&place, name::label).into_iter().collect()
            }),
    };
    if let Some(place) = fields.optional("telemetry")
        && settings.telemetry.access_log.is_some()
        && settings.proxy.access_log == AccessLog::Off
    {
        place.refuse("accessLog needs proxy.accessLog: text or json, whose lines it sends");
    }
    settings
}

fn section<T>(fields: &Fields<'_>, key: &str, base: T, read: impl FnOnce(&Place<'_>, T) -> T) -> T {
    match fields.optional(key) {
        Some(place) => read(&place, base),
        None => base,
    }
}

fn images(place: &Place<'_>, base: Images) -> Images {
    let fields = place.fields(&["proxy", "init", "pullPolicy", "pullSecrets"]);
    let of = |key, base| fields.optional(key).and_then(|place| place.read(image)).unwrap_or(base);
    Images {
        proxy: of("proxy", base.proxy),
        init: of("init", base.init),
        pull_policy: fields
            .optional("pullPolicy")
            .and_then(|place| place.word(&PULL_POLICIES)),
        pull_secrets: fields
            .optional("pullSecrets")
            .map(|place| list(&place, name::subdomain))
            .unwrap_or_default(),
    }
}

fn control_plane(place: &Place<'_>, base: ControlPlane) -> ControlPlane {
    let fields = place.fields(&["address", "audience", "startup"]);
    let text = |key, base: String| {
        let text = fields.optional(key).and_then(|place| place.text().map(str::to_owned));
        text.unwrap_or(base)
    };
    let (mut wait, mut then) = (base.startup_wait, base.startup_then);
    if let Some(place) = fields.optional("startup") {
        let fields = place.fields(&["wait", "then"]);
        if let Some(place) = fields.optional("wait") {
            wait = place.read(startup_wait).unwrap_or(wait);
        }
        if let Some(place) = fields.optional("then") {
            then = place.word(&THENS).unwrap_or(then);
        }
    }
    let address = fields.optional("address").and_then(|place| place.read(address));
    ControlPlane {
        address: address.unwrap_or(base.address),
        audience: text("audience", base.audience),
        startup_wait: wait,
        startup_then: then,
    }
}

fn proxy(place: &Place<'_>, base: Proxy) -> Proxy {
    let fields = place.fields(&[
        "logLevel",
        "accessLog",
        "workers",
        "resources",
        "shutdownGrace",
        "scrapeAnnotations",
        "extraEnv",
    ]);
    Proxy {
        log_level: fields
            .optional("logLevel")
            .and_then(|place| place.read(log_level))
            .unwrap_or(base.log_level),
        access_log: fields
            .optional("accessLog")
            .and_then(|place| place.word(&ACCESS_LOGS))
            .unwrap_or(base.access_log),
        workers: fields
            .optional("workers")
            .and_then(|place| place.read(workers))
            .unwrap_or(base.workers),
        resources: section(&fields, "resources", base.resources, |place, _| resources(place)),
        shutdown_grace: fields
            .optional("shutdownGrace")
            .and_then(|place| place.read(grace))
            .unwrap_or(base.shutdown_grace),
        scrape_annotations: fields
            .optional("scrapeAnnotations")
            .and_then(|place| place.truth())
            .unwrap_or(base.scrape_annotations),
        extra_env: fields.optional("extraEnv").map_or(base.extra_env, |place| env(&place)),
    }
}

/// What stands here replaces all of the defaults: half of them would be nobody's intent.
fn resources(place: &Place<'_>) -> Resources {
    let fields = place.fields(&["requests", "limits"]);
    let of = |key| {
        let amounts = fields.optional(key).map(|place| {
            let amount = |(name, place): (&str, Place<'_>)| Some((name.to_owned(), place.read(amount)?));
            place.entries().into_iter().filter_map(amount).collect()
        });
        amounts.unwrap_or_default()
    };
    let resources = Resources {
        requests: of("requests"),
        limits: of("limits"),
    };
    if let Err(reason) = fits(&resources) {
        place.refuse(reason);
    }
    resources
}

fn env(place: &Place<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for place in place.items() {
        let fields = place.fields(&["name", "value"]);
        let name = fields.required("name").and_then(|place| place.read(name::variable));
        let value = fields.required("value").and_then(|place| place.scalar());
        let (Some(name), Some(value)) = (name, value) else {
            continue;
        };
        if env.insert(name, value).is_some() {
            place.refuse("is here twice");
        }
    }
    env
}

fn redirection(place: &Place<'_>) -> Redirection {
    let fields = place.fields(&[
        "backend",
        "includeInboundPorts",
        "excludeInboundPorts",
        "includeOutboundPorts",
        "excludeOutboundPorts",
        "includeOutboundCidrs",
        "excludeOutboundCidrs",
    ]);
    let ports = |key| {
        fields
            .optional(key)
            .map(|place| list(&place, ports))
            .unwrap_or_default()
    };
    let blocks = |key| {
        fields
            .optional(key)
            .map(|place| list(&place, block))
            .unwrap_or_default()
    };
    Redirection {
        backend: fields
            .optional("backend")
            .and_then(|place| place.word(&BACKENDS))
            .unwrap_or_default(),
        include_inbound_ports: ports("includeInboundPorts"),
        exclude_inbound_ports: ports("excludeInboundPorts"),
        include_outbound_ports: ports("includeOutboundPorts"),
        exclude_outbound_ports: ports("excludeOutboundPorts"),
        include_outbound_cidrs: blocks("includeOutboundCidrs"),
        exclude_outbound_cidrs: blocks("excludeOutboundCidrs"),
    }
}

fn on_demand(place: &Place<'_>, base: Vec<String>) -> Vec<String> {
    let fields = place.fields(&["cidrs"]);
    fields.optional("cidrs").map_or(base, |place| list(&place, range))
}

fn list<T>(place: &Place<'_>, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
    let items = place.items();
    items.iter().filter_map(|place| place.read(&read)).collect()
}

fn startup_wait(text: &str) -> Result<Duration, String> {
    let wait = duration(text)?;
    if wait > LONGEST_WAIT {
        return Err(format!("{text:?} is more than 10m"));
    }
    Ok(wait)
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a whole number with ms, s, m or h, such as 30s");
    evenkeel_control_api::mesh::scalar::duration(text).ok_or_else(wrong)
}

/// How long a drain may take.
pub(in crate::inject) fn grace(text: &str) -> Result<Duration, String> {
    let grace = duration(text)?;
    if grace < Duration::from_secs(1) || grace > LONGEST_GRACE {
        return Err(format!("{text:?} is not between 1s and 24h"));
    }
    Ok(grace)
}

/// The name of an image: enough of a check to find a value in the wrong place.
pub(in crate::inject) fn image(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
    if text.is_empty() || !text.bytes().all(plain) || !text.as_bytes()[0].is_ascii_alphanumeric() {
        return Err(format!("{text:?} is not the name of an image"));
    }
    Ok(text.to_owned())
}

/// A number of workers.
pub(in crate::inject) fn workers(text: &str) -> Result<Workers, String> {
    if text == "cpu-limit" {
        return Ok(Workers::CpuLimit);
    }
    let count = text
        .parse()
        .ok()
        .filter(|count: &NonZeroU16| count.get() <= MOST_WORKERS);
    count
        .map(Workers::Count)
        .ok_or_else(|| format!("{text:?} is not a number from 1 to {MOST_WORKERS}, or cpu-limit"))
}

/// A level of the log.
pub(in crate::inject) fn log_level(text: &str) -> Result<String, String> {
    log::filter(text)?;
    Ok(text.to_owned())
}

/// An amount of a resource.
pub(in crate::inject) fn amount(text: &str) -> Result<Quantity, String> {
    match scalar::quantity(text) {
        Some(_) => Ok(Quantity(text.to_owned())),
        None => Err(format!("{text:?} is not an amount such as 100m, 0.5 or 64Mi")),
    }
}

/// Whether no request is above its limit.
pub(in crate::inject) fn fits(resources: &Resources) -> Result<(), String> {
    for (name, request) in &resources.requests {
        let Some(limit) = resources.limits.get(name) else {
            continue;
        };
        if scalar::quantity(&request.0) > scalar::quantity(&limit.0) {
            return Err(format!(
                "the request of {name}, {}, is above its limit, {}",
                request.0, limit.0
            ));
        }
    }
    Ok(())
}

/// A word of the access log.
pub(in crate::inject) fn access_log(text: &str) -> Result<AccessLog, String> {
    place::word(text, &ACCESS_LOGS)
}

fn ports(text: &str) -> Result<String, String> {
    PortRange::parse(text).map(|_| text.to_owned())
}

fn block(text: &str) -> Result<String, String> {
    Cidr::parse(text).map(|_| text.to_owned())
}

/// As the mesh document reads `on_demand.cidrs`.
fn range(text: &str) -> Result<String, String> {
    let range = text
        .split_once('/')
        .and_then(|(address, length)| Prefix::new(address.parse().ok()?, length.parse().ok()?));
    match range {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("{text:?} is not a range of addresses such as 10.96.0.0/12")),
    }
}

fn address(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is not HOST:PORT, such as evenkeel-control.evenkeel-system.svc:15012");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host_is_plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/@$".contains(c));
    if !host_is_plain || evenkeel_init::ports::parse_port(port).is_err() {
        return Err(wrong());
    }
    Ok(text.to_owned())
}
