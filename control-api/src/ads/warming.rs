//! From the last good versions to what is in force: make before break.
//!
//! ```text
//! a cluster     goes live when its endpoints arrived, or were waited for in vain
//! endpoints     are live with the cluster that names them
//! a listener    goes live when its routes arrived and the clusters that they name are live, or known to be missing
//! routes        are live with the listener that names them, and wait for new clusters in the same way
//! ```
//! Until then the version before serves. A listener that is removed goes at once; a cluster when nothing in force names it
//! any more, or after a while.

use crate::ads::message::Text;
use crate::ads::per_kind::PerKind;
use crate::ads::references::References;
use crate::ads::references::targets;
use crate::ads::store::Entry;
use crate::ads::store::State;
use crate::ads::store::Store;
use crate::resource::Kind;
use crate::resource::Resource;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a cluster that was removed serves the routes that still name it.
const LINGER: Duration = Duration::from_secs(10);

/// What is in force, and what waits to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warming {
    live: PerKind<HashMap<Text, Resource>>,
    /// Resources whose candidate waits for others.
    waiting: BTreeSet<(Kind, Text)>,
    /// Removed clusters, and when they go in any case.
    lingering: HashMap<Text, Instant>,
}

/// What becomes of a resource.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// What is in force stays.
    Keep,
    /// What is in force stays until others have arrived.
    Wait,
    /// What is in force stays until nothing names it.
    Linger,
    /// This is in force now.
    Set(Resource),
    /// It is not in force any more.
    Remove,
}

impl Warming {
    /// The version in force.
    pub(crate) fn live(&self, kind: Kind, name: &str) -> Option<&Resource> {
        self.live[kind].get(name)
    }

    /// Whether a resource waits for others.
    pub(crate) fn waits(&self, kind: Kind, name: &Text) -> bool {
        self.waiting.contains(&(kind, Arc::clone(name)))
    }

    /// Whether nothing of a type waits.
    pub(crate) fn is_settled(&self, kind: Kind) -> bool {
        !self.waiting.iter().any(|(waiting, _)| *waiting == kind)
    }

    /// When the next removed cluster goes in any case.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.lingering.values().min().copied()
    }

    /// Removed clusters whose time is over.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<Text> {
        let overdue = self.lingering.iter().filter(|(_, until)| **until <= now);
        overdue.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// What should become of a resource, as the store and the references are now.
    pub(crate) fn decide(
        &self,
        (kind, name): (Kind, &Text),
        store: &Store,
        references: &References,
        now: Instant,
    ) -> Verdict {
        let entry = store.entry(kind, name);
        let candidate = entry.and_then(Entry::resource);
        let live = self.live(kind, name);
        match kind {
            Kind::Cluster => match (candidate, live) {
                (Some(cluster), _) => self.go_live(cluster, live, store),
                (None, Some(_)) if self.may_leave(name, entry, references, now) => Verdict::Remove,
                (None, Some(_)) => Verdict::Linger,
                (None, None) => Verdict::Keep,
            },
            Kind::Listener => match (candidate, live) {
                (Some(listener), _) => self.go_live(listener, live, store),
                (None, Some(_)) => Verdict::Remove,
                (None, None) => Verdict::Keep,
            },
            Kind::Assignment | Kind::Route => {
                let used = references.in_force(kind, name);
                match (candidate, live) {
                    (Some(resource), _) if used => self.go_live(resource, live, store),
                    (_, Some(_)) if !used => Verdict::Remove,
                    _ => Verdict::Keep,
                }
            }
        }
    }

    /// Puts a verdict in force. Returns the version that was in force before.
    pub(crate) fn apply(&mut self, kind: Kind, name: &Text, verdict: &Verdict, now: Instant) -> Option<Resource> {
        let place = (kind, Arc::clone(name));
        match verdict {
            Verdict::Wait => self.waiting.insert(place),
            _ => self.waiting.remove(&place),
        };
        if kind == Kind::Cluster {
            match verdict {
                Verdict::Linger => {
                    self.lingering.entry(Arc::clone(name)).or_insert(now + LINGER);
                }
                _ => drop(self.lingering.remove(name)),
            }
        }
        match verdict {
            Verdict::Keep | Verdict::Wait | Verdict::Linger => None,
            Verdict::Set(resource) => self.live[kind].insert(Arc::clone(name), resource.clone()),
            Verdict::Remove => self.live[kind].remove(name),
        }
    }

    fn go_live(&self, candidate: &Resource, live: Option<&Resource>, store: &Store) -> Verdict {
        if live.is_some_and(|live| same(live, candidate)) {
            Verdict::Keep
        } else if self.is_warm(candidate, live, store) {
            Verdict::Set(candidate.clone())
        } else {
            Verdict::Wait
        }
    }

    /// Whether everything that a resource names has arrived, or will not.
    fn is_warm(&self, resource: &Resource, live: Option<&Resource>, store: &Store) -> bool {
        targets(resource).into_iter().all(|(kind, name)| match kind {
            Kind::Assignment => has_arrived(store.entry(kind, name), live),
            Kind::Route => self.live(kind, name).is_some() || self.has_warm_route(name, live, store),
            Kind::Cluster | Kind::Listener => self.is_live_or_missing(name, store),
        })
    }

    fn has_warm_route(&self, name: &str, live: Option<&Resource>, store: &Store) -> bool {
        match store.resource(Kind::Route, name) {
            Some(routes) => self.is_warm(routes, None, store),
            None => has_arrived(store.entry(Kind::Route, name), live),
        }
    }

    /// A route may name a cluster that is not there. One that is on its way is waited for.
    fn is_live_or_missing(&self, name: &str, store: &Store) -> bool {
        self.live(Kind::Cluster, name).is_some()
            || store
                .entry(Kind::Cluster, name)
                .is_none_or(|entry| entry.resource.is_none() && entry.state != State::Requested)
    }

    fn may_leave(&self, name: &Text, entry: Option<&Entry>, references: &References, now: Instant) -> bool {
        if self.lingering.get(name).is_some_and(|until| *until <= now) {
            return true;
        }
        // Asked for again before it had gone: the answer decides.
        let awaited = entry.is_some_and(|entry| entry.state == State::Requested);
        !awaited && !references.in_force(Kind::Cluster, name)
    }
}

/// Whether a resource that another one needs has arrived, or was waited for in vain. One that was refused is as good as
/// missing where nothing serves yet; else the version before goes on.
fn has_arrived(entry: Option<&Entry>, live: Option<&Resource>) -> bool {
    entry.is_some_and(|entry| match entry.state {
        _ if entry.resource.is_some() => true,
        State::DoesNotExist | State::Timeout => true,
        State::Nacked => live.is_none(),
        State::Acked | State::Requested => false,
    })
}

/// Whether two are one.
fn same(one: &Resource, other: &Resource) -> bool {
    match (one, other) {
        (Resource::Cluster(one), Resource::Cluster(other)) => Arc::ptr_eq(one, other),
        (Resource::Assignment(one), Resource::Assignment(other)) => Arc::ptr_eq(one, other),
        (Resource::Listener(one), Resource::Listener(other)) => Arc::ptr_eq(one, other),
        (Resource::Route(one), Resource::Route(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}
