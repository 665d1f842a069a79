//! `proxy:`, which belongs to the process that reads it.

use super::access_log;
use super::address;
use super::app_health;
use super::metrics;
use crate::mesh::place::Fields;
use crate::mesh::place::Place;
use crate::mesh::settings::ProcessLimits;
use crate::mesh::settings::ProxySettings;
use crate::mesh::settings::Workers;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

/// More workers than any machine has cores.
const MOST_WORKERS: u64 = 1_024;

/// More addresses than one section needs.
const MOST_ADDRESSES: usize = 16;

/// A section that listens.
struct Door<'a> {
    name: &'static str,
    place: Option<Place<'a>>,
    addresses: Vec<SocketAddr>,
}

/// The settings of this process.
pub(super) fn settings(place: Option<&Place<'_>>, limits: ProcessLimits) -> ProxySettings {
    let base = ProxySettings::new(limits);
    let Some(place) = place else { return base };
    let fields = place.fields(&[
        "workers",
        "outbound",
        "inbound",
        "admin",
        "telemetry",
        "access_log",
        "metrics",
        "app_health",
    ]);
    let workers = fields
        .optional("workers")
        .and_then(|place| workers(&place))
        .unwrap_or(base.workers);
    let doors = [
        Door::new(&fields, "outbound", base.outbound),
        Door::new(&fields, "inbound", base.inbound),
        Door::new(&fields, "admin", base.admin),
        Door::new(&fields, "telemetry", base.telemetry),
    ];
    refuse_overlaps(place, &doors);
    let access_log = fields.optional("access_log");
    let access_log = access_log.and_then(|place| access_log::access_log(&place));
    let metrics = fields.optional("metrics").map(|place| metrics::metrics(&place));
    let own = doors.each_ref().map(|door| door.addresses.as_slice());
    let app_health = fields
        .optional("app_health")
        .map(|place| app_health::probes(&place, &own));
    let [outbound, inbound, admin, telemetry] = doors;
    if let Some(place) = &admin.place
        && admin.addresses.iter().any(|address| !address.ip().is_loopback())
    {
        place.refuse("admin commands the process: it may listen on loopback addresses only");
    }
    ProxySettings {
        workers,
        outbound: outbound.addresses,
        inbound: inbound.addresses,
        admin: admin.addresses,
        telemetry: telemetry.addresses,
        access_log,
        metrics: metrics.unwrap_or(base.metrics),
        app_health: app_health.unwrap_or_default(),
        tracing: None,
        limits: base.limits,
        control_plane: None,
    }
}

fn workers(place: &Place<'_>) -> Option<Workers> {
    if place.is_word("cpu-limit") {
        return Some(Workers::CpuLimit);
    }
    let number = place.integer_or(1..=MOST_WORKERS, ", or cpu-limit");
    number
        .and_then(|number| NonZeroUsize::new(number as usize))
        .map(Workers::Count)
}

impl<'a> Door<'a> {
    fn new(fields: &Fields<'a>, name: &'static str, default: Vec<SocketAddr>) -> Self {
        let place = fields.optional(name);
        let listen = place.as_ref().and_then(|place| {
            let fields = place.fields(&["listen"]);
            fields.optional("listen").map(|place| listen(&place))
        });
        Self {
            name,
            addresses: listen.unwrap_or(default),
            place,
        }
    }
}

/// One address or a list of them.
fn listen(place: &Place<'_>) -> Vec<SocketAddr> {
    if !place.is_list() {
        return address::socket(place).into_iter().collect();
    }
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for place in place.items().take(MOST_ADDRESSES + 1) {
        let Some(address) = address::socket(&place) else {
            continue;
        };
        if let Some(other) = addresses.iter().find(|other| overlap(**other, address)) {
            place.refuse(format!("{address} overlaps {other}"));
        } else {
            addresses.push(address);
        }
    }
    if addresses.is_empty() || addresses.len() > MOST_ADDRESSES {
        place.refuse(format!("needs 1 to {MOST_ADDRESSES} addresses"));
    }
    addresses
}

fn refuse_overlaps(section: &Place<'_>, doors: &[Door<'_>]) {
    for (index, door) in doors.iter().enumerate() {
        for other in &doors[..index] {
            let clash = door.addresses.iter().find_map(|address| {
                let taken = other.addresses.iter().find(|taken| overlap(**taken, *address))?;
                Some((*address, *taken))
            });
            let Some((address, taken)) = clash else { continue };
            let (place, name, culprit, with) = match &door.place {
                Some(place) => (place, other.name, address, taken),
                None => (other.place.as_ref().unwrap_or(section), door.name, taken, address),
            };
            place.refuse(format!("{culprit} overlaps {with}, where {name} listens"));
        }
    }
}

/// Whether two sockets cannot both be bound. IPv6 sockets are bound for IPv6 only.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    let same_family = a.is_ipv4() == b.is_ipv4();
    one.port() == other.port() && same_family && (a == b || a.is_unspecified() || b.is_unspecified())
}
