//! `ClusterLoadAssignment`.

use super::ClusterLoadAssignment;
use super::Endpoint;
use super::Group;
use super::HealthStatus;
use super::Locality;
use super::OVERPROVISIONING;
use super::Place;
use super::Policy;
use super::owner;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::cluster::RESOLVED;
use crate::resource::value;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as proto;
use envoy_types::pb::envoy::config::endpoint::v3::cluster_load_assignment as assignment;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;

/// As many priorities as Envoy takes.
const LAST_PRIORITY: u32 = 128;
const MILLION: u64 = 1_000_000;

/// How an address is read.
type Read<A> = fn(Option<core::Address>, &mut Report) -> Option<A>;

/// Decodes an assignment whose endpoints are addresses.
pub(crate) fn decode(message: proto::ClusterLoadAssignment, report: &mut Report) -> Option<ClusterLoadAssignment> {
    if message.cluster_name.starts_with(RESOLVED) {
        report.refuse_field(
            "cluster_name",
            format!("names that begin with {RESOLVED:?} are the proxy's own"),
        );
    }
    decode_with(message, value::address, report)
}

/// Decodes an assignment whose addresses are read by `read`.
pub(crate) fn decode_with<A: Clone + Display + Eq + Hash>(
    message: proto::ClusterLoadAssignment,
    read: Read<A>,
    report: &mut Report,
) -> Option<ClusterLoadAssignment<A>> {
    let proto::ClusterLoadAssignment {
        cluster_name,
        endpoints,
        named_endpoints,
        policy,
    } = message;
    let cluster = value::required_name("cluster_name", cluster_name, report);
    let mut decoder = Decoder {
        named: named_endpoints,
        groups: BTreeMap::new(),
        places: HashMap::new(),
        read,
    };
    let endpoints = report.each("endpoints", endpoints, |message, report| {
        decoder.locality(message, report)
    });
    refuse_twice(&endpoints, report);
    refuse_too_heavy(&endpoints, &decoder.groups, report);
    Some(ClusterLoadAssignment {
        cluster: cluster?,
        endpoints,
        policy: policy.map_or_else(Policy::default, |message| {
            report.within("policy", |report| policy_of(message, report))
        }),
    })
}

struct Decoder<A> {
    named: HashMap<String, proto::Endpoint>,
    groups: BTreeMap<(u8, Locality), Arc<Group>>,
    /// By group and workload.
    places: HashMap<(*const Group, String), Arc<Place>>,
    read: Read<A>,
}

impl<A> Decoder<A> {
    fn locality(&mut self, message: proto::LocalityLbEndpoints, report: &mut Report) -> Vec<Endpoint<A>> {
        let proto::LocalityLbEndpoints {
            locality,
            metadata,
            lb_endpoints,
            load_balancing_weight,
            priority,
            proximity,
            lb_config,
        } = message;
        refuse_set!(report; lb_config);
        note_set!(report; metadata, proximity);
        if priority > LAST_PRIORITY {
            report.refuse_field("priority", format!("must be from 0 to {LAST_PRIORITY}"));
        }
        let weight = load_balancing_weight.map(|weight| {
            let range = 1..=u32::MAX;
            value::number("load_balancing_weight", Some(weight), &range, 1, report)
        });
        let core::Locality { region, zone, sub_zone } = locality.unwrap_or_default();
        let group = Group {
            locality: Locality { region, zone, sub_zone },
            priority: u8::try_from(priority).unwrap_or_default(),
            weight: weight.and_then(NonZeroU32::new),
        };
        let key = (group.priority, group.locality.clone());
        let known = self.groups.entry(key).or_insert_with(|| Arc::new(group.clone()));
        if known.weight != group.weight {
            report.refuse_field(
                "load_balancing_weight",
                "differs from what the same locality had before",
            );
        }
        let group = Arc::clone(known);
        report.each("lb_endpoints", lb_endpoints, |message, report| {
            self.endpoint(message, &group, report)
        })
    }

    fn endpoint(&mut self, message: proto::LbEndpoint, group: &Arc<Group>, report: &mut Report) -> Option<Endpoint<A>> {
        let proto::LbEndpoint {
            health_status,
            metadata,
            load_balancing_weight,
            host_identifier,
        } = message;
        let workload = metadata.map_or_else(String::new, |metadata| {
            report.within("metadata", |report| owner::workload(metadata, report))
        });
        let health = health_of(health_status, report);
        let range = 1..=u32::MAX;
        let weight = value::number("load_balancing_weight", load_balancing_weight, &range, 1, report);
        let address = match host_identifier {
            Some(HostIdentifier::Endpoint(message)) => {
                report.within("endpoint", |report| self.address(message, report))
            }
            Some(HostIdentifier::EndpointName(name)) => report.within("endpoint_name", |report| {
                let Some(message) = self.named.get(&name) else {
                    report.refuse(format!("{name:?} is not among the named endpoints"));
                    return None;
                };
                self.address(message.clone(), report)
            }),
            None => {
                report.refuse_field("endpoint", "is missing");
                None
            }
        };
        Some(Endpoint {
            address: address?,
            weight: NonZeroU32::new(weight)?,
            health: health?,
            place: self.place(group, workload),
        })
    }

    /// Of all endpoints of a workload in a group the same.
    fn place(&mut self, group: &Arc<Group>, workload: String) -> Arc<Place> {
        let place = self.places.entry((Arc::as_ptr(group), workload));
        Arc::clone(place.or_insert_with_key(|(_, workload)| {
            Arc::new(Place {
                group: Arc::clone(group),
                workload: workload.as_str().into(),
            })
        }))
    }

    fn address(&self, message: proto::Endpoint, report: &mut Report) -> Option<A> {
        let proto::Endpoint {
            address,
            health_check_config,
            hostname,
            additional_addresses,
            observability_name,
        } = message;
        note_set!(report; hostname, observability_name);
        report.note_if_set("health_check_config", &health_check_config);
        if !additional_addresses.is_empty() {
            report.note_field("additional_addresses", "has no effect: only the first address is used");
        }
        report.within("address", |report| (self.read)(address, report))
    }
}

fn health_of(number: i32, report: &mut Report) -> Option<HealthStatus> {
    match core::HealthStatus::try_from(number) {
        Ok(core::HealthStatus::Unknown | core::HealthStatus::Healthy) => Some(HealthStatus::Healthy),
        Ok(core::HealthStatus::Degraded) => Some(HealthStatus::Degraded),
        Ok(core::HealthStatus::Unhealthy | core::HealthStatus::Draining | core::HealthStatus::Timeout) => {
            Some(HealthStatus::Unhealthy)
        }
        Err(_) => {
            report.refuse_field("health_status", format!("{number} is not known"));
            None
        }
    }
}

fn refuse_twice<A: Display + Eq + Hash>(endpoints: &[Endpoint<A>], report: &mut Report) {
    let mut addresses = HashSet::new();
    for endpoint in endpoints {
        if !addresses.insert(&endpoint.address) {
            report.refuse_field("endpoints", format!("the address {} is there twice", endpoint.address));
        }
    }
}

/// Weights that are compared with each other must add up to what fits into their own type, as in Envoy.
fn refuse_too_heavy<A>(endpoints: &[Endpoint<A>], groups: &BTreeMap<(u8, Locality), Arc<Group>>, report: &mut Report) {
    let mut of_groups: HashMap<*const Group, u64> = HashMap::new();
    for endpoint in endpoints {
        *of_groups.entry(Arc::as_ptr(&endpoint.place.group)).or_default() += u64::from(endpoint.weight.get());
    }
    let mut of_priorities: HashMap<u8, u64> = HashMap::new();
    for group in groups.values() {
        *of_priorities.entry(group.priority).or_default() += group.weight.map_or(0, |weight| u64::from(weight.get()));
    }
    for sum in of_groups.into_values().chain(of_priorities.into_values()) {
        if sum > u64::from(u32::MAX) {
            report.refuse_field(
                "endpoints",
                format!("the weights add up to {sum}, more than {}", u32::MAX),
            );
        }
    }
}

fn policy_of(message: assignment::Policy, report: &mut Report) -> Policy {
    let assignment::Policy {
        drop_overloads,
        overprovisioning_factor,
        endpoint_stale_after,
        weighted_priority_health,
    } = message;
    note_set!(report; endpoint_stale_after);
    if drop_overloads.len() > 1 {
        report.refuse_field("drop_overloads", "can have one category only");
    }
    let dropped = report.each("drop_overloads", drop_overloads, drop_overload);
    let range = 1..=u32::MAX;
    let factor = "overprovisioning_factor";
    let overprovisioning = value::number(factor, overprovisioning_factor, &range, OVERPROVISIONING, report);
    Policy {
        overprovisioning: NonZeroU32::new(overprovisioning).unwrap_or(NonZeroU32::MIN),
        weighted_priority_health,
        dropped_per_million: dropped.first().copied().unwrap_or_default(),
    }
}

fn drop_overload(message: assignment::policy::DropOverload, report: &mut Report) -> Option<u32> {
    let assignment::policy::DropOverload {
        category,
        drop_percentage,
    } = message;
    value::required_name("category", category, report);
    let FractionalPercent { numerator, denominator } = drop_percentage.unwrap_or_default();
    let whole = match DenominatorType::try_from(denominator) {
        Ok(DenominatorType::Hundred) => 100,
        Ok(DenominatorType::TenThousand) => 10_000,
        Ok(DenominatorType::Million) => MILLION,
        Err(_) => {
            report.refuse_field("drop_percentage.denominator", format!("{denominator} is not known"));
            return None;
        }
    };
    let part = u64::from(numerator) * MILLION / whole;
    if part > MILLION {
        report.refuse_field("drop_percentage", "is more than all");
    }
    u32::try_from(part).ok()
}
