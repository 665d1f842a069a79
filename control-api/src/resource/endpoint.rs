//! `envoy.config.endpoint.v3.ClusterLoadAssignment`: the endpoints of a cluster.

mod decode;
mod owner;

pub(crate) use decode::decode;
pub(crate) use decode::decode_with;
pub(crate) use owner::metadata;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Envoy's own: a priority takes all traffic until fewer than 71 % of its endpoints are well.
pub const OVERPROVISIONING: u32 = 140;

/// The endpoints of one cluster; addresses are unique in it. `A` is an address, or a name that is yet to be resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterLoadAssignment<A = SocketAddr> {
    /// The cluster's EDS name.
    pub cluster: String,
    /// In the order of delivery.
    pub endpoints: Vec<Endpoint<A>>,
    /// What holds for all of them.
    pub policy: Policy,
}

/// One address that serves: 48 bytes, for there may be 100,000.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint<A = SocketAddr> {
    /// Where.
    pub address: A,
    /// Its share against the others of its group.
    pub weight: NonZeroU32,
    /// What the control plane says of it.
    pub health: HealthStatus,
    /// With whom it stands, and whose it is.
    pub place: Arc<Place>,
}

/// Endpoints of one group and one workload share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// With whom it stands.
    pub group: Arc<Group>,
    /// What it is part of, such as a Deployment, for metrics alone; empty where unknown.
    pub workload: Box<str>,
}

/// `health_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// `UNKNOWN` or `HEALTHY`.
    Healthy,
    /// `DEGRADED`: for what the healthy ones cannot take.
    Degraded,
    /// `UNHEALTHY`, `DRAINING` or `TIMEOUT`: not chosen, but in a panic.
    Unhealthy,
}

/// `LocalityLbEndpoints`: the endpoints of one priority in one locality.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Where they run.
    pub locality: Locality,
    /// 0 is the highest. A lower one gets what the higher ones cannot take.
    pub priority: u8,
    /// The locality's share against the others of its priority; `None`: it gets nothing where localities are weighted.
    pub weight: Option<NonZeroU32>,
}

/// Region, zone, sub-zone; empty where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locality {
    /// Such as `eu-central-1`.
    pub region: String,
    /// Such as `eu-central-1a`.
    pub zone: String,
    /// Such as a rack.
    pub sub_zone: String,
}

/// `policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For how many percent of its endpoints a priority or a locality counts that has so many well.
    pub overprovisioning: NonZeroU32,
    /// A priority is as well as the weights of its endpoints say, not their number.
    pub weighted_priority_health: bool,
    /// `drop_overloads`: of a million requests so many are answered with 503 at once.
    pub dropped_per_million: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            overprovisioning: NonZeroU32::new(OVERPROVISIONING).unwrap_or(NonZeroU32::MIN),
            weighted_priority_health: false,
            dropped_per_million: 0,
        }
    }
}

impl ClusterLoadAssignment {
    /// What is known before the first delivery.
    pub fn empty(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            endpoints: Vec::new(),
            policy: Policy::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_small() {
        assert_eq!(size_of::<Endpoint>(), 48);
    }
}
