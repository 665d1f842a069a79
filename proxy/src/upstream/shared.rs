//! What workers share about endpoints: load, latency, back-off, and counts for the operator's page; and about clusters:
//! the retry budget. Kept by name and address, so that an update of the configuration never resets it.

use super::backoff::Backoff;
use super::budget::Budget;
use crate::balance::Load;
use crate::telemetry::{EndpointSeries, Traffic};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

/// One endpoint of one cluster, as all workers see it.
#[derive(Debug)]
pub struct Shared {
    /// When all counts were 0.
    pub born: SystemTime,
    /// Requests in flight and latency.
    pub load: Arc<Load>,
    /// After failures to connect.
    pub backoff: Backoff,
    /// HTTP/1 connections that wait in pools.
    pub idle: AtomicI64,
    /// HTTP/2 connections.
    pub multiplexed: AtomicI64,
    /// Connections opened.
    pub opened: AtomicU64,
    /// Attempts to connect that failed.
    pub failed: AtomicU64,
    /// What each worker counts there. A worker that forgets an endpoint and comes back counts on.
    series: Mutex<BTreeMap<usize, Arc<EndpointSeries>>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            born: SystemTime::now(),
            load: Arc::default(),
            backoff: Backoff::default(),
            idle: AtomicI64::default(),
            multiplexed: AtomicI64::default(),
            opened: AtomicU64::default(),
            failed: AtomicU64::default(),
            series: Mutex::default(),
        }
    }
}

impl Shared {
    /// Where this worker counts. It takes a lock: keep the result.
    pub fn series(&self, worker: usize) -> Arc<EndpointSeries> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(series.entry(worker).or_default())
    }

    /// What all workers have counted.
    pub fn traffic(&self) -> Traffic {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        Traffic::of_endpoint(series.values().map(Arc::as_ref))
    }
}

/// Cluster and address.
type Key = (Arc<str>, SocketAddr);

/// All endpoints and clusters that any worker knows. Locked when the configuration changes and when a page is drawn, never by a request.
#[derive(Debug, Default)]
pub struct Registry {
    known: Mutex<HashMap<Key, Weak<Shared>>>,
    budgets: Mutex<HashMap<Arc<str>, Weak<Budget>>>,
}

impl Registry {
    /// The state of this endpoint; begun anew only when no worker holds it any more.
    pub fn endpoint(&self, cluster: &Arc<str>, address: SocketAddr) -> Arc<Shared> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry((Arc::clone(cluster), address)).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let fresh = Arc::new(Shared::default());
            *entry = Arc::downgrade(&fresh);
            fresh
        })
    }

    /// The retry budget of this cluster; full only when no worker holds it any more.
    pub fn budget(&self, cluster: &Arc<str>) -> Arc<Budget> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = budgets.entry(Arc::clone(cluster)).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let full = Arc::new(Budget::default());
            *entry = Arc::downgrade(&full);
            full
        })
    }

    /// The same of a cluster that some worker has; `None`: none does.
    pub fn budget_if_known(&self, cluster: &str) -> Option<Arc<Budget>> {
        let budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.get(cluster)?.upgrade()
    }

    /// Forgets what no worker holds.
    pub fn prune(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, state| state.strong_count() > 0);
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.retain(|_, budget| budget.strong_count() > 0);
    }

    /// Everything that is alive, in the order of cluster and address.
    pub fn all(&self) -> Vec<(Arc<str>, SocketAddr, Arc<Shared>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known
            .iter()
            .filter_map(|((cluster, address), state)| Some((Arc::clone(cluster), *address, state.upgrade()?)))
            .collect();
        drop(known);
        all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_endpoint_has_one_state_until_nobody_holds_it() {
        let registry = Registry::default();
        let (cluster, address) = (Arc::from("web"), SocketAddr::from(([10, 0, 0, 1], 80)));
        let first = registry.endpoint(&cluster, address);
        assert!(Arc::ptr_eq(&first, &registry.endpoint(&cluster, address)));
        drop(first);
        registry.prune();
        assert!(registry.all().is_empty());
    }

    #[test]
    fn the_same_cluster_has_one_budget_until_nobody_holds_it() {
        let (registry, cluster) = (Registry::default(), Arc::from("web"));
        let first = registry.budget(&cluster);
        assert!(Arc::ptr_eq(&first, &registry.budget(&cluster)));
        assert!(!Arc::ptr_eq(&first, &registry.budget(&Arc::from("other"))));
        drop(first);
        registry.prune();
        assert!(registry.budgets.lock().unwrap().is_empty());
    }
}
