//! What the books have, summed up for pages that show less than all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::telemetry::Book;
use crate::telemetry::ConnectionSeries;
use crate::telemetry::Direction;
use crate::telemetry::EndpointSeries;
use crate::telemetry::Histogram;
use crate::telemetry::Protocol;
use crate::telemetry::ServiceSeries;
use crate::telemetry::Verdict;
use crate::telemetry::histogram::BOUNDS;

/// Requests and connections so far, of a service or of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that have ended; of an endpoint also attempts that were followed by another.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Opaque connections that were opened.
    pub connections: u64,
    /// Requests by duration; the last is what exceeds every bound.
    pub(crate) buckets: [u64; BOUNDS.len() + 1],
}

/// One service in one direction.
#[derive(Clone, Debug, Default)]
pub struct ServiceTraffic {
    /// All protocols together.
    pub traffic: Traffic,
    /// Requests that have not ended.
    pub in_flight: i64,
    /// Opaque connections that are open.
    pub open: i64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// What is spoken, by label.
    pub protocols: Vec<&'static str>,
}

/// Every service by direction and name, from all books.
pub fn services(books: &[Arc<Book>]) -> BTreeMap<(Direction, Arc<str>), ServiceTraffic> {
    let mut services: BTreeMap<_, ServiceTraffic> = BTreeMap::new();
    for (key, series) in books.iter().flat_map(|book| book.all_services()) {
        services.entry((key.direction, key.service)).or_default().add(&series);
    }
    services
}

/// Connections by how their protocol became known, from all books.
pub fn detections(books: &[Arc<Book>]) -> Vec<(&'static str, u64)> {
    let count = |verdict: Verdict| {
        let counts = books.iter().map(|book| book.verdicts[verdict as usize].value());
        (verdict.label(), counts.sum())
    };
    Verdict::ALL.into_iter().map(count).collect()
}

impl Traffic {
    /// What workers have counted about one endpoint.
    pub fn of_endpoint<'a>(parts: impl Iterator<Item = &'a EndpointSeries>) -> Self {
        let mut traffic = Self::default();
        for part in parts {
            traffic.observe(&part.duration);
            let abandoned = part.abandoned.value();
            traffic.requests += abandoned;
            traffic.failed += part.failed.value() + abandoned;
            traffic.connections += part.connections.value();
        }
        traffic
    }

    /// Together with `other`.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.connections += other.connections;
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
    }

    /// What came since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let bucket = |index: usize| self.buckets[index].saturating_sub(before.buckets[index]);
        Self {
            requests: self.requests.saturating_sub(before.requests),
            failed: self.failed.saturating_sub(before.failed),
            connections: self.connections.saturating_sub(before.connections),
            buckets: std::array::from_fn(bucket),
        }
    }

    /// The duration that this share of requests, 0 to 1, does not exceed, in seconds: within its bucket as if durations were
    /// spread evenly. `None`: there were none. What exceeds every bound is told as the last of them.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let all: u64 = self.buckets.iter().sum();
        let rank = share * all as f64;
        let (mut below, mut lower) = (0, 0.0);
        for (index, count) in self.buckets.iter().enumerate().filter(|_| all > 0) {
            let upper = BOUNDS.get(index).map_or(lower, |(nanos, _)| *nanos as f64 / 1e9);
            if *count > 0 && (below + count) as f64 >= rank {
                let inside = ((rank - below as f64) / *count as f64).max(0.0);
                return Some(lower + (upper - lower) * inside);
            }
            (below, lower) = (below + count, upper);
        }
        None
    }

    fn observe(&mut self, histogram: &Histogram) {
        for (index, bucket) in self.buckets.iter_mut().enumerate() {
            let count = histogram.bucket(index);
            *bucket += count;
            self.requests += count;
        }
    }
}

impl ServiceTraffic {
    fn add(&mut self, series: &ServiceSeries) {
        for protocol in Protocol::ALL {
            let Some(http) = series.http_if_used(protocol) else {
                continue;
            };
            self.traffic.observe(&http.duration);
            self.traffic.failed += http.failed.value();
            self.in_flight += http.in_flight.value();
            self.retries += http.retries.value();
            self.spoken(protocol.label());
        }
        if let Some(tcp) = series.tcp_if_used() {
            self.traffic.connections += tcp.opened.value();
            self.open += tcp.open.value();
            self.spoken("tcp");
        }
    }

    fn spoken(&mut self, protocol: &'static str) {
        if !self.protocols.contains(&protocol) {
            self.protocols.push(protocol);
        }
    }
}

impl ConnectionSeries {
    /// Those that are open.
    pub fn open(&self) -> i64 {
        self.open.value()
    }

    /// Those that were opened so far.
    pub fn opened(&self) -> u64 {
        self.opened.value()
    }
}

impl Book {
    /// How many services are counted.
    pub fn service_count(&self) -> usize {
        let all = self.all_services();
        all.iter().filter(|(key, _)| key.destination.is_none()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;
    use crate::telemetry::RequestRecord;
    use http::StatusCode;
    use std::time::Duration;
    use tokio::time::Instant;

    fn traffic(durations: &[u64]) -> Traffic {
        let series = EndpointSeries::default();
        for micros in durations {
            series.duration.observe(Duration::from_micros(*micros));
        }
        Traffic::of_endpoint([&series].into_iter())
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        assert_eq!(Traffic::default().quantile(0.5), None);
        let hundred: Vec<u64> = [[300; 98].as_slice(), &[40_000, 90_000_000]].concat();
        let hundred = traffic(&hundred);
        let median = hundred.quantile(0.5).unwrap();
        assert!((0.000_25..0.000_26).contains(&median), "{median}");
        let high = hundred.quantile(0.99).unwrap();
        assert!((high - 0.05).abs() < 1e-9, "{high}");
        assert_eq!(hundred.quantile(1.0), Some(60.0), "beyond every bound");
        assert_eq!(traffic(&[700]).quantile(0.0), Some(0.000_5));
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let (before, after) = (traffic(&[300, 300]), traffic(&[300, 300, 40_000]));
        let since = after.since(&before);
        assert_eq!(since.requests, 1);
        assert_eq!(since.quantile(1.0), Some(0.05));
        assert_eq!(before.since(&after), Traffic::default(), "an endpoint that began anew");
    }

    #[test]
    fn a_request_counts_where_its_last_attempt_went_and_failed_ones_before_it() {
        let book = Book::new(0);
        let service = book.service(Direction::Outbound, "web");
        let (dead, alive) = (Arc::<EndpointSeries>::default(), Arc::<EndpointSeries>::default());
        let mut record = RequestRecord::new(&service, Protocol::Http1, Instant::now());
        record.reach(&dead);
        record.reach(&alive);
        record.set_status(StatusCode::OK);
        drop(record);
        let (dead, alive) = (
            Traffic::of_endpoint([&*dead].into_iter()),
            Traffic::of_endpoint([&*alive].into_iter()),
        );
        assert_eq!((dead.requests, dead.failed), (1, 1));
        assert_eq!((alive.requests, alive.failed), (1, 0));
        let services = services(&[book]);
        let web = services.values().next().unwrap();
        assert_eq!((web.traffic.requests, web.traffic.failed), (1, 0));
        assert_eq!(web.protocols, ["http1"]);
    }

    #[test]
    fn what_a_client_does_is_no_failure_of_the_service() {
        type Case = (fn(&mut RequestRecord), u64);
        let cases: [Case; 7] = [
            (|record| record.set_status(StatusCode::NOT_FOUND), 0),
            (|record| record.set_status(StatusCode::BAD_GATEWAY), 1),
            (|record| record.set_failure(Reason::DownstreamGone), 0),
            (|record| record.set_failure(Reason::UpstreamReset), 1),
            (|_| {}, 1),
            (
                |record| {
                    record.set_status(StatusCode::OK);
                    record.set_grpc_status(14_u32);
                },
                1,
            ),
            (
                |record| {
                    record.set_status(StatusCode::OK);
                    record.set_grpc_status(5_u32);
                },
                0,
            ),
        ];
        for (number, (outcome, failed)) in cases.into_iter().enumerate() {
            let book = Book::new(0);
            let series = book.service(Direction::Outbound, "web");
            let mut record = RequestRecord::new(&series, Protocol::Grpc, Instant::now());
            outcome(&mut record);
            drop(record);
            let services = services(&[book]);
            assert_eq!(
                services.values().next().unwrap().traffic.failed,
                failed,
                "case {number}"
            );
        }
    }
}
