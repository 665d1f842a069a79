//! Typed resources one by one: what a client of the control API publishes, and who keeps it.

use super::Cluster;
use super::ClusterLoadAssignment;
use super::Kind;
use super::Listener;
use super::Resources;
use super::RouteConfiguration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One resource of any type.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// CDS.
    Cluster(Arc<Cluster>),
    /// EDS.
    Assignment(Arc<ClusterLoadAssignment>),
    /// LDS.
    Listener(Arc<Listener>),
    /// RDS.
    Route(Arc<RouteConfiguration>),
}

impl Resource {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cluster(_) => Kind::Cluster,
            Self::Assignment(_) => Kind::Assignment,
            Self::Listener(_) => Kind::Listener,
            Self::Route(_) => Kind::Route,
        }
    }

    /// Unique among those of its type.
    pub fn name(&self) -> &str {
        match self {
            Self::Cluster(cluster) => &cluster.name,
            Self::Assignment(assignment) => &assignment.cluster,
            Self::Listener(listener) => &listener.name,
            Self::Route(route) => &route.name,
        }
    }
}

/// What changes at once: either all of it is in force, or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// New, or in another form than before.
    pub set: Vec<Resource>,
    /// Not there any more.
    pub removed: Vec<(Kind, Arc<str>)>,
}

impl Update {
    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }
}

/// Resources by name. Cloning one copies pointers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// CDS.
    pub clusters: BTreeMap<Arc<str>, Arc<Cluster>>,
    /// EDS.
    pub assignments: BTreeMap<Arc<str>, Arc<ClusterLoadAssignment>>,
    /// LDS.
    pub listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    /// RDS.
    pub routes: BTreeMap<Arc<str>, Arc<RouteConfiguration>>,
}

impl Catalog {
    /// Puts an update in force.
    pub fn apply(&mut self, update: &Update) {
        for (kind, name) in &update.removed {
            match kind {
                Kind::Cluster => drop(self.clusters.remove(name)),
                Kind::Assignment => drop(self.assignments.remove(name)),
                Kind::Listener => drop(self.listeners.remove(name)),
                Kind::Route => drop(self.routes.remove(name)),
            }
        }
        for resource in &update.set {
            let name = Arc::from(resource.name());
            match resource {
                Resource::Cluster(cluster) => drop(self.clusters.insert(name, Arc::clone(cluster))),
                Resource::Assignment(assignment) => drop(self.assignments.insert(name, Arc::clone(assignment))),
                Resource::Listener(listener) => drop(self.listeners.insert(name, Arc::clone(listener))),
                Resource::Route(route) => drop(self.routes.insert(name, Arc::clone(route))),
            }
        }
    }

    /// What makes `after` of this one.
    pub fn difference(&self, after: &Self) -> Update {
        let mut update = Update::default();
        compare(
            Kind::Cluster,
            &self.clusters,
            &after.clusters,
            Resource::Cluster,
            &mut update,
        );
        compare(
            Kind::Assignment,
            &self.assignments,
            &after.assignments,
            Resource::Assignment,
            &mut update,
        );
        compare(
            Kind::Listener,
            &self.listeners,
            &after.listeners,
            Resource::Listener,
            &mut update,
        );
        compare(Kind::Route, &self.routes, &after.routes, Resource::Route, &mut update);
        update
    }
}

fn compare<T: PartialEq>(
    kind: Kind,
    before: &BTreeMap<Arc<str>, Arc<T>>,
    after: &BTreeMap<Arc<str>, Arc<T>>,
    wrap: fn(Arc<T>) -> Resource,
    update: &mut Update,
) {
    for (name, resource) in after {
        // `Arc`s of the same resource compare without looking inside only where `T: Eq`; so look at the pointers first.
        let same = before
            .get(name)
            .is_some_and(|old| Arc::ptr_eq(old, resource) || old == resource);
        if !same {
            update.set.push(wrap(Arc::clone(resource)));
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    update.removed.extend(gone.map(|name| (kind, Arc::clone(name))));
}

impl From<Resources> for Catalog {
    fn from(resources: Resources) -> Self {
        let Resources {
            listeners,
            routes,
            clusters,
            assignments,
        } = resources;
        Self {
            clusters: by_name(clusters, |cluster| &cluster.name),
            assignments: by_name(assignments, |assignment| &assignment.cluster),
            listeners: by_name(listeners, |listener| &listener.name),
            routes: by_name(routes, |route| &route.name),
        }
    }
}

fn by_name<T>(resources: Vec<T>, name: fn(&T) -> &str) -> BTreeMap<Arc<str>, Arc<T>> {
    resources
        .into_iter()
        .map(|resource| (Arc::from(name(&resource)), Arc::new(resource)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh;

    fn catalog(text: &str) -> Catalog {
        mesh::load(text).expect("a good document").resources.into()
    }

    const WEB: &str = "services:\n- name: web\n  vips: [10.96.0.1]\n  ports:\n  - port: 80\n    endpoints: [{address: 10.0.0.1:80}]\n";

    #[test]
    fn the_same_differs_in_nothing() {
        assert!(catalog(WEB).difference(&catalog(WEB)).is_empty());
    }

    #[test]
    fn a_difference_holds_what_changed_and_nothing_else() {
        let (before, after) = (catalog(WEB), catalog(&WEB.replace("10.0.0.1", "10.0.0.2")));
        let update = before.difference(&after);
        let changed: Vec<_> = update.set.iter().map(|one| (one.kind(), one.name())).collect();
        assert_eq!(changed, [(Kind::Assignment, "outbound|80||web")]);
        assert!(update.removed.is_empty());
    }

    #[test]
    fn a_difference_applied_is_the_other() {
        let (mut before, after) = (catalog(WEB), catalog("unknown: refuse\n"));
        let update = before.difference(&after);
        assert!(!update.removed.is_empty());
        before.apply(&update);
        assert_eq!(before, after);
    }
}
