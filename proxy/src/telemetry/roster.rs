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

use crate::telemetry::Direction;
use crate::telemetry::book::Key;
use crate::telemetry::exposition::Labels;

/// The service of those that have no series of their own.
pub(super) const OTHER: &str = "other";
/// What a label says that nobody knows.
const UNKNOWN: &str = "unknown";

/// The services that are counted each for itself.
#[derive(Debug, Default)]
pub struct Roster {
    settings: Metrics,
    admitted: Mutex<BTreeSet<Key>>,
    turned_away: AtomicU64,
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
        let mut admitted = self.admitted();
        if admitted.contains(key) {
            return true;
        }
        let most = self.settings.services;
        if admitted.iter().filter(|(direction, _)| *direction == key.0).count() >= most {
            drop(admitted);
            if self.turned_away.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(
                    most,
                    service = &*key.1,
                    "more services than proxy.metrics.services: the others are counted together"
                );
            }
            return false;
        }
        admitted.insert(key.clone())
    }

    /// It has no series any more, and leaves its place to another.
    pub(super) fn forget(&self, key: &Key) {
        self.admitted().remove(key);
    }

    /// How many are in it.
    pub(super) fn len(&self) -> usize {
        self.admitted().len()
    }

    /// How often there was no place.
    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// What the series of a service say. Who asks is known of what goes out, and who is asked of what comes in: it is us.
    pub(super) fn labels(&self, (direction, service): &Key) -> Labels {
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
        let mut all = Labels::default()
            .with("direction", direction.label())
            .with("service", service);
        for label in labels {
            let value = match label {
                SeriesLabel::SourceWorkload => of(workload, Direction::Outbound),
                SeriesLabel::SourceNamespace => of(namespace, Direction::Outbound),
                SeriesLabel::SourceZone => of(zone, Direction::Outbound),
                SeriesLabel::DestinationWorkload => of(workload, Direction::Inbound),
                SeriesLabel::DestinationNamespace => match namespace_of(service) {
                    Some(namespace) => namespace.to_owned(),
                    None => of(namespace, Direction::Inbound),
                },
                SeriesLabel::DestinationZone => of(zone, Direction::Inbound),
            };
            all = all.with(label.label(), &value);
        }
        all
    }

    fn admitted(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The namespace of a service that has the name of Kubernetes' DNS, `NAME.NAMESPACE.svc.…`.
fn namespace_of(service: &str) -> Option<&str> {
    let mut parts = service.split(['.', ':']).skip(1);
    let namespace = parts.next()?;
    (parts.next()? == "svc").then_some(namespace)
}

/// Of a direction and a service.
pub(super) fn key(direction: Direction, service: &str) -> Key {
    (direction, Arc::from(service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Book;
    use crate::telemetry::Form;
    use crate::telemetry::Protocol;
    use crate::telemetry::render;

    fn roster(services: usize) -> Arc<Roster> {
        Arc::new(Roster::new(Metrics {
            labels: SeriesLabel::ALL.into(),
            workload: Some("cart".to_owned()),
            namespace: Some("shop".to_owned()),
            services,
            ..Metrics::default()
        }))
    }

    fn said(direction: Direction, service: &str) -> [String; 3] {
        let book = Book::with(0, roster(9));
        book.service(direction, service).http(Protocol::Http1);
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

    #[test]
    fn services_beyond_the_most_share_series_in_all_workers() {
        let roster = roster(1);
        let books = [0, 1].map(|worker| Book::with(worker, Arc::clone(&roster)));
        for (book, service) in [(0, "a"), (1, "b"), (1, "a"), (0, "c"), (0, "b")] {
            let series = books[book].service(Direction::Outbound, service);
            series.tcp();
        }
        books[0].service(Direction::Inbound, "a").tcp();
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
