//! Resources in, snapshots out. A compiler keeps what it made of the last update, and makes anew only what the next one
//! concerns: its cost is that of the change, not of the mesh.

use super::chains::{Chains, Entry};
use super::claims::Claims;
use super::cluster::{Cluster, Discovery};
use super::fold::{Folder, named_routes};
use super::handling::Handling;
use super::places::Places;
use super::uses::Uses;
use super::{Answer, Snapshot};
use evenkeel_control_api::resource::listener::{Direction, FilterChain};
use evenkeel_control_api::resource::{Catalog, Kind, Listener, Resources, Update};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

/// Compiles one whole set of resources.
pub fn compile(resources: Resources, generation: u64) -> Snapshot {
    let mut compiler = Compiler::default();
    compiler.apply(&Catalog::default().difference(&resources.into()));
    compiler.snapshot(generation)
}

/// Who asks for an endpoint's address: first the clusters that a listener leads to, then the others; by name.
type Owner = (bool, Arc<str>);

/// Makes a snapshot of each update. What it is given was checked by its decode: names that lead nowhere are no fault here,
/// for what they name may come later.
#[derive(Debug, Default)]
pub struct Compiler {
    catalog: Catalog,
    places: Places,
    current: Snapshot,
    /// Clusters, by the assignment that they name.
    assigned: Uses<Arc<str>>,
    /// Listeners, by the route configuration that they name.
    routed: Uses<Arc<str>>,
    /// Virtual listeners, by the place of a cluster that they lead to.
    leading: Uses<usize>,
    /// Listeners that are not virtual.
    bound: BTreeSet<Arc<str>>,
    /// Virtual listeners as they were compiled.
    virtuals: HashMap<Arc<str>, Virtual>,
    /// Who has which destination.
    destinations: Claims<Arc<str>>,
    /// Who has which endpoint.
    owners: Claims<Owner>,
    /// How a connection straight to an endpoint is handled, by the endpoint's owner, and what it asked for.
    direct: HashMap<Arc<str>, Direct>,
}

/// A virtual listener.
#[derive(Debug)]
struct Virtual {
    addresses: Vec<SocketAddr>,
    entry: Entry,
}

impl Virtual {
    fn clusters(&self) -> BTreeSet<usize> {
        let handlings = self.entry.handlings();
        handlings.into_iter().flat_map(|handling| handling.clusters()).collect()
    }
}

/// A cluster whose endpoints can be reached by their own addresses.
#[derive(Debug)]
struct Direct {
    owner: Owner,
    handling: Arc<Handling>,
    addresses: BTreeSet<SocketAddr>,
}

/// What an update concerns.
#[derive(Default)]
struct Concerned {
    clusters: BTreeSet<Arc<str>>,
    listeners: BTreeSet<Arc<str>>,
}

impl Compiler {
    /// An empty one, for which the clusters of this one are where they are: what workers know of them is kept.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self {
            places: self.places.clone(),
            ..Self::default()
        }
    }

    /// What is in force.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The configuration as of the last update.
    pub fn snapshot(&self, generation: u64) -> Snapshot {
        Snapshot {
            generation,
            ..self.current.clone()
        }
    }

    /// What a control plane said of a destination that no listener has; `None`: it was not asked, or there is one.
    pub fn answer(&mut self, destination: SocketAddr, answer: Option<Answer>) {
        match answer {
            Some(answer) => self.current.asked.insert(destination, answer),
            None => self.current.asked.remove(&destination),
        }
    }

    /// Puts an update in force.
    pub fn apply(&mut self, update: &Update) {
        let changed = update.set.iter().map(|resource| (resource.kind(), resource.name()));
        let removed = update.removed.iter().map(|(kind, name)| (*kind, &**name));
        let changed: Vec<(Kind, Arc<str>)> = changed
            .chain(removed)
            .map(|(kind, name)| (kind, Arc::from(name)))
            .collect();
        for (kind, name) in &changed {
            self.forget_uses(*kind, name);
        }
        self.catalog.apply(update);
        let mut concerned = Concerned::default();
        for (kind, name) in changed {
            self.concern(kind, name, &mut concerned);
        }
        let mut homes = BTreeSet::new();
        for name in concerned.clusters {
            self.cluster(&name);
            homes.insert(name);
        }
        for name in concerned.listeners {
            self.listener(&name, &mut homes);
        }
        self.bound();
        for name in homes {
            self.home(&name);
        }
    }

    /// Ends what the index knows of a resource as it was.
    fn forget_uses(&mut self, kind: Kind, name: &Arc<str>) {
        match kind {
            Kind::Cluster => {
                if let Some(assignment) = self
                    .catalog
                    .clusters
                    .get(name)
                    .and_then(|old| old.discovery.assignment())
                {
                    self.assigned.end(&Arc::from(assignment), name);
                }
            }
            Kind::Listener => {
                if let Some(old) = self.catalog.listeners.get(name) {
                    named_routes(old).for_each(|route| self.routed.end(&Arc::from(route), name));
                }
            }
            Kind::Assignment | Kind::Route => {}
        }
    }

    /// Begins what the index has to know of a resource as it is, and finds what has to be made anew.
    fn concern(&mut self, kind: Kind, name: Arc<str>, concerned: &mut Concerned) {
        match kind {
            Kind::Cluster => {
                if let Some(assignment) = self
                    .catalog
                    .clusters
                    .get(&name)
                    .and_then(|new| new.discovery.assignment())
                {
                    self.assigned.begin(Arc::from(assignment), &name);
                }
                concerned.clusters.insert(name);
            }
            Kind::Assignment => concerned.clusters.extend(self.assigned.of(&name).cloned()),
            Kind::Listener => {
                if let Some(new) = self.catalog.listeners.get(&name) {
                    named_routes(new).for_each(|route| self.routed.begin(Arc::from(route), &name));
                }
                concerned.listeners.insert(name);
            }
            Kind::Route => concerned.listeners.extend(self.routed.of(&name).cloned()),
        }
    }

    fn cluster(&mut self, name: &Arc<str>) {
        let place = self.places.of(name);
        let compiled = self.catalog.clusters.get(name).map(|cluster| {
            let assignments = &self.catalog.assignments;
            Arc::new(Cluster::compile(name, cluster, |name| assignments.get(name).cloned()))
        });
        match &compiled {
            Some(_) => self.current.named.insert(Arc::clone(name), place),
            None => self.current.named.remove(name),
        }
        let clusters = &mut self.current.clusters;
        if clusters.len() <= place {
            clusters.resize(place + 1, None);
        }
        clusters[place] = compiled;
    }

    /// Compiles a listener; clusters that it leads to, or led to, go to `homes`.
    fn listener(&mut self, name: &Arc<str>, homes: &mut BTreeSet<Arc<str>>) {
        self.withdraw(name, homes);
        self.bound.remove(name);
        match self.catalog.listeners.get(name).cloned() {
            Some(listener) if listener.direction == Direction::Outbound && !listener.bind => {
                self.claim(name, &listener, homes);
            }
            Some(_) => drop(self.bound.insert(Arc::clone(name))),
            None => {}
        }
    }

    fn claim(&mut self, name: &Arc<str>, listener: &Listener, homes: &mut BTreeSet<Arc<str>>) {
        let addresses = listener.addresses.clone();
        let port = addresses.first().map(SocketAddr::port);
        let chains: Vec<_> = listener.chains.iter().collect();
        let entry = self
            .fold(listener, &chains)
            .entry(port.filter(|port| addresses.iter().all(|one| one.port() == *port)));
        let new = Virtual { addresses, entry };
        for place in new.clusters() {
            self.leading.begin(place, name);
            homes.extend(self.name_of(place));
        }
        new.entry
            .handlings()
            .into_iter()
            .for_each(|handling| self.current.names.enter(handling));
        self.virtuals.insert(Arc::clone(name), new);
        for address in &listener.addresses {
            let winner = self.destinations.claim(*address, Arc::clone(name));
            self.lead(*address, Some(&winner));
        }
    }

    fn withdraw(&mut self, name: &Arc<str>, homes: &mut BTreeSet<Arc<str>>) {
        let Some(old) = self.virtuals.remove(name) else {
            return;
        };
        for place in old.clusters() {
            self.leading.end(&place, name);
            homes.extend(self.name_of(place));
        }
        old.entry
            .handlings()
            .into_iter()
            .for_each(|handling| self.current.names.leave(handling));
        for address in old.addresses {
            let winner = self.destinations.withdraw(address, name);
            self.lead(address, winner.as_ref());
        }
    }

    fn lead(&mut self, address: SocketAddr, listener: Option<&Arc<str>>) {
        match listener.and_then(|name| self.virtuals.get(name)) {
            Some(Virtual { entry, .. }) => self.current.services.insert(address, entry.clone()),
            None => self.current.services.remove(&address),
        }
    }

    /// Compiles the listeners that take connections over; of several on one side, the first by name.
    fn bound(&mut self) {
        let Snapshot {
            unknown,
            inbound,
            inbound_default,
            names,
            ..
        } = &self.current;
        let mut names = names.clone();
        let before = inbound.values().chain([unknown, inbound_default]);
        before
            .flat_map(Entry::handlings)
            .for_each(|handling| names.leave(handling));
        self.current.unknown = self.first_bound(Direction::Outbound).map_or(Entry::Closed, |listener| {
            let chains: Vec<_> = listener.chains.iter().collect();
            self.fold(&listener, &chains).entry(None)
        });
        self.current.inbound.clear();
        self.current.inbound_default = Entry::Closed;
        if let Some(listener) = self.first_bound(Direction::Inbound) {
            self.inbound(&listener);
        }
        let Snapshot {
            unknown,
            inbound,
            inbound_default,
            ..
        } = &self.current;
        let after = inbound.values().chain([unknown, inbound_default]);
        after
            .flat_map(Entry::handlings)
            .for_each(|handling| names.enter(handling));
        self.current.names = names;
    }

    fn first_bound(&self, direction: Direction) -> Option<Arc<Listener>> {
        let mut listeners = self.bound.iter().filter_map(|name| self.catalog.listeners.get(name));
        listeners.find(|listener| listener.direction == direction).cloned()
    }

    fn inbound(&mut self, listener: &Listener) {
        let mut groups: BTreeMap<Option<u16>, Vec<&FilterChain>> = BTreeMap::from([(None, Vec::new())]);
        for chain in &listener.chains {
            groups.entry(chain.matches.destination_port).or_default().push(chain);
        }
        for (port, chains) in groups {
            let entry = self.fold(listener, &chains).entry(port);
            match port {
                Some(port) => drop(self.current.inbound.insert(port, entry)),
                None => self.current.inbound_default = entry,
            }
        }
    }

    fn fold(&mut self, listener: &Listener, chains: &[&FilterChain]) -> Chains {
        let mut folder = Folder {
            catalog: &self.catalog,
            places: &mut self.places,
        };
        folder.chains(listener, chains)
    }

    fn name_of(&self, place: usize) -> Option<Arc<str>> {
        self.current.cluster(place).map(|cluster| Arc::clone(&cluster.name))
    }

    /// Lets the endpoints of a cluster be reached by their own addresses, for what is not sent to a Service (headless,
    /// `StatefulSet`, a scraper): as the first listener that leads there alone says; where none does, what is spoken is found
    /// out, and every limit is the default. What has rules for several clusters says nothing of one of their endpoints.
    fn home(&mut self, name: &Arc<str>) {
        let place = self.places.of(name);
        let cluster = self.current.cluster(place).cloned();
        let leading = self.leading.of(&place).filter_map(|name| self.virtuals.get(name));
        let alone = |listener: &&Virtual| listener.clusters().len() == 1;
        let handling = |listener: &Virtual| listener.entry.handling(*listener.addresses.first()?, None);
        let led = leading.filter(alone).take(1).find_map(handling);
        let old = self.direct.remove(name);
        let new = cluster.as_ref().and_then(|cluster| match &cluster.discovery {
            Discovery::Endpoints(assignment) => Some(Direct {
                owner: (led.is_none(), Arc::clone(name)),
                handling: led.unwrap_or_else(|| Arc::new(Handling::detected(Arc::clone(&cluster.service), place))),
                addresses: assignment.endpoints.iter().map(|endpoint| endpoint.address).collect(),
            }),
            Discovery::OriginalDestination(_) => None,
        });
        self.move_in(name, old, new);
    }

    fn move_in(&mut self, name: &Arc<str>, old: Option<Direct>, new: Option<Direct>) {
        let same =
            matches!((&old, &new), (Some(old), Some(new)) if old.owner == new.owner && old.handling == new.handling);
        let (mut out, mut into) = (BTreeSet::new(), BTreeSet::new());
        let owner = old.as_ref().map(|old| old.owner.clone());
        if let Some(old) = &old {
            self.current.names.leave(&old.handling);
            out.clone_from(&old.addresses);
        }
        if let Some(mut new) = new {
            self.current.names.enter(&new.handling);
            into.clone_from(&new.addresses);
            if same && let Some(old) = old {
                out = old.addresses.difference(&new.addresses).copied().collect();
                into = new.addresses.difference(&old.addresses).copied().collect();
                new.handling = old.handling;
            }
            self.direct.insert(Arc::clone(name), new);
        }
        for (address, owner) in out.into_iter().filter_map(|address| Some((address, owner.as_ref()?))) {
            let winner = self.owners.withdraw(address, owner);
            self.settle(address, winner);
        }
        for address in into {
            let Some(direct) = self.direct.get(name) else { return };
            let winner = self.owners.claim(address, direct.owner.clone());
            self.settle(address, Some(winner));
        }
    }

    fn settle(&mut self, address: SocketAddr, owner: Option<Owner>) {
        match owner.and_then(|(_, name)| self.direct.get(&name)) {
            Some(direct) => self.current.endpoints.insert(address, Arc::clone(&direct.handling)),
            None => self.current.endpoints.remove(&address),
        }
    }
}
