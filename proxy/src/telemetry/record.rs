//! One request or connection, booked when it is dropped: what is cancelled is counted like anything else.
//!
//! A record is dropped on the worker whose book it writes. Bytes are counted as they pass, because a stream may live
//! for days. Nothing here allocates; what the access log needs is gathered by who asks for it.

use std::cell::Cell;
use std::sync::Arc;

use http::HeaderMap;
use http::Response;
use http::StatusCode;
use tokio::time::Instant;

use crate::failure::Reason;
use crate::telemetry::Book;
use crate::telemetry::Direction;
use crate::telemetry::EndpointSeries;
use crate::telemetry::HttpSeries;
use crate::telemetry::Protocol;
use crate::telemetry::ServiceSeries;
use crate::telemetry::TcpSeries;
use crate::telemetry::access_log::Entry;
use crate::telemetry::access_log::Outcome;
use crate::telemetry::fault;
use crate::telemetry::fault::Fault;
use crate::telemetry::histogram::Taken;
use crate::telemetry::trace::Span;
use crate::telemetry::trace::TraceId;

/// One request, from its head to the end of its response.
#[derive(Debug)]
pub struct RequestRecord {
    series: Arc<HttpSeries>,
    protocol: Protocol,
    started: Instant,
    status: Option<StatusCode>,
    grpc_status: Option<u32>,
    failure: Option<Reason>,
    /// Of the endpoint that has it.
    endpoint: Option<Arc<EndpointSeries>>,
    entry: Option<Box<Entry>>,
    span: Option<Box<Span>>,
}

impl RequestRecord {
    /// A request whose head was complete at `started`.
    pub fn new(series: &ServiceSeries, protocol: Protocol, started: Instant) -> Self {
        let series = Arc::clone(series.http(protocol));
        series.in_flight.increment();
        Self {
            series,
            protocol,
            started,
            status: None,
            grpc_status: None,
            failure: None,
            endpoint: None,
            entry: None,
            span: None,
        }
    }

    /// With this line in the access log when it ends.
    #[must_use]
    pub fn logged(mut self, entry: Option<Box<Entry>>) -> Self {
        self.entry = entry;
        self
    }

    /// With this span, which goes to the collector when it ends; its trace, for who tells of the request as well.
    pub fn trace(&mut self, trace: TraceId, span: Option<Box<Span>>) {
        self.span = span;
        if let Some(entry) = self.entry() {
            entry.trace(trace);
        }
    }

    /// The span in the making; nothing while the request is not recorded.
    pub fn span(&mut self) -> Option<&mut Span> {
        self.span.as_deref_mut()
    }

    /// The trace that the collector will have of it; nothing while the request is not recorded.
    pub fn recorded_trace(&self) -> Option<TraceId> {
        self.span.as_ref().map(|span| span.trace())
    }

    /// The line in the making; nothing while there is no access log.
    pub fn entry(&mut self) -> Option<&mut Entry> {
        self.entry.as_deref_mut()
    }

    /// The head of an endpoint's answer is here.
    pub fn answered(&mut self, now: Instant) {
        if let Some(entry) = &mut self.entry {
            entry.answered(|| now - self.started);
        }
    }

    /// The head of an answer, as the client gets it; whether somebody tells of the trailers.
    pub fn answer(&mut self, head: &Response<()>) -> bool {
        self.set_status(head.status());
        let Some(entry) = &mut self.entry else { return false };
        entry.answered(|| self.started.elapsed());
        let Some(wanted) = entry.wanted().cloned() else {
            return false;
        };
        entry.answer(wanted.of_answer(head.headers()));
        wanted.wants_trailers()
    }

    /// The trailers that the client gets, if there were any.
    pub fn tell_trailers(&mut self, trailers: Option<&HeaderMap>) {
        if let (Some(entry), Some(trailers)) = (&mut self.entry, trailers) {
            entry.trailers(trailers);
        }
    }

    /// The status of the response that the client gets.
    pub fn set_status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// The `grpc-status` of the trailers, or of a response without a body.
    pub fn set_grpc_status(&mut self, status: impl Into<u32>) {
        self.grpc_status = Some(status.into());
    }

    /// Why it failed. The first reason stands: what comes after is its consequence.
    pub fn set_failure(&mut self, reason: Reason) {
        self.failure.get_or_insert(reason);
    }

    /// Bytes of the request's body passed.
    pub fn request_bytes(&self, bytes: u64) {
        self.series.request_bytes.add(bytes);
        if let Some(entry) = &self.entry {
            entry.received(bytes);
        }
    }

    /// Bytes of the response's body passed.
    pub fn response_bytes(&self, bytes: u64) {
        self.series.response_bytes.add(bytes);
        if let Some(entry) = &self.entry {
            entry.sent(bytes);
        }
    }

    /// An attempt goes to this endpoint; the one before, if there was one, has failed.
    pub fn reach(&mut self, endpoint: &Arc<EndpointSeries>) {
        if let Some(before) = self.endpoint.replace(Arc::clone(endpoint)) {
            before.abandoned.increment();
        }
    }

    /// Whom the attempt goes to is counted apart: what comes from now on is counted there, and so is the whole request unless
    /// another attempt follows.
    pub fn destine(&mut self, series: &ServiceSeries) {
        let series = series.http(self.protocol);
        series.in_flight.increment();
        self.series.in_flight.decrement();
        self.series = Arc::clone(series);
    }

    /// The configuration answers it, with a redirect or a direct response.
    pub fn answered_by_configuration(&mut self) {
        self.series.configured.increment();
        if let Some(entry) = self.entry() {
            entry.answer_by_configuration();
        }
    }

    /// Another attempt is made.
    pub fn retried(&self) {
        self.series.retries.increment();
    }

    /// Another attempt would have been made, but for the retry budget.
    pub fn retry_forbidden(&mut self) {
        self.series.retries_forbidden.increment();
        if let Some(entry) = self.entry() {
            entry.forbid_retry();
        }
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let series = &self.series;
        series.in_flight.decrement();
        series.statuses.count(self.status);
        if let Some(status) = self.grpc_status {
            series.grpc_statuses.count(status);
        }
        let failure = self.failure.or_else(cut_off);
        if let Some(reason) = failure {
            series.failures[reason as usize].increment();
        }
        let duration = self.started.elapsed();
        let taken = Taken::of(duration);
        series.duration.count(taken);
        let outcome = Outcome {
            status: self.status,
            grpc_status: self.grpc_status,
            failure,
            duration,
        };
        let failed = fault::of_request(&outcome) == Some(Fault::Service);
        if failed {
            series.failed.increment();
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint.duration.count(taken);
            if failed {
                endpoint.failed.increment();
            }
        }
        if let Some(entry) = &self.entry {
            entry.end(&outcome, self.span.as_ref().map(|span| span.identity()));
        }
        if let Some(span) = self.span.take() {
            series.exemplars.keep(taken, span.trace(), span.identity());
            span.end(outcome);
        }
    }
}

thread_local! {
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// The worker of this thread ends: what is under way from now on is cut off, and told so.
pub fn cut_off_the_rest() {
    ENDS.set(true);
}

fn cut_off() -> Option<Reason> {
    ENDS.get().then_some(Reason::ProxyEnded)
}

/// One connection that was accepted.
#[derive(Debug)]
pub struct ConnectionRecord {
    book: Arc<Book>,
    direction: Direction,
    failure: Option<Reason>,
}

impl ConnectionRecord {
    /// A connection that was just accepted.
    pub fn new(book: Arc<Book>, direction: Direction) -> Self {
        let series = book.connections(direction);
        series.opened.increment();
        series.open.increment();
        Self {
            book,
            direction,
            failure: None,
        }
    }

    /// Why it ended, if not in order. The first reason stands.
    pub fn set_failure(&mut self, reason: Reason) {
        self.failure.get_or_insert(reason);
    }
}

impl Drop for ConnectionRecord {
    fn drop(&mut self) {
        let series = self.book.connections(self.direction);
        series.open.decrement();
        series.closed.count(self.failure.or_else(cut_off));
    }
}

/// One opaque connection to a service.
#[derive(Debug)]
pub struct TcpRecord {
    series: Arc<TcpSeries>,
    opened: Instant,
    failure: Option<Reason>,
    entry: Option<Box<Entry>>,
    /// It is among those that were opened.
    counted: bool,
}

impl TcpRecord {
    /// A connection that is about to be carried to its service.
    pub fn new(series: &ServiceSeries) -> Self {
        let series = Arc::clone(series.tcp());
        series.open.increment();
        Self {
            series,
            counted: false,
            opened: Instant::now(),
            failure: None,
            entry: None,
        }
    }

    /// With this line in the access log when it ends.
    #[must_use]
    pub fn logged(mut self, entry: Option<Box<Entry>>) -> Self {
        self.entry = entry;
        self
    }

    /// The line in the making; nothing while there is no access log.
    pub fn entry(&mut self) -> Option<&mut Entry> {
        self.entry.as_deref_mut()
    }

    /// An endpoint has it, who is counted apart where there is a series.
    pub fn reach(&mut self, destined: Option<&ServiceSeries>) {
        if let Some(series) = destined {
            let series = series.tcp();
            series.open.increment();
            self.series.open.decrement();
            self.series = Arc::clone(series);
        }
        self.count();
    }

    /// A counter never goes back: it counts when it is known where.
    fn count(&mut self) {
        if !self.counted {
            self.series.opened.increment();
            self.counted = true;
        }
    }

    /// Bytes went from the client to the service.
    pub fn received(&self, bytes: u64) {
        self.series.received_bytes.add(bytes);
        if let Some(entry) = &self.entry {
            entry.received(bytes);
        }
    }

    /// Bytes went from the service to the client.
    pub fn sent(&self, bytes: u64) {
        self.series.sent_bytes.add(bytes);
        if let Some(entry) = &self.entry {
            entry.sent(bytes);
        }
    }

    /// Why it ended, if not in order. The first reason stands.
    pub fn set_failure(&mut self, reason: Reason) {
        self.failure.get_or_insert(reason);
    }
}

impl Drop for TcpRecord {
    fn drop(&mut self) {
        self.count();
        let failure = self.failure.or_else(cut_off);
        self.series.open.decrement();
        self.series.closed.count(failure);
        let duration = self.opened.elapsed();
        self.series.duration.observe(duration);
        if let Some(entry) = &self.entry {
            let outcome = Outcome {
                failure,
                duration,
                ..Outcome::default()
            };
            entry.end(&outcome, None);
        }
    }
}
