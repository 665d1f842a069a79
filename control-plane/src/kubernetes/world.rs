//! All objects of a cluster, as far as they are kept, and which services a change concerns. Pure: events in, names out.

use super::key::Key;
use super::kind::Kind;
use super::objects::{Endpoint, EndpointSlice, Kept, Namespace, Node, Object, Pod, Reach, Service, Urgency};
use super::verdict::{Subject, Verdict};
use evenkeel_control_api::mesh::model::Family;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Something that a watch has seen.
#[derive(Clone, Debug)]
pub enum Event {
    /// It is there, in this form.
    Applied(Kind, Key, Kept),
    /// It is gone.
    Gone(Kind, Key),
    /// A list has ended: there are these, and no others.
    Listed(Kind, HashSet<Key>),
    /// Nothing is known of a kind, and nobody should wait for it: the cluster has none, or we may not see it.
    Unavailable(Kind),
}

/// What is to be translated anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Services whose endpoints may have changed: at once.
    pub endpoints: BTreeSet<Key>,
    /// Services of which more may have changed.
    pub configuration: BTreeSet<Key>,
    /// Objects whose own faults have changed.
    pub faults: BTreeSet<Subject>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct World {
    objects: BTreeMap<Kind, BTreeMap<Key, Held>>,
    /// By service, the objects that say something about it.
    attached: HashMap<Key, BTreeSet<(Kind, Key)>>,
    /// By service, the objects that name it.
    naming: HashMap<Key, BTreeSet<(Kind, Key)>>,
    /// Pods, each with a slice that has an endpoint of it: watches run apart from each other.
    placed: BTreeSet<(Key, Key)>,
}

#[derive(Debug)]
struct Held {
    uid: String,
    generation: Option<i64>,
    /// The last one that could be read.
    object: Option<Object>,
    faults: Vec<String>,
}

impl Event {
    /// Of which kind of objects it tells.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Applied(kind, ..) | Self::Gone(kind, _) | Self::Listed(kind, _) | Self::Unavailable(kind) => *kind,
        }
    }
}

impl Touched {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && self.configuration.is_empty() && self.faults.is_empty()
    }

    /// Both.
    pub fn join(&mut self, other: Self) {
        self.endpoints.extend(other.endpoints);
        self.configuration.extend(other.configuration);
        self.faults.extend(other.faults);
    }
}

impl World {
    /// Takes in what a watch has seen; which services are to be translated anew.
    pub fn apply(&mut self, event: Event) -> Touched {
        let mut touched = Touched::default();
        match event {
            Event::Applied(kind, key, kept) => self.put(kind, key, kept, &mut touched),
            Event::Gone(kind, key) => self.take(kind, &key, &mut touched),
            Event::Unavailable(_) => {}
            Event::Listed(kind, there) => {
                let known = self.objects.entry(kind).or_default().keys();
                let gone: Vec<Key> = known.filter(|key| !there.contains(*key)).cloned().collect();
                for key in gone {
                    self.take(kind, &key, &mut touched);
                }
            }
        }
        touched
    }

    /// A Service.
    pub fn service(&self, key: &Key) -> Option<&Service> {
        match self.object(Kind::Service, key)? {
            Object::Service(service) => Some(service),
            _ => None,
        }
    }

    /// A Pod.
    pub fn pod(&self, key: &Key) -> Option<&Pod> {
        match self.object(Kind::Pod, key)? {
            Object::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    /// A Node.
    pub fn node(&self, name: &str) -> Option<&Node> {
        match self.object(Kind::Node, &Key::new("", name))? {
            Object::Node(node) => Some(node),
            _ => None,
        }
    }

    /// A Namespace.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        match self.object(Kind::Namespace, &Key::new("", name))? {
            Object::Namespace(namespace) => Some(namespace),
            _ => None,
        }
    }

    /// What says something about a service, in the order of kinds and names.
    pub fn attached(&self, service: &Key) -> impl Iterator<Item = (&Key, &Object)> {
        let attached = self.attached.get(service).into_iter().flatten();
        attached.filter_map(|(kind, key)| Some((key, self.object(*kind, key)?)))
    }

    /// The slices of a service, in the order of their names.
    pub fn slices(&self, service: &Key) -> impl Iterator<Item = &EndpointSlice> {
        self.attached(service).filter_map(|(_, object)| match object {
            Object::EndpointSlice(slice) => Some(slice),
            _ => None,
        })
    }

    /// All objects of a kind that can be used.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Object)> {
        let held = self.objects.get(&kind).into_iter().flatten();
        held.filter_map(|(key, held)| Some((key, held.object.as_ref()?)))
    }

    /// Everything that is said about any service, and every Service.
    pub fn services(&self) -> BTreeSet<Key> {
        self.attached.keys().cloned().collect()
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.objects.get(&kind).map_or(0, BTreeMap::len)
    }

    /// `metadata.uid` and `metadata.generation`, for whoever writes about an object.
    pub fn identity(&self, subject: &Subject) -> Option<(&str, Option<i64>)> {
        let held = self.held(subject.kind, &subject.key)?;
        Some((&held.uid, held.generation))
    }

    /// What was found about an object when it was read.
    pub fn faults(&self, subject: &Subject) -> Vec<Verdict> {
        let Some(held) = self.held(subject.kind, &subject.key) else {
            return Vec::new();
        };
        let verdict = |fault: &String| Verdict {
            uid: held.uid.clone(),
            generation: held.generation,
            about: String::new(),
            condition: "Accepted",
            holds: false,
            reason: "Invalid",
            message: fault.clone(),
        };
        held.faults.iter().map(verdict).collect()
    }

    fn held(&self, kind: Kind, key: &Key) -> Option<&Held> {
        self.objects.get(&kind)?.get(key)
    }

    fn object(&self, kind: Kind, key: &Key) -> Option<&Object> {
        self.held(kind, key)?.object.as_ref()
    }

    fn put(&mut self, kind: Kind, key: Key, kept: Kept, touched: &mut Touched) {
        let Kept {
            uid,
            generation,
            object,
            faults,
        } = kept;
        let before = self.objects.entry(kind).or_default().remove(&key);
        let (old, old_faults) = before.map_or((None, Vec::new()), |held| (held.object, held.faults));
        if old_faults != faults {
            let key = key.clone();
            touched.faults.insert(Subject { kind, key });
        }
        let unreadable = object.is_none() && !faults.is_empty();
        // Of something that cannot be read the last good one stays in force.
        let object = if unreadable { old.clone() } else { object };
        if old != object {
            self.touch(kind, &key, old.as_ref(), object.as_ref(), touched);
            self.index(kind, &key, old.as_ref(), object.as_ref());
        }
        let held = Held {
            uid,
            generation,
            object,
            faults,
        };
        self.objects.entry(kind).or_default().insert(key, held);
    }

    fn take(&mut self, kind: Kind, key: &Key, touched: &mut Touched) {
        let Some(held) = self.objects.entry(kind).or_default().remove(key) else {
            return;
        };
        if !held.faults.is_empty() {
            let key = key.clone();
            touched.faults.insert(Subject { kind, key });
        }
        if held.object.is_some() {
            self.touch(kind, key, held.object.as_ref(), None, touched);
            self.index(kind, key, held.object.as_ref(), None);
        }
    }

    /// Must be called while the index still has what was before.
    fn touch(&self, kind: Kind, key: &Key, old: Option<&Object>, new: Option<&Object>, touched: &mut Touched) {
        for object in old.iter().chain(&new) {
            let concerned = object.concerns(key);
            match object.urgency() {
                Urgency::Endpoints => touched.endpoints.extend(concerned),
                Urgency::Configuration => touched.configuration.extend(concerned),
            }
        }
        match kind {
            Kind::Node => touched.endpoints.extend(self.on_node(&key.name)),
            // Of one that is gone the slices will tell.
            Kind::Pod if new.is_some() && workload(old) != workload(new) => touched.endpoints.extend(self.of_pod(key)),
            Kind::Service if shape(old) != shape(new) => touched.configuration.extend(self.naming(key)),
            Kind::ReferenceGrant => {
                let here = self.naming.keys().filter(|service| service.namespace == key.namespace);
                touched
                    .configuration
                    .extend(here.flat_map(|service| self.naming(service)));
            }
            _ => {}
        }
    }

    /// The services of which something names this one.
    fn naming(&self, service: &Key) -> BTreeSet<Key> {
        let naming = self.naming.get(service).into_iter().flatten();
        let concerned = naming.filter_map(|(kind, key)| Some(self.object(*kind, key)?.concerns(key)));
        concerned.flatten().collect()
    }

    /// The services with an endpoint whose zone is that of this node. Rare: nodes come, go, and are not moved.
    fn on_node(&self, node: &str) -> BTreeSet<Key> {
        let here = |object: &Object| match object {
            Object::EndpointSlice(slice) => {
                let zoned = |endpoint: &Endpoint| endpoint.zone.is_none() && endpoint.node.as_deref() == Some(node);
                slice.endpoints.iter().any(zoned).then(|| slice.service.clone())
            }
            _ => None,
        };
        self.all(Kind::EndpointSlice)
            .filter_map(|(_, object)| here(object))
            .collect()
    }

    /// The services with an endpoint of this Pod.
    fn of_pod(&self, pod: &Key) -> impl Iterator<Item = Key> {
        let placed = self.placed.range((pod.clone(), Key::new("", ""))..);
        let slices = placed.take_while(move |(placed, _)| placed == pod);
        slices.filter_map(|(_, slice)| match self.object(Kind::EndpointSlice, slice)? {
            Object::EndpointSlice(slice) => Some(slice.service.clone()),
            _ => None,
        })
    }

    fn index(&mut self, kind: Kind, key: &Key, old: Option<&Object>, new: Option<&Object>) {
        let services = |object: Option<&Object>, of: fn(&Object, &Key) -> Vec<Key>| {
            object.map_or_else(Vec::new, |object| of(object, key))
        };
        let place = (kind, key.clone());
        for service in services(old, Object::concerns) {
            forget(&mut self.attached, &service, &place);
        }
        for service in services(new, Object::concerns) {
            self.attached.entry(service).or_default().insert(place.clone());
        }
        for service in services(old, |object, _| object.names()) {
            forget(&mut self.naming, &service, &place);
        }
        for service in services(new, |object, _| object.names()) {
            self.naming.entry(service).or_default().insert(place.clone());
        }
        for (pod, slice) in pods(old, key) {
            self.placed.remove(&(pod, slice));
        }
        self.placed.extend(pods(new, key));
    }
}

/// The Pods that a slice has endpoints of, each with it.
fn pods<'a>(object: Option<&'a Object>, key: &'a Key) -> impl Iterator<Item = (Key, Key)> + 'a {
    let slice = match object {
        Some(Object::EndpointSlice(slice)) => Some(slice),
        _ => None,
    };
    let pods = slice.into_iter().flat_map(EndpointSlice::pods);
    pods.map(|pod| (pod, key.clone()))
}

/// What endpoints of a Pod say of it.
fn workload(object: Option<&Object>) -> Option<&str> {
    match object? {
        Object::Pod(pod) => pod.workload.as_deref(),
        _ => None,
    }
}

/// What somebody who names a service depends on.
fn shape(object: Option<&Object>) -> Option<(std::mem::Discriminant<Reach>, Vec<u16>, Option<Family>)> {
    match object? {
        Object::Service(service) => {
            let ports = service.ports.iter().map(|port| port.number.get());
            Some((
                std::mem::discriminant(&service.reach),
                ports.collect(),
                service.family_apart(),
            ))
        }
        _ => None,
    }
}

fn forget<T: Ord>(index: &mut HashMap<Key, BTreeSet<T>>, service: &Key, place: &T) {
    if let Some(places) = index.get_mut(service) {
        places.remove(place);
        if places.is_empty() {
            index.remove(service);
        }
    }
}

#[cfg(test)]
mod tests;
