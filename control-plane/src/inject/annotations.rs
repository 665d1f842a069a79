//! What a pod's annotations say of its proxy. To add one: a row in `KEYS`, its reading here, a row in
//! `docs/kubernetes.md`.

mod inbound;

use super::labels;
use super::name;
use super::place;
use super::settings::{AccessLog, Settings, Workers, read};
use evenkeel_control_api::fault::{Fault, Faults};
use evenkeel_init::cidr::Cidr;
use evenkeel_init::ports::PortRange;
pub use inbound::{Inbound, inbound};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;
use std::time::Duration;

/// All that there are, without their prefix.
const KEYS: [&str; 21] = [
    "include-inbound-ports",
    "exclude-inbound-ports",
    "include-outbound-ports",
    "exclude-outbound-ports",
    "include-outbound-cidrs",
    "exclude-outbound-cidrs",
    "opaque-ports",
    "protocol",
    "log-level",
    "access-log",
    "workers",
    "shutdown-grace",
    "native-sidecar",
    "proxy-image",
    "init-image",
    "cpu-request",
    "cpu-limit",
    "memory-request",
    "memory-limit",
    "extra-env",
    "force-inject",
];

/// What the annotations change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wishes {
    lists: [Option<Vec<String>>; 6],
    log_level: Option<String>,
    access_log: Option<AccessLog>,
    workers: Option<Workers>,
    proxy_image: Option<String>,
    init_image: Option<String>,
    requests: BTreeMap<String, Quantity>,
    limits: BTreeMap<String, Quantity>,
    extra_env: BTreeMap<String, String>,
    /// How long the drain may take, where the pod says it.
    pub(super) grace: Option<Duration>,
    /// Whether the proxy is a native sidecar, where the pod says it.
    pub(super) native_sidecar: Option<bool>,
    /// Whether it is injected even if it would never complete.
    pub(super) force: bool,
}

/// Reads what is ours among the annotations; everything wrong is told at once.
pub(super) fn read(annotations: &BTreeMap<String, String>) -> Result<Wishes, Vec<Fault>> {
    let mut reader = Reader {
        annotations,
        faults: Vec::new(),
    };
    reader.refuse_unknown();
    let lists = [
        reader.list("include-inbound-ports", port),
        reader.list("exclude-inbound-ports", port),
        reader.list("include-outbound-ports", port),
        reader.list("exclude-outbound-ports", port),
        reader.list("include-outbound-cidrs", block),
        reader.list("exclude-outbound-cidrs", block),
    ];
    let (requests, limits) = (reader.amounts("request"), reader.amounts("limit"));
    let wishes = Wishes {
        lists,
        requests,
        limits,
        log_level: reader.value("log-level", read::log_level),
        access_log: reader.value("access-log", read::access_log),
        workers: reader.value("workers", read::workers),
        proxy_image: reader.value("proxy-image", read::image),
        init_image: reader.value("init-image", read::image),
        extra_env: reader.value("extra-env", env).unwrap_or_default(),
        grace: reader.value("shutdown-grace", read::grace),
        native_sidecar: reader.value("native-sidecar", truth),
        force: reader.value("force-inject", truth).unwrap_or_default(),
    };
    if let Err(Faults(faults)) = inbound(annotations) {
        reader.faults.extend(faults);
    }
    if reader.faults.is_empty() {
        Ok(wishes)
    } else {
        Err(reader.faults)
    }
}

impl Wishes {
    /// The settings that hold for this pod.
    pub(super) fn applied(&self, settings: &Settings) -> Result<Settings, Fault> {
        let mut settings = settings.clone();
        let redirection = &mut settings.redirection;
        let [
            include_in,
            exclude_in,
            include_out,
            exclude_out,
            include_blocks,
            exclude_blocks,
        ] = &self.lists;
        for (wish, include) in [
            (include_in, &mut redirection.include_inbound_ports),
            (include_out, &mut redirection.include_outbound_ports),
            (include_blocks, &mut redirection.include_outbound_cidrs),
        ] {
            replace(include, wish.as_ref());
        }
        for (wish, exclude) in [
            (exclude_in, &mut redirection.exclude_inbound_ports),
            (exclude_out, &mut redirection.exclude_outbound_ports),
            (exclude_blocks, &mut redirection.exclude_outbound_cidrs),
        ] {
            exclude.extend(wish.iter().flatten().cloned());
        }
        replace(&mut settings.images.proxy, self.proxy_image.as_ref());
        replace(&mut settings.images.init, self.init_image.as_ref());
        let proxy = &mut settings.proxy;
        replace(&mut proxy.log_level, self.log_level.as_ref());
        replace(&mut proxy.access_log, self.access_log.as_ref());
        replace(&mut proxy.workers, self.workers.as_ref());
        proxy.extra_env.extend(self.extra_env.clone());
        proxy.resources.requests.extend(self.requests.clone());
        proxy.resources.limits.extend(self.limits.clone());
        // Only what an annotation changed can be above a limit: the settings were checked.
        let changed = ["cpu", "memory"]
            .into_iter()
            .find_map(|name| {
                let of =
                    |amounts: &BTreeMap<String, Quantity>, kind| amounts.get(name).map(|_| format!("{name}-{kind}"));
                of(&self.requests, "request").or_else(|| of(&self.limits, "limit"))
            })
            .unwrap_or_default();
        read::fits(&proxy.resources).map_err(|reason| fault(&changed, reason))?;
        Ok(settings)
    }
}

fn replace<T: Clone>(value: &mut T, wish: Option<&T>) {
    if let Some(wish) = wish {
        value.clone_from(wish);
    }
}

struct Reader<'a> {
    annotations: &'a BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn refuse_unknown(&mut self) {
        for key in self.annotations.keys() {
            let Some(name) = key.strip_prefix(labels::PREFIX) else {
                continue;
            };
            if !KEYS.contains(&name) {
                self.faults.push(fault(name, place::unknown_key(name, &KEYS)));
            }
        }
    }

    fn value<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.annotations.get(&format!("{}{name}", labels::PREFIX))?;
        read(text.trim())
            .map_err(|reason| self.faults.push(fault(name, reason)))
            .ok()
    }

    fn list(&mut self, name: &str, item: impl Fn(&str) -> Result<String, String>) -> Option<Vec<String>> {
        self.value(name, |text| items(text).map(item).collect())
    }
}

impl Reader<'_> {
    fn amounts(&mut self, kind: &str) -> BTreeMap<String, Quantity> {
        let names = ["cpu", "memory"].into_iter();
        names
            .filter_map(|name| {
                let amount = self.value(&format!("{name}-{kind}"), read::amount)?;
                Some((name.to_owned(), amount))
            })
            .collect()
    }
}

/// What is wrong with one of ours.
fn fault(name: &str, reason: String) -> Fault {
    Fault {
        position: None,
        path: format!("metadata.annotations[\"{}{name}\"]", labels::PREFIX),
        reason,
    }
}

/// What stands between commas. Nothing at all is the empty list; nothing between two commas is a slip.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let nothing = text.trim().is_empty();
    text.split(',').map(str::trim).filter(move |_| !nothing)
}

fn port(text: &str) -> Result<String, String> {
    PortRange::parse(text).map(|_| text.to_owned())
}

fn block(text: &str) -> Result<String, String> {
    Cidr::parse(text).map(|_| text.to_owned())
}

fn truth(text: &str) -> Result<bool, String> {
    place::word(text, &[("true", true), ("false", false)])
}

/// `NAME=VALUE`, one a line: a value may hold anything else.
fn env(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("{line:?} is not NAME=VALUE"))?;
        let key = name::variable(key)?;
        if env.insert(key, value.to_owned()).is_some() {
            return Err(format!("{line:?}: the name is here twice"));
        }
    }
    Ok(env)
}

#[cfg(test)]
mod tests;
