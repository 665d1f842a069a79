//! What is wanted of the control plane: what was configured, what the application turned out to need, and what resources
//! name.

use crate::ads::message::Text;
use crate::ads::names::Names;
use crate::ads::per_kind::PerKind;
use crate::ads::references::Usage;
use crate::resource::Kind;
use std::collections::BTreeSet;

/// Which listeners are subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listeners {
    /// All that the control plane has for this node.
    Wildcard,
    /// These, always; others when they are asked for. Readiness waits for these alone.
    Named(Vec<String>),
}

/// Which clusters are subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clusters {
    /// All that the control plane has for this node.
    Wildcard,
    /// Those that listeners and routes name.
    Referenced,
}

/// The subscriptions to all types.
#[derive(Clone, Debug)]
pub(crate) struct Interest {
    pub(crate) names: PerKind<Names>,
    clusters: Clusters,
    /// Listeners that are never given up.
    ordinary: BTreeSet<Text>,
}

/// What a subscription has to do with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It is wanted now.
    Request,
    /// Nobody wants it any more.
    Forget,
}

impl Interest {
    /// What was configured.
    pub(crate) fn new(listeners: &Listeners, clusters: Clusters) -> Self {
        let mut names = PerKind::<Names>::default();
        let mut ordinary = BTreeSet::new();
        match listeners {
            Listeners::Wildcard => names[Kind::Listener] = Names::wildcard(),
            Listeners::Named(listeners) => ordinary.extend(listeners.iter().map(|name| Text::from(name.as_str()))),
        }
        for name in &ordinary {
            names[Kind::Listener].want(name);
        }
        if clusters == Clusters::Wildcard {
            names[Kind::Cluster] = Names::wildcard();
        }
        Self {
            names,
            clusters,
            ordinary,
        }
    }

    /// Listeners that readiness waits for by name.
    pub(crate) fn ordinary(&self) -> &BTreeSet<Text> {
        &self.ordinary
    }

    /// A listener is needed.
    pub(crate) fn want_listener(&mut self, name: &Text) -> Wish {
        self.names[Kind::Listener].want(name);
        Wish::Request
    }

    /// A listener is not needed any more. `None`: it stays all the same.
    pub(crate) fn forget_listener(&mut self, name: &Text) -> Option<Wish> {
        if self.ordinary.contains(name) {
            return None;
        }
        self.names[Kind::Listener].forget(name);
        Some(Wish::Forget)
    }

    /// A resource is named now, or is not any more.
    pub(crate) fn follow(&mut self, kind: Kind, name: &Text, usage: Usage) -> Option<Wish> {
        let by_name = match kind {
            Kind::Assignment | Kind::Route => true,
            Kind::Cluster => self.clusters == Clusters::Referenced,
            Kind::Listener => false,
        };
        if !by_name {
            return None;
        }
        match usage {
            Usage::Begins => {
                self.names[kind].want(name);
                Some(Wish::Request)
            }
            Usage::Ends => {
                self.names[kind].forget(name);
                Some(Wish::Forget)
            }
        }
    }
}
