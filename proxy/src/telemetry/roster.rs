//! Which services have series of their own, for all workers together, and what these say besides the service.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use evenkeel_control_api::mesh::settings::Metrics;
use evenkeel_control_api::mesh::settings::SeriesLabel;

use crate::telemetry::Destination;
use crate::telemetry::Direction;
use crate::telemetry::exposition::Labels;
use crate::telemetry::key::Destinations;
use crate::telemetry::key::Key;

/// The service of those that have no series of their own.
pub(super) const OTHER: &str = "other";
/// What a label says that nobody knows.
const UNKNOWN: &str = "unknown";

/// The services that are counted each for itself, and their destinations.
#[derive(Debug, Default)]
pub struct Roster {
    settings: Metrics,
    /// Of each direction.
    admitted: Mutex<[BTreeSet<Key>; 2]>,
    turned_away: AtomicU64,
    destinations: Mutex<Destinations>,
}

impl Roster {
    /// With nobody in it.
    pub fn new(settings: Metrics) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Whether a service has series of its own. It takes a lock that all workers share: to be asked once for each.
    pub(super) fn admits(&self, key: &Key) -> bool {
        let mut all = self.admitted();
        let admitted = &mut all[key.direction as usize];
        if admitted.contains(key) {
            return true;
        }
        let most = self.settings.services;
        if admitted.len() >= most {
            drop(all);
            if self.turned_away.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(
                    most,
                    service = &*key.service,
                    "more services and destinations than proxy.metrics.services: other services are counted together, other destinations with their service"
                );
            }
            return false;
        }
        admitted.insert(key.clone())
    }

    /// It has no series any more, and leaves its place to another.
    pub(super) fn forget(&self, key: &Key) {
        self.admitted()[key.direction as usize].remove(key);
    }

    /// Who answers at an endpoint of this workload and zone, as far as labels tell it; `None`: none does.
    pub(super) fn destination(&self, workload: &str, zone: &str) -> Option<Arc<Destination>> {
        let told = |label: SeriesLabel, value| {
            if self.settings.labels.contains(&label) {
                value
            } else {
                ""
            }
        };
        if !self.tells_destinations() {
            return None;
        }
        let workload = told(SeriesLabel::DestinationWorkload, workload);
        let zone = told(SeriesLabel::DestinationZone, zone);
        let mut destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        Some(destinations.get(workload, zone))
    }

    /// Whether labels tell who answers what goes out.
    pub(super) fn tells_destinations(&self) -> bool {
        let told = [SeriesLabel::DestinationWorkload, SeriesLabel::DestinationZone];
        told.iter().any(|label| self.settings.labels.contains(label))
    }

    /// How many are in it.
    pub(super) fn len(&self) -> usize {
        self.admitted().iter().map(BTreeSet::len).sum()
    }

    /// How often there was no place.
    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// What the series of a service say. Who asks is known of what goes out, and who is asked of what comes in: it is us. Who
    /// answers what goes out is known where the configuration says it of the endpoint.
    pub(super) fn labels(&self, key: &Key) -> Labels {
        let Key {
            direction,
            service,
            destination,
        } = key;
        let Metrics {
            labels,
            workload,
            namespace,
            zone,
            ..
        } = &self.settings;
        let of = |ours: &Option<String>, us: Direction| match ours {
            Some(ours) if us == *direction => ours.clone(),
            _ => UNKNOWN.to_owned(),
        };
        let answers = |ours: &Option<String>, theirs: fn(&Destination) -> &str| {
            let theirs = destination.as_deref().map(theirs).filter(|theirs| !theirs.is_empty());
            theirs.map_or_else(|| of(ours, Direction::Inbound), str::to_owned)
        };
        let mut all = Labels::default()
            .with("direction", direction.label())
            .with("service", service);
        for label in labels {
            let value = match label {
                SeriesLabel::SourceWorkload => of(workload, Direction::Outbound),
                SeriesLabel::SourceNamespace => of(namespace, Direction::Outbound),
                SeriesLabel::SourceZone => of(zone, Direction::Outbound),
                SeriesLabel::DestinationWorkload => answers(workload, |destination| &destination.workload),
                SeriesLabel::DestinationNamespace => match namespace_of(service) {
                    Some(namespace) => namespace.to_owned(),
                    None => of(namespace, Direction::Inbound),
                },
                SeriesLabel::DestinationZone => answers(zone, |destination| &destination.zone),
            };
            all = all.with(label.label(), &value);
        }
        all
    }

    fn admitted(&self) -> MutexGuard<'_, [BTreeSet<Key>; 2]> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The namespace of a service that has the name of Kubernetes' DNS, `NAME.NAMESPACE.svc.…`.
fn namespace_of(service: &str) -> Option<&str> {
    let mut parts = service.split(['.', ':']).skip(1);
    let namespace = parts.next()?;
    (parts.next()? == "svc").then_some(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Book;
    use crate::telemetry::Form;
    use crate::telemetry::Protocol;
    use crate::telemetry::RequestRecord;
    use crate::telemetry::ServiceSeries;
    use crate::telemetry::TcpRecord;
    use crate::telemetry::render;
    use tokio::time::Instant;

    fn roster(services: usize) -> Arc<Roster> {
        Arc::new(Roster::new(Metrics {
            labels: SeriesLabel::ALL.into(),
            workload: Some("cart".to_owned()),
            namespace: Some("shop".to_owned()),
            services,
            ..Metrics::default()
        }))
    }

    fn used(series: &ServiceSeries) {
        drop(RequestRecord::new(series, Protocol::Http1, Instant::now()));
    }

    fn said(direction: Direction, service: &str) -> [String; 3] {
        let book = Book::with(0, roster(9));
        used(&book.service(direction, service));
        let page = render(&[book], [], Form::Prometheus);
        let line = page
            .lines()
            .find(|line| line.starts_with("evenkeel_requests_in_flight"))
            .unwrap();
        let value = |label: &str| {
            let (_, rest) = line.split_once(&format!("{label}=\"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        [
            value("source_workload"),
            value("destination_namespace"),
            value("destination_workload"),
        ]
    }

    #[test]
    fn we_ask_what_goes_out_and_are_asked_what_comes_in() {
        let web = "web.front.svc.cluster.local:80";
        assert_eq!(said(Direction::Outbound, web), ["cart", "front", "unknown"]);
        assert_eq!(said(Direction::Outbound, "web:80"), ["cart", "unknown", "unknown"]);
        assert_eq!(said(Direction::Inbound, "inbound:8080"), ["unknown", "shop", "cart"]);
    }

    fn served(book: &Book, destination: [&str; 2]) {
        let service = book.service(Direction::Outbound, "web");
        let mut record = RequestRecord::new(&service, Protocol::Http1, Instant::now());
        let destination = book.destination(destination[0], destination[1]).unwrap();
        record.destine(&book.destined(Direction::Outbound, "web", &destination));
    }

    fn counted(books: &[Arc<Book>]) -> Vec<[String; 3]> {
        let page = render(books, [], Form::Prometheus);
        let lines = page.lines().filter(|line| line.starts_with("evenkeel_requests_total{"));
        let all = lines.map(|line| {
            let value = |label: &str| {
                line.split_once(&format!("{label}=\""))
                    .unwrap()
                    .1
                    .split('"')
                    .next()
                    .unwrap()
                    .to_owned()
            };
            let count = line.rsplit(' ').next().unwrap().to_owned();
            [value("destination_workload"), value("destination_zone"), count]
        });
        all.collect()
    }

    #[test]
    fn who_answers_is_counted_apart_in_all_workers_and_as_one_service() {
        let roster = roster(9);
        let books = [0, 1].map(|worker| Book::with(worker, Arc::clone(&roster)));
        for (book, destination) in [
            (0, ["v1", "a"]),
            (1, ["v1", "a"]),
            (0, ["v2", "b"]),
            (1, ["", ""]),
            (1, ["v2", ""]),
        ] {
            served(&books[book], destination);
        }
        let expected = [
            ["unknown", "unknown", "1"],
            ["v1", "a", "2"],
            ["v2", "unknown", "1"],
            ["v2", "b", "1"],
        ];
        assert_eq!(counted(&books), expected.map(|row| row.map(str::to_owned)));
        let services = crate::telemetry::services(&books);
        assert_eq!(
            (services.len(), services.values().next().unwrap().traffic.requests),
            (1, 5)
        );
        let page = render(&books, [], Form::Prometheus);
        assert!(!page.contains("evenkeel_requests_in_flight 1") && page.contains("\nevenkeel_metrics_services 4\n"));
    }

    #[test]
    fn a_retry_is_told_of_the_destination_that_failed_though_nothing_ended_there() {
        let books = [Book::with(0, roster(9))];
        let series = books[0].service(Direction::Outbound, "web");
        let mut record = RequestRecord::new(&series, Protocol::Http1, Instant::now());
        for (attempt, workload) in ["v1", "v2"].into_iter().enumerate() {
            if attempt > 0 {
                record.retried();
            }
            let destination = books[0].destination(workload, "a").unwrap();
            record.destine(&books[0].destined(Direction::Outbound, "web", &destination));
        }
        drop(record);
        let page = render(&books, [], Form::Prometheus);
        let retries = page
            .lines()
            .filter(|line| line.starts_with("evenkeel_request_retries_total{"));
        let retries: Vec<_> = retries.filter(|line| line.ends_with(" 1")).collect();
        assert!(matches!(&*retries, [one] if one.contains("\"v1\"")), "{retries:?}");
    }

    #[test]
    fn destinations_beyond_the_most_are_counted_with_their_service() {
        let book = Book::with(0, roster(2));
        for destination in [["v1", "a"], ["v2", "a"], ["v1", "a"], ["v3", "a"]] {
            served(&book, destination);
        }
        let expected = [["unknown", "unknown", "2"], ["v1", "a", "2"]];
        assert_eq!(counted(&[book]), expected.map(|row| row.map(str::to_owned)));
    }

    #[test]
    fn what_comes_in_is_for_us_whatever_its_endpoint_is_called() {
        let book = Book::with(0, roster(9));
        let service = book.service(Direction::Inbound, "inbound:80");
        let destination = book.destination("other", "b").unwrap();
        let same = book.destined(Direction::Inbound, "inbound:80", &destination);
        assert!(Arc::ptr_eq(&service, &same));
    }

    #[test]
    fn without_their_labels_nobody_is_told_apart() {
        let settings = Metrics {
            labels: vec![SeriesLabel::DestinationNamespace],
            ..Metrics::default()
        };
        assert!(Roster::new(settings).destination("v1", "a").is_none());
        let settings = Metrics {
            labels: vec![SeriesLabel::DestinationZone],
            ..Metrics::default()
        };
        let roster = Roster::new(settings);
        let zone = |workload| roster.destination(workload, "a").unwrap();
        assert!(Arc::ptr_eq(&zone("v1"), &zone("v2")));
    }

    #[test]
    fn services_beyond_the_most_share_series_in_all_workers() {
        let roster = roster(1);
        let books = [0, 1].map(|worker| Book::with(worker, Arc::clone(&roster)));
        for (book, service) in [(0, "a"), (1, "b"), (1, "a"), (0, "c"), (0, "b")] {
            drop(TcpRecord::new(&books[book].service(Direction::Outbound, service)));
        }
        drop(TcpRecord::new(&books[0].service(Direction::Inbound, "a")));
        let page = render(&books, [], Form::Prometheus);
        let services: Vec<_> = page
            .lines()
            .filter_map(|line| {
                line.strip_prefix("evenkeel_tcp_connections_open{direction=\"outbound\",service=\"")?
                    .split('"')
                    .next()
            })
            .collect();
        assert_eq!(services, ["a", OTHER]);
        assert_eq!((roster.len(), roster.turned_away()), (2, 3));
        assert!(
            page.contains("\nevenkeel_metrics_services 2\n") && page.contains("\nevenkeel_metrics_others_total 3\n")
        );
    }
}
