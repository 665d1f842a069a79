//! A mesh document that is watched. A bad change is refused aloud, and the last good one stays.

use super::EndpointSource;
use crate::views::{Changes, Served, Views};
use evenkeel_control_api::file::{Document, Refused};
use evenkeel_control_api::mesh::model::{Pod, Service};
use evenkeel_control_api::mesh::{self, MeshDocument};
use evenkeel_control_api::xds;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// A log is no place for ten thousand faults; `evenkeel-proxy validate` shows all.
const FAULTS_LOGGED: usize = 20;

/// The file, and what it became last.
#[derive(Debug)]
pub struct MeshFile {
    file: Document,
    services: BTreeMap<Arc<str>, Service>,
    pod: Pod,
    /// The addresses of names besides it, each with the service that has taken it.
    beside: BTreeMap<SocketAddr, Option<Arc<str>>>,
    reads: Reads,
}

/// How the changes of the file went. Cloning one makes another handle.
#[derive(Clone, Debug, Default)]
pub struct Reads(Arc<Mutex<Counts>>);

/// Documents that were read, with the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Which are, or were, in force.
    pub accepted: u64,
    /// Which never were.
    pub refused: u64,
}

impl MeshFile {
    /// Reads the file for the first time, and tells it; without a good one there is nothing to serve.
    pub fn open(path: &Path, views: &Views) -> Result<Self, Refused> {
        let file = Document::open(path)?;
        let document = checked(&file)?;
        let pod = document.pod();
        let mut opened = Self {
            file,
            services: BTreeMap::new(),
            pod: pod.clone(),
            beside: BTreeMap::new(),
            reads: Reads::default(),
        };
        views.apply(Changes {
            pod: Some(pod),
            ..opened.changed(document)
        });
        Ok(opened)
    }

    /// How its changes go.
    pub fn reads(&self) -> Reads {
        self.reads.clone()
    }

    /// Takes note of addresses that somebody else serves. One that a changed document takes is the document's, which is said.
    ///
    /// # Errors
    /// It has one of them already, as a sentence for people.
    pub fn beside(&mut self, addresses: impl Iterator<Item = SocketAddr>) -> Result<(), String> {
        for address in addresses {
            if let Some(service) = self.service_at(address) {
                let mesh = self.file.path().display();
                return Err(format!(
                    "--dns: {address} is an address of the service {service} in {mesh}"
                ));
            }
            self.beside.insert(address, None);
        }
        Ok(())
    }

    /// The service that has a port at this address.
    fn service_at(&self, address: SocketAddr) -> Option<&Arc<str>> {
        let has = |service: &Service| {
            service.ports.iter().any(|port| {
                let mut endpoints = port.endpoints.known().iter();
                match service.vips.as_slice() {
                    [] => endpoints.any(|endpoint| endpoint.address == address),
                    vips => vips.contains(&address.ip()) && port.port.get() == address.port(),
                }
            })
        };
        self.services
            .iter()
            .find(|(_, service)| has(service))
            .map(|(name, _)| name)
    }

    /// Says which addresses have become the document's, and which are no longer.
    fn say_taken(&mut self) {
        let mut beside = std::mem::take(&mut self.beside);
        for (address, before) in &mut beside {
            let now = self.service_at(*address).cloned();
            if now == *before {
                continue;
            }
            match &now {
                Some(service) => tracing::error!(
                    %address,
                    %service,
                    "--dns: the mesh document has taken an address; the name is refused there"
                ),
                None => {
                    tracing::info!(%address, "--dns: the mesh document has given an address up; it is the name's again");
                }
            }
            *before = now;
        }
        self.beside = beside;
    }

    /// What a document changes.
    fn changed(&mut self, document: MeshDocument) -> Changes {
        self.reads.count(|counts| counts.accepted += 1);
        let pod = document.pod();
        let pod_changed = pod != self.pod;
        self.pod.clone_from(&pod);
        let named = |service: Service| (Arc::from(service.name.as_str()), service);
        let services: BTreeMap<Arc<str>, Service> = document.services.into_iter().map(named).collect();
        let before = std::mem::replace(&mut self.services, services);
        let gone = before.keys().filter(|name| !self.services.contains_key(*name));
        let mut changes: BTreeMap<Arc<str>, Option<Served>> = gone.map(|name| (Arc::clone(name), None)).collect();
        let new = self
            .services
            .iter()
            .filter(|(name, service)| before.get(*name) != Some(service));
        changes.extend(new.map(|(name, service)| (Arc::clone(name), Some(service.clone().into()))));
        Changes {
            services: changes,
            pod: pod_changed.then_some(pod),
            since: Instant::now(),
        }
    }
}

impl EndpointSource for MeshFile {
    async fn run(mut self, views: Arc<Views>) {
        loop {
            self.file.changed().await;
            match checked(&self.file) {
                Ok(document) => {
                    views.apply(self.changed(document));
                    self.say_taken();
                    let file = self.file.path().display();
                    tracing::info!(%file, "the mesh document has changed");
                }
                Err(refused) => {
                    self.reads.count(|counts| counts.refused += 1);
                    say(&refused);
                }
            }
        }
    }
}

impl Reads {
    /// So far.
    pub fn counts(&self) -> Counts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, what: impl FnOnce(&mut Counts)) {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// As the proxy checks it: what a client would refuse is refused here already.
fn checked(file: &Document) -> Result<MeshDocument, Refused> {
    let document = file.parse()?;
    xds::decode(&mesh::translate(&document)).map_err(|faults| Refused::Faulty(file.path().to_owned(), faults))?;
    Ok(document)
}

fn say(refused: &Refused) {
    let faults = refused.lines();
    let count = faults.len();
    tracing::error!(
        faults = count,
        "a change was refused, the last good mesh document stays in force"
    );
    for fault in faults.iter().take(FAULTS_LOGGED) {
        tracing::error!("{fault}");
    }
    if count > FAULTS_LOGGED {
        let more = count - FAULTS_LOGGED;
        tracing::error!("and {more} more faults; `evenkeel-proxy validate` shows all");
    }
}
