//! Service: the addresses and ports that clients use.

use super::protocol::{self, Said};
use super::{Object, ours};
use evenkeel_control_api::mesh::model::{Family, Protocol};
use k8s_openapi::api::core::v1;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

/// `sessionAffinityConfig.clientIP.timeoutSeconds`, which the API server fills in.
const AFFINITY_SECONDS: i32 = 10_800;

/// What is kept of a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// How clients get to it.
    pub reach: Reach,
    /// Its TCP ports; their numbers are unique.
    pub ports: Vec<ServicePort>,
    /// `sessionAffinity: ClientIP`: a client stays with its endpoint.
    pub affinity: bool,
    /// `publishNotReadyAddresses`.
    pub publishes_not_ready: bool,
    /// Those of `evenkeel.io/`.
    pub annotations: BTreeMap<String, String>,
}

/// How clients get to a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By `clusterIPs`, in their order.
    Vips(Vec<IpAddr>),
    /// By the addresses of its endpoints.
    Headless,
    /// By another name.
    External(String),
    /// It has no address yet, or one that is no business of ours.
    Nobody,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Empty where there is one port only.
    pub name: Arc<str>,
    /// Its number at the VIPs.
    pub number: NonZeroU16,
    /// What is spoken.
    pub protocol: Protocol,
}

impl Service {
    /// The addresses that are its own.
    pub fn vips(&self) -> &[IpAddr] {
        match &self.reach {
            Reach::Vips(vips) => vips,
            Reach::Headless | Reach::External(_) | Reach::Nobody => &[],
        }
    }

    /// Of the first VIP.
    pub fn family(&self) -> Option<Family> {
        self.vips().first().map(|vip| Family::of(*vip))
    }

    /// The other one, where there are VIPs of both.
    pub fn family_apart(&self) -> Option<Family> {
        let families = self.vips().iter().map(|vip| Family::of(*vip));
        families.skip(1).find(|family| Some(*family) != self.family())
    }
}

/// Keeps what is used.
pub(crate) fn keep(service: v1::Service, faults: &mut Vec<String>) -> Object {
    let annotations = ours(service.metadata.annotations);
    let spec = service.spec.unwrap_or_default();
    let ports = ports(spec.ports.as_deref().unwrap_or_default(), &annotations, faults);
    let affinity = spec.session_affinity.as_deref() == Some("ClientIP");
    let config = spec
        .session_affinity_config
        .as_ref()
        .and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|config| config.timeout_seconds);
    if let Some(seconds) = seconds.filter(|seconds| affinity && *seconds != AFFINITY_SECONDS) {
        faults.push(format!(
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: {seconds} has no effect: a client keeps its endpoint \
             without end, until that goes, or one that comes takes the client over"
        ));
    }
    if spec.traffic_distribution.as_deref() == Some("PreferSameNode") {
        faults.push(
            "spec.trafficDistribution: PreferSameNode is not supported; hints for zones are followed where slices have them"
                .to_owned(),
        );
    }
    Object::Service(Service {
        reach: reach(&spec, faults),
        ports,
        affinity,
        publishes_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
        annotations,
    })
}

fn reach(spec: &v1::ServiceSpec, faults: &mut Vec<String>) -> Reach {
    if spec.type_.as_deref() == Some("ExternalName") {
        return match spec.external_name.as_deref() {
            Some(name) if !name.is_empty() => Reach::External(name.trim_end_matches('.').to_owned()),
            _ => Reach::Nobody,
        };
    }
    if spec.internal_traffic_policy.as_deref() == Some("Local") {
        faults.push(
            "spec.internalTrafficPolicy: Local is not supported; the Service is left to the cluster, which does it"
                .to_owned(),
        );
        return Reach::Nobody;
    }
    let one = || spec.cluster_ip.iter().cloned().collect();
    let addresses = spec
        .cluster_ips
        .clone()
        .filter(|all| !all.is_empty())
        .unwrap_or_else(one);
    if addresses.iter().any(|address| address == "None") {
        return Reach::Headless;
    }
    let mut vips = Vec::new();
    for address in addresses.iter().filter(|address| !address.is_empty()) {
        match address.parse() {
            Ok(vip) if !vips.contains(&vip) => vips.push(vip),
            Ok(_) => {}
            Err(_) => faults.push(format!("spec.clusterIPs: {address} is no IP address")),
        }
    }
    if vips.is_empty() {
        Reach::Nobody
    } else {
        Reach::Vips(vips)
    }
}

fn ports(
    ports: &[v1::ServicePort],
    annotations: &BTreeMap<String, String>,
    faults: &mut Vec<String>,
) -> Vec<ServicePort> {
    let annotation = annotations.get(protocol::ANNOTATION).map(String::as_str);
    let mut numbers = HashSet::new();
    let mut kept = Vec::with_capacity(ports.len());
    for (index, port) in ports.iter().enumerate() {
        // UDP and SCTP are not redirected, so that nobody asks for them.
        if port.protocol.as_deref().is_some_and(|protocol| protocol != "TCP") {
            continue;
        }
        let Some(number) = u16::try_from(port.port).ok().and_then(NonZeroU16::new) else {
            faults.push(format!("spec.ports[{index}].port: {} is no port", port.port));
            continue;
        };
        if !numbers.insert(number) {
            faults.push(format!("spec.ports[{index}].port: {number} is there twice"));
            continue;
        }
        let name = port.name.as_deref().unwrap_or_default();
        let said = Said {
            name,
            number: number.get(),
            app_protocol: port.app_protocol.as_deref(),
        };
        kept.push(ServicePort {
            name: name.into(),
            number,
            protocol: protocol::of(said, annotation, faults),
        });
    }
    kept
}
