//! What each class of nodes is to have, kept up to date service by service.
//!
//! A change is translated once for each version of the fields and each zone that sees something else, and not once for each
//! node: nodes of one class have the same view, and views share the encoded resources that they have in common. What
//! belongs to the pod itself (its inbound listener) is laid over what all pods of its zone have.

mod claims;
mod latency;

use claims::Claims;
use evenkeel_control_api::mesh::model::{Pod, Service};
use evenkeel_control_api::mesh::{FIELDS, Reader, names_for_grpc, translate_pod, translate_service};
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::serve::View;
use evenkeel_control_api::xds::{Messages, Packed};
pub use latency::Latencies;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// What the view of a node depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Which fields it understands.
    pub reader: Reader,
    /// Where it runs, as far as that is known.
    pub zone: Option<Arc<str>>,
    /// What it has besides services; `None`: what the source says for all.
    pub pod: Option<Pod>,
}

/// A service, as nodes see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// From zones that are not listed.
    pub everywhere: Service,
    /// From these: the same service with fewer endpoints, and of the same names.
    pub zones: BTreeMap<Arc<str>, Service>,
    /// Before whom it gets an address that both want.
    pub rank: Rank,
}

/// Who gets an address that several services want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A document or a cluster declares it.
    Declared,
    /// It was named besides those.
    Beside,
}

/// What has changed in a source.
#[derive(Clone, Debug)]
pub struct Changes {
    /// By name; `None`: it is gone.
    pub services: BTreeMap<Arc<str>, Option<Served>>,
    /// What nodes have besides services, if that has changed.
    pub pod: Option<Pod>,
    /// When the first of it was seen.
    pub since: Instant,
}

/// How much there is.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Services.
    pub services: usize,
    /// Their endpoints.
    pub endpoints: usize,
    /// Classes of nodes that somebody belongs to.
    pub classes: usize,
    /// From a change to the views that have it.
    pub latencies: Latencies,
}

/// See the module.
#[derive(Debug)]
pub struct Views(Mutex<InForce>);

#[derive(Debug)]
struct InForce {
    services: BTreeMap<Arc<str>, Held>,
    claims: Claims,
    pod: Pod,
    /// Everything, for [`USUAL`] readers in no zone: the other stages take from it what is the same for them.
    base: View,
    stages: Vec<Stage>,
    latencies: Latencies,
}

#[derive(Debug)]
struct Held {
    served: Served,
    /// Of its resources, for whichever reader.
    names: BTreeSet<Name>,
}

type Name = (Kind, Arc<str>);

/// What all classes of one reader and one zone have in common.
#[derive(Debug)]
struct Stage {
    reader: Reader,
    zone: Option<Arc<str>>,
    view: View,
    classes: Vec<Published>,
}

/// The view of one class.
#[derive(Debug)]
struct Published {
    pod: Option<Pod>,
    /// What is its own.
    own: View,
    names: BTreeSet<Name>,
    sender: watch::Sender<Arc<View>>,
}

/// What nearly all nodes understand.
const USUAL: Reader = Reader::Evenkeel(FIELDS);

impl From<Service> for Served {
    fn from(everywhere: Service) -> Self {
        Self {
            everywhere,
            zones: BTreeMap::new(),
            rank: Rank::Declared,
        }
    }
}

impl Served {
    fn endpoints(&self) -> usize {
        let ports = self.everywhere.ports.iter();
        ports.map(|port| port.endpoints.known().len()).sum()
    }
}

impl Default for Views {
    fn default() -> Self {
        Self(Mutex::new(InForce {
            services: BTreeMap::new(),
            claims: Claims::default(),
            pod: Pod::default(),
            base: View::default(),
            stages: Vec::new(),
            latencies: Latencies::default(),
        }))
    }
}

impl Views {
    /// What a node of this class is to have, now and from now on.
    pub fn subscribe(&self, class: &Class) -> watch::Receiver<Arc<View>> {
        self.lock().subscribe(class)
    }

    /// Takes changes in, and publishes what becomes of them.
    pub fn apply(&self, changes: Changes) {
        let mut in_force = self.lock();
        let since = changes.since;
        in_force.apply(changes);
        in_force.latencies.record(since.elapsed());
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        let in_force = self.lock();
        let classes = in_force.stages.iter().flat_map(|stage| &stage.classes);
        Counts {
            services: in_force.services.len(),
            endpoints: in_force.services.values().map(|held| held.served.endpoints()).sum(),
            classes: classes.filter(|class| class.sender.receiver_count() > 0).count(),
            latencies: in_force.latencies.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, InForce> {
        // Each change is whole before the next begins.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InForce {
    fn subscribe(&mut self, class: &Class) -> watch::Receiver<Arc<View>> {
        let reader = class.reader.class();
        let found = self
            .stages
            .iter()
            .position(|stage| stage.reader == reader && stage.zone == class.zone);
        let place = found.unwrap_or_else(|| {
            self.stages.push(self.stage(reader, class.zone.clone()));
            self.stages.len() - 1
        });
        let stage = &mut self.stages[place];
        if let Some(published) = stage.classes.iter().find(|published| published.pod == class.pod) {
            return published.sender.subscribe();
        }
        let published = Published::new(class.pod.clone(), &self.pod, reader, &stage.view);
        let receiver = published.sender.subscribe();
        stage.classes.push(published);
        receiver
    }

    /// A stage that has everything.
    fn stage(&self, reader: Reader, zone: Option<Arc<str>>) -> Stage {
        let mut stage = Stage {
            reader,
            zone,
            view: View::default(),
            classes: Vec::new(),
        };
        if reader == USUAL.class() {
            stage.view = self.base.clone();
        }
        for (name, held) in &self.services {
            stage.take(name, held, &self.base, &self.claims);
        }
        stage
    }

    fn apply(&mut self, Changes { services, pod, .. }: Changes) {
        let mut again: BTreeSet<Arc<str>> = services.keys().cloned().collect();
        let mut left: BTreeSet<Name> = BTreeSet::new();
        let mut fresh = BTreeMap::new();
        for (name, served) in services {
            if let Some(held) = self.services.remove(&name) {
                self.claims.release(&held.served, &held.names);
                left.extend(held.names);
            }
            if let Some(served) = served {
                let messages = translate_service(&served.everywhere, USUAL);
                let names_for_grpc = names_for_grpc(&served.everywhere).map(|name| (Kind::Listener, name.into()));
                let names = messages.all().map(name_of).chain(names_for_grpc).collect();
                self.claims.claim(&served, &names);
                fresh.insert(Arc::clone(&name), messages);
                self.services.insert(name, Held { served, names });
            }
        }
        // An address that one service gives up may be another's, who waited for it.
        again.extend(left.iter().filter_map(|(kind, name)| self.claims.owner(*kind, name)));
        let held = again.iter().filter_map(|service| self.services.get(service));
        let kept: BTreeSet<&Name> = held.flat_map(|held| &held.names).collect();
        left.retain(|name| !kept.contains(name));

        let mut base = std::mem::take(&mut self.base);
        for (kind, name) in &left {
            base.remove(*kind, name);
        }
        for service in &again {
            let Some(held) = self.services.get(service) else {
                continue;
            };
            let messages = fresh
                .remove(service)
                .unwrap_or_else(|| translate_service(&held.served.everywhere, USUAL));
            put(&mut base, &messages, service, &self.claims);
        }
        self.base = base;
        if let Some(pod) = &pod {
            self.pod.clone_from(pod);
        }
        self.publish(&again, &left, pod.is_some());
    }

    fn publish(&mut self, again: &BTreeSet<Arc<str>>, left: &BTreeSet<Name>, pod_changed: bool) {
        for stage in &mut self.stages {
            // Nobody is told any more, and whoever comes again gets a new one.
            stage.classes.retain(|class| class.sender.receiver_count() > 0);
        }
        self.stages.retain(|stage| !stage.classes.is_empty());
        for stage in &mut self.stages {
            for (kind, name) in left {
                stage.view.remove(*kind, name);
            }
            for name in again {
                if let Some(held) = self.services.get(name) {
                    stage.take(name, held, &self.base, &self.claims);
                }
            }
            for class in &mut stage.classes {
                if pod_changed && class.pod.is_none() {
                    *class = Published {
                        sender: class.sender.clone(),
                        ..Published::new(None, &self.pod, stage.reader, &stage.view)
                    };
                }
                class.publish(&stage.view);
            }
        }
    }
}

impl Stage {
    /// Takes a service as it is now.
    fn take(&mut self, name: &Arc<str>, held: &Held, base: &View, claims: &Claims) {
        let narrowed = self.zone.as_ref().and_then(|zone| held.served.zones.get(zone));
        if self.reader == USUAL.class() && narrowed.is_none() {
            for (kind, resource) in &held.names {
                if claims.has(name, *kind, resource) {
                    self.view.adopt(base, *kind, resource);
                }
            }
        } else {
            let service = narrowed.unwrap_or(&held.served.everywhere);
            put(&mut self.view, &translate_service(service, self.reader), name, claims);
        }
    }
}

impl Published {
    fn new(pod: Option<Pod>, for_all: &Pod, reader: Reader, view: &View) -> Self {
        let mut own = View::default();
        let messages = translate_pod(pod.as_ref().unwrap_or(for_all), reader);
        let names = messages.all().map(|packed| own.set(packed).expect(OURS)).collect();
        let published = Self {
            pod,
            own,
            names,
            sender: watch::Sender::new(Arc::default()),
        };
        published.publish(view);
        published
    }

    fn publish(&self, stage: &View) {
        let mut view = stage.clone();
        for (kind, name) in &self.names {
            view.adopt(&self.own, *kind, name);
        }
        self.sender.send_replace(Arc::new(view));
    }
}

const OURS: &str = "a translation has resources of our types, with names";

fn name_of(packed: &Packed) -> Name {
    let (kind, name) = View::name(packed).expect(OURS);
    (kind, name.into())
}

/// Of a service, what no other has a better claim to.
fn put(view: &mut View, messages: &Messages, service: &Arc<str>, claims: &Claims) {
    for packed in messages.all() {
        let (kind, name) = name_of(packed);
        if claims.has(service, kind, &name) {
            view.set(packed).expect(OURS);
        }
    }
}

#[cfg(test)]
mod tests;
