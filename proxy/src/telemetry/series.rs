//! What one worker counts about one service.

use std::ops::Index;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::failure::Reason;
use crate::telemetry::Counter;
use crate::telemetry::Histogram;
use crate::telemetry::Protocol;
use crate::telemetry::UpDown;
use crate::telemetry::exemplars::Exemplars;
use crate::telemetry::status::GrpcStatuses;
use crate::telemetry::status::Statuses;

/// Counters by [`Reason`], in the order of its list.
#[derive(Debug)]
pub(super) struct Reasons([Counter; Reason::ALL.len()]);

impl Default for Reasons {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Index<usize> for Reasons {
    type Output = Counter;

    fn index(&self, reason: usize) -> &Counter {
        &self.0[reason]
    }
}

/// The series of one service in one direction. What nobody speaks costs a pointer: an `HttpSeries` is more than a
/// kilobyte, and a mesh has a thousand services.
#[derive(Debug, Default)]
pub struct ServiceSeries {
    http: [OnceLock<Arc<HttpSeries>>; Protocol::ALL.len()],
    tcp: OnceLock<Arc<TcpSeries>>,
}

impl ServiceSeries {
    /// The requests in this protocol.
    pub fn http(&self, protocol: Protocol) -> &Arc<HttpSeries> {
        self.http[protocol as usize].get_or_init(Arc::default)
    }

    /// The connections whose requests we do not see.
    pub fn tcp(&self) -> &Arc<TcpSeries> {
        self.tcp.get_or_init(Arc::default)
    }

    pub(super) fn http_if_used(&self, protocol: Protocol) -> Option<&HttpSeries> {
        self.http[protocol as usize].get().map(Arc::as_ref)
    }

    pub(super) fn tcp_if_used(&self) -> Option<&TcpSeries> {
        self.tcp.get().map(Arc::as_ref)
    }

    pub(super) fn in_flight(&self) -> i64 {
        let requests = self
            .http
            .iter()
            .filter_map(OnceLock::get)
            .map(|http| http.in_flight.value());
        requests.chain(self.tcp_if_used().map(|tcp| tcp.open.value())).sum()
    }

    /// A number that changes whenever something has ended here.
    pub(super) fn activity(&self) -> u64 {
        let bytes = |http: &Arc<HttpSeries>| http.request_bytes.value().wrapping_add(http.response_bytes.value());
        let requests = self.http.iter().filter_map(OnceLock::get);
        let requests = requests.map(|http| {
            let done = http.duration.nanos().wrapping_add(bytes(http));
            done.wrapping_add(http.retries.value())
        });
        let connections = self.tcp_if_used().map_or(0, |tcp| {
            let bytes = tcp.received_bytes.value().wrapping_add(tcp.sent_bytes.value());
            bytes
                .wrapping_add(tcp.opened.value())
                .wrapping_add(tcp.duration.nanos())
        });
        requests.fold(connections, u64::wrapping_add)
    }

    /// Whether a request or connection still writes here.
    pub(super) fn is_in_use(&self) -> bool {
        let in_use = |http: &Arc<HttpSeries>| Arc::strong_count(http) > 1;
        self.http.iter().filter_map(OnceLock::get).any(in_use)
            || self.tcp.get().is_some_and(|tcp| Arc::strong_count(tcp) > 1)
    }
}

/// When counters were all 0: now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Born(pub(super) SystemTime);

impl Default for Born {
    fn default() -> Self {
        Self(SystemTime::now())
    }
}

/// The requests to one service in one protocol.
#[derive(Debug, Default)]
pub struct HttpSeries {
    pub(super) born: Born,
    pub(super) in_flight: UpDown,
    pub(super) statuses: Statuses,
    pub(super) grpc_statuses: GrpcStatuses,
    pub(super) failures: Reasons,
    /// Those that failed, whoever found it out: the endpoint by its status, or the mesh.
    pub(super) failed: Counter,
    pub(super) retries: Counter,
    pub(super) retries_forbidden: Counter,
    pub(super) configured: Counter,
    pub(super) request_bytes: Counter,
    pub(super) response_bytes: Counter,
    pub(super) duration: Histogram,
    /// Of `duration`.
    pub(super) exemplars: Exemplars,
}

impl HttpSeries {
    /// Whether nothing is there to be shown: what was begun here has gone on to its destination. A retry stays where the attempt
    /// failed, and may be all that there is of a destination that answers nobody.
    pub(super) fn is_untouched(&self) -> bool {
        let counts = [
            &self.request_bytes,
            &self.response_bytes,
            &self.retries,
            &self.retries_forbidden,
        ];
        self.in_flight.value() == 0 && self.duration.is_empty() && counts.iter().all(|count| count.value() == 0)
    }
}

/// The opaque connections to one service.
#[derive(Debug, Default)]
pub struct TcpSeries {
    pub(super) born: Born,
    pub(super) open: UpDown,
    pub(super) opened: Counter,
    pub(super) closed: Closed,
    pub(super) received_bytes: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) duration: Histogram,
}

impl TcpSeries {
    /// The same as of requests.
    pub(super) fn is_untouched(&self) -> bool {
        self.open.value() == 0 && self.opened.value() == 0
    }
}

/// Closed connections by what closed them.
#[derive(Debug, Default)]
pub(super) struct Closed {
    orderly: Counter,
    failed: Reasons,
}

impl Closed {
    pub(super) fn count(&self, reason: Option<Reason>) {
        self.of(reason).increment();
    }

    /// The count of one reason; `None` is an orderly close.
    pub(super) fn of(&self, reason: Option<Reason>) -> &Counter {
        reason.map_or(&self.orderly, |reason| &self.failed[reason as usize])
    }
}
