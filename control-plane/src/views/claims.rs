//! Whose an address is that two services have: whoever is declared goes before whoever is named besides, a VIP before an
//! endpoint of a headless service, then the service whose name is first. It is settled for all replicas of a control plane alike, and whoever waits gets it when it is free.

use super::{Name, Rank, Served};
use evenkeel_control_api::resource::Kind;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The listeners that services want, by name.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<Arc<str>, BTreeSet<Claim>>);

/// The least one has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    rank: Rank,
    by: By,
    service: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Vip,
    Endpoint,
}

impl Claims {
    pub(super) fn claim(&mut self, served: &Served, names: &BTreeSet<Name>) {
        let claim = Claim::of(served);
        for (_, name) in names.iter().filter(|(kind, _)| *kind == Kind::Listener) {
            self.0.entry(Arc::clone(name)).or_default().insert(claim.clone());
        }
    }

    pub(super) fn release(&mut self, served: &Served, names: &BTreeSet<Name>) {
        let claim = Claim::of(served);
        for (_, name) in names.iter().filter(|(kind, _)| *kind == Kind::Listener) {
            if let Some(claims) = self.0.get_mut(name) {
                claims.remove(&claim);
                if claims.is_empty() {
                    self.0.remove(name);
                }
            }
        }
    }

    /// The service whose a listener is.
    pub(super) fn owner(&self, kind: Kind, name: &str) -> Option<Arc<str>> {
        if kind != Kind::Listener {
            return None;
        }
        let first = self.0.get(name)?.first()?;
        Some(Arc::clone(&first.service))
    }

    /// Whether a resource of a service is its own. All but listeners have its name in theirs.
    pub(super) fn has(&self, service: &str, kind: Kind, name: &str) -> bool {
        kind != Kind::Listener || self.owner(kind, name).is_some_and(|owner| *owner == *service)
    }
}

impl Claim {
    fn of(served: &Served) -> Self {
        let service = &served.everywhere;
        Self {
            rank: served.rank,
            by: if service.vips.is_empty() { By::Endpoint } else { By::Vip },
            service: service.name.as_str().into(),
        }
    }
}
