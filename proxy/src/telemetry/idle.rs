//! Series of services that nobody uses are forgotten, so that a page shows what goes on.
//!
//! Workers write nothing for this: what has not changed between two looks was not used.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::Book;
use crate::telemetry::key::Key;

/// What the services had done at the last look.
#[derive(Debug, Default)]
pub struct Idle(BTreeMap<Key, Look>);

#[derive(Debug)]
struct Look {
    activity: u64,
    /// When it was seen so first.
    since: Instant,
}

impl Idle {
    /// Forgets the series of services that were not used for `patience`, in all books at once: a sum over workers never
    /// goes back. To be called a few times in that time. Returns how many.
    pub fn evict(&mut self, books: &[Arc<Book>], patience: Duration, now: Instant) -> usize {
        let mut activities: BTreeMap<Key, u64> = BTreeMap::new();
        for (key, series) in books.iter().flat_map(|book| book.all_services()) {
            let sum = activities.entry(key).or_default();
            *sum = sum.wrapping_add(series.activity());
        }
        self.0.retain(|key, _| activities.contains_key(key));
        let mut evicted = 0;
        // A service stays while one of its destinations is used, and goes with the last of them: these come first.
        for (key, activity) in activities.into_iter().rev() {
            match self.0.entry(key) {
                Entry::Occupied(seen) if seen.get().activity == activity => {
                    if now - seen.get().since >= patience && Book::forget(books, seen.key(), Some(activity)) {
                        seen.remove();
                        evicted += 1;
                    }
                }
                other => {
                    other.insert_entry(Look { activity, since: now });
                }
            }
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Direction;
    use crate::telemetry::Protocol;
    use crate::telemetry::RequestRecord;
    use crate::telemetry::TcpRecord;

    const PATIENCE: Duration = Duration::from_mins(1);

    fn used(book: &Book, service: &str) {
        let series = book.service(Direction::Outbound, service);
        let record = RequestRecord::new(&series, Protocol::Http1, Instant::now());
        record.response_bytes(1);
    }

    fn names(book: &Book) -> Vec<String> {
        let all = book.all_services().into_iter();
        all.map(|(key, _)| key.service.to_string()).collect()
    }

    #[test]
    fn what_nobody_uses_in_any_worker_is_forgotten_by_all() {
        let books = [Book::new(0), Book::new(1)];
        let (mut idle, start) = (Idle::default(), Instant::now());
        for (book, service) in [(0, "left"), (1, "left"), (0, "alive"), (1, "alive")] {
            used(&books[book], service);
        }
        assert_eq!(idle.evict(&books, PATIENCE, start), 0);
        used(&books[1], "alive");
        assert_eq!(idle.evict(&books, PATIENCE, start + PATIENCE / 2), 0);
        assert_eq!(idle.evict(&books, PATIENCE, start + PATIENCE), 1);
        assert_eq!(
            (names(&books[0]), names(&books[1])),
            (vec!["alive".to_owned()], vec!["alive".to_owned()])
        );
        used(&books[0], "left");
        assert_eq!(names(&books[0]), ["alive", "left"]);
    }

    #[test]
    fn an_open_connection_keeps_its_series_even_if_it_is_silent() {
        let books = [Book::new(0)];
        let (mut idle, start) = (Idle::default(), Instant::now());
        let open = TcpRecord::new(&books[0].service(Direction::Outbound, "db"));
        assert_eq!(idle.evict(&books, PATIENCE, start), 0);
        assert_eq!(idle.evict(&books, PATIENCE, start + 2 * PATIENCE), 0);
        drop(open);
        assert_eq!(
            idle.evict(&books, PATIENCE, start + 4 * PATIENCE),
            0,
            "its end is something that happened"
        );
        assert_eq!(idle.evict(&books, PATIENCE, start + 5 * PATIENCE), 1);
    }

    #[test]
    fn a_destination_that_nobody_goes_to_is_forgotten_while_its_service_is_used() {
        let metrics = evenkeel_control_api::mesh::settings::Metrics {
            labels: vec![evenkeel_control_api::mesh::settings::SeriesLabel::DestinationWorkload],
            ..Default::default()
        };
        let books = [Book::with(0, Arc::new(crate::telemetry::Roster::new(metrics)))];
        let (mut idle, start) = (Idle::default(), Instant::now());
        let goes_to = |workload: &str| {
            let series = books[0].service(Direction::Outbound, "web");
            let mut record = RequestRecord::new(&series, Protocol::Http1, Instant::now());
            let destination = books[0].destination(workload, "").unwrap();
            record.destine(&books[0].destined(Direction::Outbound, "web", &destination));
            record.response_bytes(1);
        };
        goes_to("v1");
        goes_to("v2");
        assert_eq!(idle.evict(&books, PATIENCE, start), 0);
        goes_to("v2");
        assert_eq!(idle.evict(&books, PATIENCE, start + PATIENCE), 1);
        let left = || {
            let all = books[0].all_services().into_iter();
            let workload = |(key, _): (Key, _)| key.destination.map(|known| known.workload.to_string());
            all.map(workload).collect::<Vec<_>>()
        };
        assert_eq!(left(), [None, Some("v2".to_owned())], "the service is used while v2 is");
        assert_eq!(idle.evict(&books, PATIENCE, start + 2 * PATIENCE), 2);
        assert_eq!(left(), []);
    }

    #[test]
    fn a_busy_service_keeps_its_place_in_a_full_roster() {
        let metrics = evenkeel_control_api::mesh::settings::Metrics {
            labels: vec![evenkeel_control_api::mesh::settings::SeriesLabel::DestinationWorkload],
            services: 2,
            ..Default::default()
        };
        let books = [Book::with(0, Arc::new(crate::telemetry::Roster::new(metrics)))];
        let (mut idle, start) = (Idle::default(), Instant::now());
        for look in 0..5 {
            let series = books[0].service(Direction::Outbound, "busy");
            let mut record = RequestRecord::new(&series, Protocol::Http1, Instant::now());
            let destination = books[0].destination("v1", "").unwrap();
            record.destine(&books[0].destined(Direction::Outbound, "busy", &destination));
            record.response_bytes(1);
            drop((series, record));
            idle.evict(&books, PATIENCE, start + look * PATIENCE);
            // Whoever finds a place takes it.
            used(&books[0], "waits");
        }
        assert_eq!(names(&books[0]), ["busy", "busy", "other"]);
    }
}
