//! `ClusterLoadAssignment`.

use super::backend::Names;
use super::value;
use crate::mesh::model::Endpoint;
use crate::mesh::model::Endpoints;
use crate::mesh::model::NamedEndpoint;
use crate::mesh::model::ServicePort;
use crate::resource::endpoint::Locality;
use crate::resource::endpoint::metadata;
use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::core::v3::HealthStatus;
use envoy_types::pb::envoy::config::core::v3::Locality as ProtoLocality;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::endpoint::v3::Endpoint as ProtoEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LbEndpoint;
use envoy_types::pb::envoy::config::endpoint::v3::LocalityLbEndpoints;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use std::collections::HashMap;
use std::num::NonZeroU32;

/// Those of the clusters of a port whose endpoints come so.
pub(super) fn assignments(port: &ServicePort, names: &Names<'_>) -> impl Iterator<Item = ClusterLoadAssignment> {
    let known = match &port.endpoints {
        Endpoints::Known(endpoints) => Some((None, endpoints)),
        Endpoints::Named(_) => None,
    };
    let apart = port.apart.as_ref().map(|apart| (Some(apart.family), &apart.endpoints));
    let all = known.into_iter().chain(apart);
    all.map(|(dialled, endpoints)| assignment(&names.balanced(dialled), endpoints))
}

/// The endpoints of a cluster, grouped by locality in the order in which the localities appear.
fn assignment(cluster: &str, endpoints: &[Endpoint]) -> ClusterLoadAssignment {
    let mut groups: Vec<LocalityLbEndpoints> = Vec::new();
    let mut places: HashMap<&Locality, usize> = HashMap::new();
    for endpoint in endpoints {
        let place = *places.entry(&endpoint.locality).or_insert_with(|| {
            groups.push(group(&endpoint.locality));
            groups.len() - 1
        });
        groups[place].lb_endpoints.push(LbEndpoint {
            metadata: metadata(endpoint.workload.as_deref()),
            ..lb_endpoint(value::address(endpoint.address), endpoint.weight)
        });
    }
    ClusterLoadAssignment {
        endpoints: groups,
        ..nobody(cluster)
    }
}

/// No endpoints.
pub(super) fn nobody(cluster: &str) -> ClusterLoadAssignment {
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        ..ClusterLoadAssignment::default()
    }
}

/// One endpoint, which a name stands for.
pub(super) fn named(cluster: &str, NamedEndpoint { name, port }: &NamedEndpoint) -> ClusterLoadAssignment {
    let endpoint = lb_endpoint(value::host(name.clone(), port.get()), NonZeroU32::MIN);
    ClusterLoadAssignment {
        endpoints: vec![LocalityLbEndpoints {
            lb_endpoints: vec![endpoint],
            ..LocalityLbEndpoints::default()
        }],
        ..nobody(cluster)
    }
}

fn group(locality: &Locality) -> LocalityLbEndpoints {
    let Locality { region, zone, sub_zone } = locality.clone();
    LocalityLbEndpoints {
        locality: Some(ProtoLocality { region, zone, sub_zone }),
        ..LocalityLbEndpoints::default()
    }
}

fn lb_endpoint(address: Address, weight: NonZeroU32) -> LbEndpoint {
    LbEndpoint {
        health_status: HealthStatus::Healthy as i32,
        load_balancing_weight: Some(value::number(weight.get())),
        host_identifier: Some(HostIdentifier::Endpoint(ProtoEndpoint {
            address: Some(address),
            ..ProtoEndpoint::default()
        })),
        ..LbEndpoint::default()
    }
}
