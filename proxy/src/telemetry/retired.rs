//! Series of services that have left the configuration are kept for a while, and then forgotten.
//!
//! They come back when a bad update is undone, and their last requests want to be seen; a mesh that renames its services every
//! day must not grow for ever.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::telemetry::Book;
use crate::telemetry::Direction;
use crate::telemetry::key::Key;
use crate::telemetry::roster::OTHER;

/// How many are kept.
const KEPT: usize = 256;

/// Those that have left, in the order in which they did.
#[derive(Debug, Default)]
pub struct Retired(Vec<Key>);

impl Retired {
    /// Tells which services the configuration has that is in force in all workers. Of the others the last 256 to leave are
    /// kept, and those that somebody still uses; the rest is forgotten in all books at once: each worker has met others, and
    /// if it forgot by itself, a sum over workers would go back.
    pub fn update(&mut self, books: &[Arc<Book>], is_configured: impl Fn(Direction, &str) -> bool) {
        let has_left = |key: &Key| &*key.service != OTHER && !is_configured(key.direction, &key.service);
        let all = books.iter().flat_map(|book| book.services_where(has_left));
        let mut left: BTreeSet<_> = all.map(|(key, _)| key).collect();
        self.0.retain(|key| left.remove(key));
        // A service cannot be forgotten before its destinations.
        self.0.extend(left.into_iter().rev());
        let surplus = self.0.len().saturating_sub(KEPT);
        let mut place = 0;
        self.0.retain(|key| {
            place += 1;
            place > surplus || !Book::forget(books, key, None)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Form;
    use crate::telemetry::Protocol;
    use crate::telemetry::RequestRecord;
    use crate::telemetry::Roster;
    use crate::telemetry::render;
    use evenkeel_control_api::mesh::settings::Metrics;
    use evenkeel_control_api::mesh::settings::SeriesLabel;
    use tokio::time::Instant;

    fn used(book: &Book, service: &str) {
        let series = book.service(Direction::Outbound, service);
        drop(RequestRecord::new(&series, Protocol::Http1, Instant::now()));
    }

    fn names(book: &Book) -> Vec<String> {
        let all = book.all_services().into_iter();
        all.map(|(key, _)| key.service.to_string()).collect()
    }

    /// So many services come and go, one after the other, in this book.
    fn pass(retired: &mut Retired, books: &[Arc<Book>], meets: usize, count: usize) {
        for number in 0..count {
            used(&books[meets], &format!("passing {number}"));
            retired.update(books, |_, service| service == "stays");
        }
    }

    #[test]
    fn a_service_that_left_is_kept_for_a_while_and_then_forgotten() {
        let (mut retired, books) = (Retired::default(), [Book::new(0)]);
        used(&books[0], "stays");
        used(&books[0], "leaves");
        retired.update(&books, |_, service| service == "stays");
        assert_eq!(names(&books[0]), ["leaves", "stays"]);
        pass(&mut retired, &books, 0, KEPT - 1);
        assert!(names(&books[0]).contains(&"leaves".to_owned()));
        pass(&mut retired, &books, 0, KEPT);
        let names = names(&books[0]);
        assert_eq!(names.len(), KEPT + 1);
        assert!(names.contains(&"stays".to_owned()) && !names.contains(&"leaves".to_owned()));
    }

    #[test]
    fn a_service_that_comes_back_counts_on_and_leaves_anew() {
        let (mut retired, books) = (Retired::default(), [Book::new(0)]);
        let series = books[0].service(Direction::Outbound, "a");
        retired.update(&books, |_, _| false);
        pass(&mut retired, &books, 0, KEPT - 1);
        retired.update(&books, |_, service| service == "a");
        assert!(Arc::ptr_eq(&series, &books[0].service(Direction::Outbound, "a")));
        drop(series);
        pass(&mut retired, &books, 0, KEPT - 1);
        assert!(names(&books[0]).contains(&"a".to_owned()));
    }

    #[test]
    fn a_service_with_a_request_in_flight_is_not_forgotten() {
        let (mut retired, books) = (Retired::default(), [Book::new(0)]);
        let series = books[0].service(Direction::Outbound, "busy");
        let in_flight = RequestRecord::new(&series, Protocol::Http1, Instant::now());
        drop(series);
        pass(&mut retired, &books, 0, KEPT + 9);
        assert!(names(&books[0]).contains(&"busy".to_owned()));
        drop(in_flight);
        retired.update(&books, |_, service| service == "stays");
        assert!(!names(&books[0]).contains(&"busy".to_owned()));
    }

    #[test]
    fn a_sum_over_workers_that_met_others_never_goes_back() {
        let (mut retired, books) = (Retired::default(), [Book::new(0), Book::new(1)]);
        let told = || {
            let page = render(&books, [], Form::Prometheus);
            let mut lines = page.lines();
            let told = lines.find(|line| line.starts_with("evenkeel_requests_total{") && line.contains("\"gone\""));
            told.map(|line| line.rsplit(' ').next().unwrap().to_owned())
        };
        for book in &books {
            used(book, "gone");
        }
        retired.update(&books, |_, _| false);
        pass(&mut retired, &books, 0, KEPT - 1);
        assert_eq!(told().as_deref(), Some("2"));
        pass(&mut retired, &books, 0, KEPT);
        assert_eq!(told(), None);
    }

    #[test]
    fn what_shares_a_series_stays_and_destinations_leave_with_their_service() {
        let settings = Metrics {
            labels: vec![SeriesLabel::DestinationWorkload],
            services: KEPT + 3,
            ..Metrics::default()
        };
        let (mut retired, books) = (Retired::default(), [Book::with(0, Arc::new(Roster::new(settings)))]);
        used(&books[0], "leaves");
        for workload in ["v1", "v2"] {
            let destination = books[0].destination(workload, "").unwrap();
            books[0].destined(Direction::Outbound, "leaves", &destination);
        }
        let counted = || names(&books[0]).iter().filter(|name| *name == "leaves").count();
        retired.update(&books, |_, _| false);
        for (number, expected) in (0..=KEPT + 1).zip([3; KEPT - 2].into_iter().chain([2, 1, 0, 0])) {
            assert_eq!(counted(), expected, "before {number}");
            used(&books[0], &format!("passing {number}"));
            retired.update(&books, |_, _| false);
        }
        for number in 0..9 {
            used(&books[0], &format!("more {number}"));
        }
        assert!(names(&books[0]).contains(&OTHER.to_owned()));
        retired.update(&books, |_, _| false);
        assert!(names(&books[0]).contains(&OTHER.to_owned()));
    }
}
