//! A client, services in a row, and a collector.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::collector::Collector;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::passing::Passing;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

/// Longer than anything takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
const APPLICATION: u16 = 8080;

/// A service with one pod.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) service: Service,
    pub(crate) application: Passing,
    pod: Pod,
}

/// All of it. The proxies are started by the tests.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) client: Pod,
    pub(crate) links: Vec<Link>,
    pub(crate) collector: Pod,
    pub(crate) family: Family,
    pub(crate) cluster: Cluster,
}

// === impl World ===

impl World {
    /// Each of the services asks the next one.
    pub(crate) fn new(family: Family, names: &[&str]) -> Result<Self> {
        let cluster = Cluster::new()?;
        let (client, collector) = (cluster.pod("client")?, cluster.pod("collector")?);
        let pods = names.iter().map(|name| cluster.pod(name)).collect::<Result<Vec<_>>>()?;
        let mut links = Vec::new();
        for (number, (name, pod)) in names.iter().zip(&pods).enumerate() {
            let vip = |number: usize| family.vip(10 + number as u8);
            let next = (number + 1 < names.len()).then(|| SocketAddr::new(vip(number + 1), 80));
            let service = Service::new(name, vip(number)).with(Port::new(80, [pod.at(family, APPLICATION)]));
            cluster.expose(&service)?;
            links.push(Link {
                service,
                application: Passing::start(pod, APPLICATION, next)?,
                pod: pod.clone(),
            });
        }
        Ok(Self {
            client,
            links,
            collector,
            family,
            cluster,
        })
    }

    /// Where the collector listens.
    pub(crate) fn collecting(&self) -> SocketAddr {
        self.collector.at(self.family, 4317)
    }

    pub(crate) fn start_collector(&self) -> Result<Collector> {
        Collector::start(&self.collector, self.collecting())
    }

    /// A document with all services; `settings` are further keys of `tracing`.
    pub(crate) fn document(&self, service: &str, settings: &str) -> Document {
        let services: Vec<_> = self.links.iter().map(|link| &link.service).collect();
        Document::of(&services).with(self.tracing(service, settings))
    }

    /// The section `tracing` of a document.
    pub(crate) fn tracing(&self, service: &str, settings: &str) -> String {
        format!(
            "tracing: {{collector: \"http://{}\", service: {service}, {settings}}}",
            self.collecting()
        )
    }

    /// The client's proxy.
    pub(crate) fn mesh(&self, settings: &str) -> Result<Mesh> {
        self.client.mesh(&self.document("client", settings))
    }

    /// A proxy in each pod, the client's first.
    pub(crate) fn meshes(&self, settings: &str) -> Result<Vec<Mesh>> {
        let mut meshes = vec![self.mesh(settings)?];
        for link in &self.links {
            meshes.push(link.pod.mesh(&self.document(link.service.name(), settings))?);
        }
        Ok(meshes)
    }

    /// The first service.
    pub(crate) fn first(&self) -> SocketAddr {
        self.links[0].service.at(80)
    }
}
