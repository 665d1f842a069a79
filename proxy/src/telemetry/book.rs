//! What one worker counts.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::runtime::RuntimeMetrics;

use crate::telemetry::Counter;
use crate::telemetry::Destination;
use crate::telemetry::Direction;
use crate::telemetry::Eviction;
use crate::telemetry::Roster;
use crate::telemetry::ServiceSeries;
use crate::telemetry::Speculation;
use crate::telemetry::UpDown;
use crate::telemetry::Verdict;
use crate::telemetry::Version;
use crate::telemetry::key::Key;
use crate::telemetry::roster::OTHER;
use crate::telemetry::series::Closed;

/// Services that are looked at under the lock before it is given back.
const AT_ONCE: usize = 64;

/// The counters of one worker. The worker writes, a scrape reads; nobody else writes.
#[derive(Debug)]
pub struct Book {
    worker: usize,
    connections: [ConnectionSeries; Direction::ALL.len()],
    pools: [PoolSeries; Version::ALL.len()],
    pub(super) verdicts: [Counter; Verdict::ALL.len()],
    pub(super) speculations: [Counter; Speculation::ALL.len()],
    /// Connections that could not be accepted.
    pub accept_errors: Counter,
    /// Which snapshot of the configuration this worker uses.
    pub generation: UpDown,
    /// The most processor time that putting a snapshot in force has taken, in nanoseconds.
    longest_apply: UpDown,
    /// What this worker holds for readers that are behind, as of the last look.
    pub buffered_bytes: UpDown,
    runtime: OnceLock<RuntimeMetrics>,
    roster: Arc<Roster>,
    services: Mutex<Services>,
}

/// Accepted connections of one direction.
#[derive(Debug, Default)]
pub struct ConnectionSeries {
    pub(super) open: UpDown,
    pub(super) opened: Counter,
    pub(super) closed: Closed,
}

/// Upstream connections that one request after the other may use.
#[derive(Debug, Default)]
pub struct PoolSeries {
    /// Connections without a request.
    pub idle: UpDown,
    pub(super) waiting: UpDown,
    /// Connections that were made for a request.
    pub opened: Counter,
    /// Requests that found a connection.
    pub reused: Counter,
    pub(super) evicted: [Counter; Eviction::ALL.len()],
}

/// A request that waits for a connection, until it is dropped.
#[derive(Debug)]
pub struct Waiting<'a>(&'a PoolSeries);

impl PoolSeries {
    /// A request has no connection yet.
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.increment();
        Waiting(self)
    }

    /// So many connections without a request were closed.
    pub fn evicted(&self, why: Eviction, count: u64) {
        self.evicted[why as usize].add(count);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.decrement();
    }
}

type Services = BTreeMap<Key, Arc<ServiceSeries>>;

impl Book {
    /// An empty book of the worker with this number, that has nothing to do with others.
    pub fn new(worker: usize) -> Arc<Self> {
        Self::with(worker, Arc::default())
    }

    /// The same with services that are counted as this says, for all workers.
    pub fn with(worker: usize, roster: Arc<Roster>) -> Arc<Self> {
        Arc::new(Self {
            worker,
            roster,
            connections: Default::default(),
            pools: Default::default(),
            verdicts: Default::default(),
            speculations: Default::default(),
            accept_errors: Counter::default(),
            generation: UpDown::default(),
            longest_apply: UpDown::default(),
            buffered_bytes: UpDown::default(),
            runtime: OnceLock::new(),
            services: Mutex::default(),
        })
    }

    /// The runtime that the worker is run by, which knows how long it was busy.
    pub fn runs_on(&self, runtime: RuntimeMetrics) {
        // A worker has one runtime.
        let _ = self.runtime.set(runtime);
    }

    /// How long the worker had something to do, as of when it last had nothing.
    pub(super) fn busy(&self) -> Duration {
        let runtime = self.runtime.get();
        runtime.map_or(Duration::ZERO, |runtime| runtime.worker_total_busy_duration(0))
    }

    /// The series of one service, new or as it stands. It takes a lock: keep the result, do not ask for each request.
    /// Names come from the configuration, never from clients.
    pub fn service(&self, direction: Direction, service: &str) -> Arc<ServiceSeries> {
        let mut services = self.services();
        let wanted = Key::of(direction, service);
        if let Some(known) = services.get(&wanted) {
            return Arc::clone(known);
        }
        let admitted = if self.roster.admits(&wanted) {
            wanted
        } else {
            Key::of(direction, OTHER)
        };
        Arc::clone(services.entry(admitted).or_default())
    }

    /// The same of what goes to one of its destinations: those of the service where the destination is not known, or has no
    /// place in the roster.
    pub fn destined(&self, direction: Direction, service: &str, destination: &Arc<Destination>) -> Arc<ServiceSeries> {
        let of_all = self.service(direction, service);
        // What comes in is for us.
        if direction == Direction::Inbound || destination.is_unknown() {
            return of_all;
        }
        let wanted = Key {
            destination: Some(Arc::clone(destination)),
            ..Key::of(direction, service)
        };
        let mut services = self.services();
        if let Some(known) = services.get(&wanted) {
            return Arc::clone(known);
        }
        if services.contains_key(&Key::of(direction, service)) && self.roster.admits(&wanted) {
            return Arc::clone(services.entry(wanted).or_default());
        }
        of_all
    }

    /// Who answers at an endpoint of this workload and zone, as far as labels tell it; `None`: none does.
    pub fn destination(&self, workload: &str, zone: &str) -> Option<Arc<Destination>> {
        self.roster.destination(workload, zone)
    }

    /// Forgets a service, or one of its destinations, in all books, which are of one process, if nobody uses it and it
    /// has, where that is told, done nothing but this. Who would forget it in one book alone would make the sum of all go back.
    pub(super) fn forget(books: &[Arc<Self>], key: &Key, activity: Option<u64>) -> bool {
        let mut all: Vec<_> = books.iter().map(|book| book.services()).collect();
        let known = || all.iter().filter_map(|services| services.get(key));
        let done = || known().map(|series| series.activity()).fold(0, u64::wrapping_add);
        if known().any(is_in_use)
            || all.iter().any(|services| has_destinations(services, key))
            || activity.is_some_and(|activity| activity != done())
        {
            return false;
        }
        for (services, book) in all.iter_mut().zip(books) {
            services.remove(key);
            book.roster.forget(key);
        }
        true
    }

    /// Who is counted how.
    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The accepted connections of one direction.
    pub fn connections(&self, direction: Direction) -> &ConnectionSeries {
        &self.connections[direction as usize]
    }

    /// The pool of one version of HTTP.
    pub fn pool(&self, version: Version) -> &PoolSeries {
        &self.pools[version as usize]
    }

    /// The protocol of a connection became known.
    pub fn detected(&self, verdict: Verdict) {
        self.verdicts[verdict as usize].increment();
    }

    /// A connection dialled ahead of its need came to something.
    pub fn speculated(&self, speculation: Speculation) {
        self.speculations[speculation as usize].increment();
    }

    /// A snapshot was put in force, which took so much processor time: nothing else was done meanwhile.
    pub fn applied(&self, took: Duration) {
        let nanoseconds = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
        self.longest_apply.set(self.longest_apply.value().max(nanoseconds));
    }

    /// The longest of those times.
    pub(super) fn longest_apply(&self) -> Duration {
        Duration::from_nanos(self.longest_apply.value().unsigned_abs())
    }

    /// The number of the worker.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Requests and opaque connections that are under way in this worker: what a drain waits for.
    pub fn in_flight(&self) -> i64 {
        self.all_services().iter().map(|(_, series)| series.in_flight()).sum()
    }

    /// Every service that was ever registered and not forgotten.
    pub(super) fn all_services(&self) -> Vec<(Key, Arc<ServiceSeries>)> {
        self.services_where(|_| true)
    }

    /// Those of them that are wanted. The worker may want the lock meanwhile, and has it after each few.
    pub(super) fn services_where(&self, is_wanted: impl Fn(&Key) -> bool) -> Vec<(Key, Arc<ServiceSeries>)> {
        let (mut wanted, mut from) = (Vec::new(), Bound::Unbounded);
        loop {
            let services = self.services();
            let few = services.range((from, Bound::Unbounded)).take(AT_ONCE);
            let mut last = None;
            for (key, series) in few {
                if is_wanted(key) {
                    wanted.push((key.clone(), Arc::clone(series)));
                }
                last = Some(key);
            }
            let Some(last) = last else {
                return wanted;
            };
            from = Bound::Excluded(last.clone());
        }
    }

    fn services(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a destination of this service is still known: what has none yet begins with the service, which therefore stays.
fn has_destinations(services: &Services, key: &Key) -> bool {
    let after = (Bound::Excluded(key), Bound::Unbounded);
    let next = services.range::<Key, _>(after).next();
    key.destination.is_none() && next.is_some_and(|(next, _)| next.is_of(key))
}

fn is_in_use(series: &Arc<ServiceSeries>) -> bool {
    Arc::strong_count(series) > 1 || series.is_in_use()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_asked_for_again_keeps_its_series() {
        let book = Book::new(0);
        let series = book.service(Direction::Outbound, "a");
        assert!(Arc::ptr_eq(&series, &book.service(Direction::Outbound, "a")));
        assert!(!Arc::ptr_eq(&series, &book.service(Direction::Inbound, "a")));
    }

    #[test]
    fn those_that_are_wanted_are_found_among_more_than_are_looked_at_at_once() {
        let book = Book::new(0);
        for number in 0..3 * AT_ONCE {
            book.service(Direction::Outbound, &format!("{number:04}"));
        }
        assert_eq!(book.all_services().len(), 3 * AT_ONCE);
        let wanted = book.services_where(|key| key.service.ends_with('7'));
        let wanted: Vec<_> = wanted.iter().map(|(key, _)| &*key.service).collect();
        assert_eq!(wanted.len(), 19);
        assert!(wanted.is_sorted() && wanted.contains(&"0187"));
    }
}
