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

/// Services that left the configuration and whose series are still shown. They come back when a bad update is
/// undone, and their last requests want to be seen; a mesh that renames its services every day must not grow for ever.
const RETIRED_KEPT: usize = 256;
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

#[derive(Debug, Default)]
struct Services {
    entries: BTreeMap<Key, Entry>,
    retirements: u64,
}

#[derive(Debug)]
struct Entry {
    series: Arc<ServiceSeries>,
    /// How many had left before it did. `None`: it is in the configuration.
    retired: Option<u64>,
}

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
        if let Some(known) = services.known(&wanted) {
            return known;
        }
        services.add(if self.roster.admits(&wanted) {
            wanted
        } else {
            Key::of(direction, OTHER)
        })
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
        if let Some(known) = services.known(&wanted) {
            return known;
        }
        if services.known(&Key::of(direction, service)).is_some() && self.roster.admits(&wanted) {
            return services.add(wanted);
        }
        of_all
    }

    /// Who answers at an endpoint of this workload and zone, as far as labels tell it; `None`: none does.
    pub fn destination(&self, workload: &str, zone: &str) -> Option<Arc<Destination>> {
        self.roster.destination(workload, zone)
    }

    /// Tells which services the configuration has. The others stay, so that what they count is not lost, until 256
    /// more have left; one that is still written to is never forgotten. Every worker is told the same in the same
    /// order, and so they forget alike: no sum over workers goes back while its service exists.
    pub fn retain(&self, is_configured: impl Fn(Direction, &str) -> bool) {
        let is_configured = |direction, service: &str| service == OTHER || is_configured(direction, service);
        for key in self.services().retain(is_configured) {
            self.roster.forget(&key);
        }
    }

    /// Forgets a service in all books, which are of one process, if nobody uses it and it has done nothing but this.
    pub(super) fn forget(books: &[Arc<Self>], key: &Key, activity: u64) -> bool {
        let mut all: Vec<_> = books.iter().map(|book| book.services()).collect();
        let known = || all.iter().filter_map(|services| services.entries.get(key));
        let done = known().map(|entry| entry.series.activity());
        if known().any(Entry::is_in_use) || done.fold(0, u64::wrapping_add) != activity {
            return false;
        }
        for (services, book) in all.iter_mut().zip(books) {
            services.entries.remove(key);
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

    /// Every service that was ever registered and not forgotten. The worker may want the lock meanwhile, and has it after
    /// each few.
    pub(super) fn all_services(&self) -> Vec<(Key, Arc<ServiceSeries>)> {
        let mut all: Vec<(Key, Arc<ServiceSeries>)> = Vec::new();
        loop {
            let from = all
                .last()
                .map_or(Bound::Unbounded, |(key, _)| Bound::Excluded(key.clone()));
            let before = all.len();
            let services = self.services();
            let next = services.entries.range((from, Bound::Unbounded)).take(AT_ONCE);
            all.extend(next.map(|(key, entry)| (key.clone(), Arc::clone(&entry.series))));
            drop(services);
            if all.len() < before + AT_ONCE {
                return all;
            }
        }
    }

    fn services(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Services {
    fn known(&self, key: &Key) -> Option<Arc<ServiceSeries>> {
        self.entries.get(key).map(|entry| Arc::clone(&entry.series))
    }

    fn add(&mut self, key: Key) -> Arc<ServiceSeries> {
        let entry = || Entry {
            series: Arc::default(),
            retired: None,
        };
        Arc::clone(&self.entries.entry(key).or_insert_with(entry).series)
    }

    /// Returns those that are forgotten.
    fn retain(&mut self, is_configured: impl Fn(Direction, &str) -> bool) -> Vec<Key> {
        for (key, entry) in &mut self.entries {
            if is_configured(key.direction, &key.service) {
                entry.retired = None;
            } else if entry.retired.is_none() {
                entry.retired = Some(self.retirements);
                self.retirements += 1;
            }
        }
        let mut retired: Vec<u64> = self.entries.values().filter_map(|entry| entry.retired).collect();
        retired.sort_unstable();
        let Some(surplus) = retired.len().checked_sub(RETIRED_KEPT + 1) else {
            return Vec::new();
        };
        let newest_forgotten = retired[surplus];
        let is_old = |entry: &mut Entry| entry.retired.is_some_and(|retired| retired <= newest_forgotten);
        let forgotten = self
            .entries
            .extract_if(.., |_, entry| is_old(entry) && !entry.is_in_use());
        forgotten.map(|(key, _)| key).collect()
    }
}

impl Entry {
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.series) > 1 || self.series.is_in_use()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Protocol;

    fn names(book: &Book) -> Vec<String> {
        book.all_services()
            .into_iter()
            .map(|(key, _)| key.service.to_string())
            .collect()
    }

    #[test]
    fn a_service_that_is_asked_for_again_keeps_its_series() {
        let book = Book::new(0);
        let series = book.service(Direction::Outbound, "a");
        assert!(Arc::ptr_eq(&series, &book.service(Direction::Outbound, "a")));
        assert!(!Arc::ptr_eq(&series, &book.service(Direction::Inbound, "a")));
    }

    #[test]
    fn a_service_that_left_is_kept_for_a_while_and_then_forgotten() {
        let book = Book::new(0);
        book.service(Direction::Outbound, "stays");
        book.service(Direction::Outbound, "leaves");
        book.retain(|_, service| service == "stays");
        assert_eq!(names(&book), ["leaves", "stays"]);
        for generation in 0..RETIRED_KEPT {
            book.service(Direction::Outbound, &format!("passing {generation}"));
            book.retain(|_, service| service == "stays");
        }
        let names = names(&book);
        assert_eq!(names.len(), RETIRED_KEPT + 1);
        assert!(names.contains(&"stays".to_owned()) && !names.contains(&"leaves".to_owned()));
    }

    #[test]
    fn a_service_that_comes_back_counts_on() {
        let book = Book::new(0);
        let series = book.service(Direction::Outbound, "a");
        book.retain(|_, _| false);
        book.retain(|_, _| true);
        assert!(Arc::ptr_eq(&series, &book.service(Direction::Outbound, "a")));
        assert_eq!(
            book.services()
                .entries
                .values()
                .filter_map(|entry| entry.retired)
                .count(),
            0
        );
    }

    #[test]
    fn a_service_with_a_request_in_flight_is_not_forgotten() {
        let book = Book::new(0);
        let in_flight = Arc::clone(book.service(Direction::Outbound, "busy").http(Protocol::Http1));
        for generation in 0..=RETIRED_KEPT {
            book.service(Direction::Outbound, &format!("passing {generation}"));
        }
        book.retain(|_, _| false);
        assert!(names(&book).contains(&"busy".to_owned()));
        drop(in_flight);
        book.retain(|_, _| false);
        assert!(!names(&book).contains(&"busy".to_owned()));
    }
}
