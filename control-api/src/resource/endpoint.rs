//! `envoy.config.endpoint.v3.ClusterLoadAssignment`: the endpoints of a cluster.

use super::value;
use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as proto;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;

/// The endpoints of one cluster; addresses are unique in it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterLoadAssignment {
    /// The cluster's EDS name.
    pub cluster: String,
    /// In the order of delivery.
    pub endpoints: Vec<Endpoint>,
}

/// One address that serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where.
    pub address: SocketAddr,
    /// Its share against the others.
    pub weight: NonZeroU32,
    /// What the control plane says of it.
    pub health: HealthStatus,
    /// Where it runs.
    pub locality: Locality,
}

/// `health_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// `UNKNOWN`, `HEALTHY` or `DEGRADED`: may be chosen.
    Usable,
    /// `UNHEALTHY`, `DRAINING` or `TIMEOUT`: is not.
    Unusable,
}

/// Region, zone, sub-zone; empty where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locality {
    /// Such as `eu-central-1`.
    pub region: String,
    /// Such as `eu-central-1a`.
    pub zone: String,
    /// Such as a rack.
    pub sub_zone: String,
}

/// Decodes an assignment.
pub(crate) fn decode(message: proto::ClusterLoadAssignment, report: &mut Report) -> Option<ClusterLoadAssignment> {
    let proto::ClusterLoadAssignment {
        cluster_name,
        endpoints,
        named_endpoints,
        policy,
    } = message;
    refuse_set!(report; named_endpoints, policy);
    let cluster = value::required_name("cluster_name", cluster_name, report);
    let endpoints: Vec<Endpoint> = report.each("endpoints", endpoints, locality_endpoints);
    let mut addresses = HashSet::new();
    for endpoint in &endpoints {
        if !addresses.insert(endpoint.address) {
            report.refuse_field("endpoints", format!("the address {} is there twice", endpoint.address));
        }
    }
    let weights: u64 = endpoints.iter().map(|endpoint| u64::from(endpoint.weight.get())).sum();
    if weights > u64::from(u32::MAX) {
        report.refuse_field(
            "endpoints",
            format!("the weights add up to {weights}, more than {}", u32::MAX),
        );
    }
    Some(ClusterLoadAssignment {
        cluster: cluster?,
        endpoints,
    })
}

fn locality_endpoints(message: proto::LocalityLbEndpoints, report: &mut Report) -> Vec<Endpoint> {
    let proto::LocalityLbEndpoints {
        locality,
        metadata,
        lb_endpoints,
        load_balancing_weight,
        priority,
        proximity,
        lb_config,
    } = message;
    refuse_set!(report; load_balancing_weight, priority, proximity, lb_config);
    note_set!(report; metadata);
    let locality = locality.map(|core::Locality { region, zone, sub_zone }| Locality { region, zone, sub_zone });
    let locality = locality.unwrap_or_default();
    report.each("lb_endpoints", lb_endpoints, |message, report| {
        lb_endpoint(message, &locality, report)
    })
}

fn lb_endpoint(message: proto::LbEndpoint, locality: &Locality, report: &mut Report) -> Option<Endpoint> {
    let proto::LbEndpoint {
        health_status,
        metadata,
        load_balancing_weight,
        host_identifier,
    } = message;
    // Transport sockets and subsets are chosen by it.
    refuse_set!(report; metadata);
    let health = match core::HealthStatus::try_from(health_status) {
        Ok(core::HealthStatus::Unknown | core::HealthStatus::Healthy | core::HealthStatus::Degraded) => {
            Some(HealthStatus::Usable)
        }
        Ok(core::HealthStatus::Unhealthy | core::HealthStatus::Draining | core::HealthStatus::Timeout) => {
            Some(HealthStatus::Unusable)
        }
        Err(_) => {
            report.refuse_field("health_status", format!("{health_status} is not known"));
            None
        }
    };
    let weight = value::number(
        "load_balancing_weight",
        load_balancing_weight,
        &(1..=u32::MAX),
        1,
        report,
    );
    let address = match host_identifier {
        Some(HostIdentifier::Endpoint(message)) => report.within("endpoint", |report| endpoint(message, report)),
        Some(HostIdentifier::EndpointName(_)) | None => {
            report.refuse_field("endpoint", "is missing: named endpoints are not supported");
            None
        }
    };
    let weight = NonZeroU32::new(weight);
    Some(Endpoint {
        address: address?,
        weight: weight?,
        health: health?,
        locality: locality.clone(),
    })
}

fn endpoint(message: proto::Endpoint, report: &mut Report) -> Option<SocketAddr> {
    let proto::Endpoint {
        address,
        health_check_config,
        hostname,
        additional_addresses,
        observability_name,
    } = message;
    refuse_set!(report; health_check_config, additional_addresses);
    note_set!(report; hostname, observability_name);
    report.within("address", |report| value::address(address, report))
}
