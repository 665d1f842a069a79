//! `ClusterLoadAssignment`.

use super::value;
use crate::mesh::model::Endpoint;
use crate::resource::endpoint::Locality;
use envoy_types::pb::envoy::config::core::v3::HealthStatus;
use envoy_types::pb::envoy::config::core::v3::Locality as ProtoLocality;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::endpoint::v3::Endpoint as ProtoEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LbEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LocalityLbEndpoints;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use std::collections::HashMap;

/// The endpoints of a cluster, grouped by locality in the order in which the localities appear.
pub(super) fn assignment(cluster: &str, endpoints: &[Endpoint]) -> ClusterLoadAssignment {
    let mut groups: Vec<LocalityLbEndpoints> = Vec::new();
    let mut places: HashMap<&Locality, usize> = HashMap::new();
    for endpoint in endpoints {
        let place = *places.entry(&endpoint.locality).or_insert_with(|| {
            groups.push(group(&endpoint.locality));
            groups.len() - 1
        });
        groups[place].lb_endpoints.push(lb_endpoint(endpoint));
    }
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        endpoints: groups,
        ..ClusterLoadAssignment::default()
    }
}

fn group(locality: &Locality) -> LocalityLbEndpoints {
    let Locality { region, zone, sub_zone } = locality.clone();
    LocalityLbEndpoints {
        locality: Some(ProtoLocality { region, zone, sub_zone }),
        ..LocalityLbEndpoints::default()
    }
}

fn lb_endpoint(endpoint: &Endpoint) -> LbEndpoint {
    LbEndpoint {
        health_status: HealthStatus::Healthy as i32,
        load_balancing_weight: Some(value::number(endpoint.weight.get())),
        host_identifier: Some(HostIdentifier::Endpoint(ProtoEndpoint {
            address: Some(value::address(endpoint.address)),
            ..ProtoEndpoint::default()
        })),
        ..LbEndpoint::default()
    }
}
