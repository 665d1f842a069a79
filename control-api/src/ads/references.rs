//! Which resource names which, both ways.

use crate::ads::message::Text;
use crate::ads::per_kind::PerKind;
use crate::resource::Kind;
use crate::resource::Resource;
use crate::resource::RouteConfiguration;
use crate::resource::cluster::Discovery;
use crate::resource::listener::NetworkFilter;
use crate::resource::listener::RouteSource;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

/// Which version of a resource names another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// The last good one.
    Candidate,
    /// The one that is in force.
    Live,
}

/// A resource that names another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct User {
    /// In which of its versions.
    pub form: Form,
    /// Its type.
    pub kind: Kind,
    /// Its name.
    pub name: Text,
}

/// Whether anything names a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// Something does now, and nothing did before.
    Begins,
    /// Nothing does any more.
    Ends,
}

/// Who names what. A resource is kept subscribed while its candidate user waits and its live user serves.
#[derive(Clone, Debug, Default)]
pub(crate) struct References {
    users: PerKind<HashMap<Text, BTreeSet<User>>>,
}

impl References {
    /// Who names a resource.
    fn users(&self, kind: Kind, name: &str) -> impl Iterator<Item = &User> {
        self.users[kind].get(name).into_iter().flatten()
    }

    /// Whose candidates name a resource, and may wait for it.
    pub(crate) fn candidates(&self, kind: Kind, name: &str) -> impl Iterator<Item = (Kind, &Text)> {
        let candidates = self.users(kind, name).filter(|user| user.form == Form::Candidate);
        candidates.map(|user| (user.kind, &user.name))
    }

    /// Whether something in force names it.
    pub(crate) fn in_force(&self, kind: Kind, name: &str) -> bool {
        // Live users come last in their order.
        let last = self.users[kind].get(name).and_then(BTreeSet::last);
        last.is_some_and(|user| user.form == Form::Live)
    }

    /// A user has another version, and so names other resources. Returns what is named for the first time, or not any more.
    pub(crate) fn replace(
        &mut self,
        user: &User,
        before: Option<&Resource>,
        after: Option<&Resource>,
    ) -> Vec<(Kind, Text, Usage)> {
        let before = before.map(targets).unwrap_or_default();
        let after = after.map(targets).unwrap_or_default();
        let mut changes = Vec::new();
        for (kind, name) in after.difference(&before) {
            let users = &mut self.users[*kind];
            if let Some(users) = users.get_mut(*name) {
                users.insert(user.clone());
            } else {
                let name = Text::from(*name);
                users.insert(Arc::clone(&name), BTreeSet::from([user.clone()]));
                changes.push((*kind, name, Usage::Begins));
            }
        }
        for (kind, name) in before.difference(&after) {
            let users = &mut self.users[*kind];
            let Some(remaining) = users.get_mut(*name) else {
                continue;
            };
            remaining.remove(user);
            if remaining.is_empty() {
                users.remove(*name);
                changes.push((*kind, Text::from(*name), Usage::Ends));
            }
        }
        changes
    }
}

/// What a resource names.
pub(crate) fn targets(resource: &Resource) -> BTreeSet<(Kind, &str)> {
    match resource {
        Resource::Cluster(cluster) => match &cluster.discovery {
            Discovery::Eds(name) => BTreeSet::from([(Kind::Assignment, name.as_str())]),
            Discovery::Static(_) | Discovery::Dns(_) | Discovery::OriginalDestination(_) => BTreeSet::new(),
        },
        Resource::Assignment(_) => BTreeSet::new(),
        Resource::Listener(listener) => {
            let chains = listener.chains.iter().chain(&listener.default_chain);
            chains.flat_map(|chain| of_filter(&chain.filter)).collect()
        }
        Resource::Route(routes) => of_routes(routes).collect(),
    }
}

fn of_filter(filter: &NetworkFilter) -> BTreeSet<(Kind, &str)> {
    match filter {
        NetworkFilter::Tcp(proxy) => proxy
            .clusters
            .iter()
            .map(|one| (Kind::Cluster, one.name.as_str()))
            .collect(),
        NetworkFilter::Http(manager) => match &manager.routes {
            RouteSource::Inline(routes) => of_routes(routes).collect(),
            RouteSource::Named(name) => BTreeSet::from([(Kind::Route, name.as_str())]),
        },
    }
}

fn of_routes(routes: &RouteConfiguration) -> impl Iterator<Item = (Kind, &str)> {
    routes.clusters().map(|cluster| (Kind::Cluster, cluster))
}
