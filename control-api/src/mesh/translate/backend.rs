//! Backends: which clusters, and in which shares.

use crate::mesh::model::Backend;
use crate::mesh::model::Family;
use crate::mesh::model::Service;
use crate::mesh::model::ServicePort;
use crate::mesh::model::Target;
use std::num::NonZeroU16;
use std::num::NonZeroU32;

/// The clusters of a service port.
pub(super) struct Names<'a> {
    service: &'a str,
    port: NonZeroU16,
    /// The family that is served apart.
    apart: Option<Family>,
}

impl<'a> Names<'a> {
    /// Those of this port.
    pub(super) fn new(service: &'a Service, port: &ServicePort) -> Self {
        Self {
            service: &service.name,
            port: port.port,
            apart: port.apart.as_ref().map(|apart| apart.family),
        }
    }

    /// The endpoints of whoever dialled an address of this family; `None`: it dialled none of the service's.
    pub(super) fn balanced(&self, dialled: Option<Family>) -> String {
        balanced(
            self.service,
            self.port,
            self.apart.filter(|apart| dialled == Some(*apart)),
        )
    }

    /// Whichever of its endpoints a connection was going to.
    pub(super) fn direct(&self) -> String {
        format!("outbound|{}|direct|{}", self.port, self.service)
    }

    /// Nobody: for connections that were to go to what is missing.
    pub(super) fn missing(&self) -> String {
        format!("outbound|{}|missing|{}", self.port, self.service)
    }

    /// Names the port in metrics.
    pub(super) fn stat_name(&self) -> String {
        format!("{}:{}", self.service, self.port)
    }
}

/// Where traffic goes by weight.
pub(super) struct Shares<'a> {
    /// What exists and gets something: its cluster, its share, and what else is said of it.
    pub(super) present: Vec<(String, NonZeroU32, &'a Backend)>,
    /// The share of what is missing.
    pub(super) missing: u64,
}

impl<'a> Shares<'a> {
    /// Those of these backends, for connections to an address of this family.
    pub(super) fn of(backends: &'a [Backend], dialled: Option<Family>) -> Self {
        let mut shares = Self {
            present: Vec::new(),
            missing: 0,
        };
        for backend in backends {
            let Some(weight) = NonZeroU32::new(backend.weight) else {
                continue;
            };
            match &backend.target {
                Target::Port { service, port, apart } => {
                    let apart = apart.filter(|apart| dialled == Some(*apart));
                    shares.present.push((balanced(service, *port, apart), weight, backend));
                }
                Target::Missing => shares.missing += u64::from(weight.get()),
            }
        }
        shares
    }

    /// All of them together.
    pub(super) fn total(&self) -> u64 {
        let present = self.present.iter().map(|(_, weight, _)| u64::from(weight.get()));
        present.sum::<u64>() + self.missing
    }
}

fn balanced(service: &str, port: NonZeroU16, apart: Option<Family>) -> String {
    let family = apart.map_or("", Family::word);
    format!("outbound|{port}|{family}|{service}")
}
