//! What is gathered for one line.

use super::WorkerLog;
use super::head::Head;
use super::head::Told;
use super::head::Wanted;
use super::head::cut;
use super::origin::Origin;
use crate::failure::Reason;
use crate::telemetry::tap::Listening;
use crate::telemetry::trace;
use crate::telemetry::trace::TraceId;
use http::HeaderMap;
use http::StatusCode;
use opentelemetry::trace::SpanId;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

/// Of a path with its query.
const LONGEST_PATH: usize = 1_024;
/// Of a method, an authority, a server name.
const LONGEST_NAME: usize = 256;

/// A line in the making. There is none while nobody wants one, so that nothing is gathered for nobody.
#[derive(Debug)]
pub struct Entry {
    log: Option<Rc<WorkerLog>>,
    taps: Option<Rc<Listening>>,
    pub(in crate::telemetry) time: SystemTime,
    pub(in crate::telemetry) protocol: &'static str,
    pub(in crate::telemetry) origin: Rc<Origin>,
    pub(in crate::telemetry) upstream: Option<SocketAddr>,
    pub(in crate::telemetry) attempts: u32,
    pub(in crate::telemetry) retry: Option<&'static str>,
    pub(in crate::telemetry) answered_by: Option<&'static str>,
    pub(in crate::telemetry) asked: Option<Asked>,
    pub(in crate::telemetry) server_name: Option<String>,
    pub(in crate::telemetry) received: Cell<u64>,
    pub(in crate::telemetry) sent: Cell<u64>,
    pub(in crate::telemetry) details: Option<Box<Details>>,
    trace: Option<TraceId>,
}

/// What no line of the usual forms tells.
#[derive(Debug)]
pub(in crate::telemetry) struct Details {
    wanted: Arc<Wanted>,
    pub(in crate::telemetry) way: Way,
    pub(in crate::telemetry) answered: Option<Duration>,
    /// Of the request, of the answer, of its trailers.
    pub(in crate::telemetry) told: [Told; 3],
}

/// What a request asks for, as bytes of the client, one behind the other.
#[derive(Debug)]
pub(in crate::telemetry) struct Asked {
    text: Vec<u8>,
    /// Where the path begins, behind the method.
    path: u16,
    /// Where the query begins, if there is one, behind its question mark.
    query: Option<u16>,
    /// Where the authority begins, if there is one.
    authority: Option<u16>,
    version: &'static str,
}

/// The way that a request took.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Way {
    /// The name of the rule; nothing where it has none.
    pub(in crate::telemetry) route: Option<Box<str>>,
    /// The cluster as metrics name it, and as the control plane does.
    pub(in crate::telemetry) cluster: Option<[Arc<str>; 2]>,
    /// Which HTTP the endpoint was spoken to in.
    pub(in crate::telemetry) version: Option<&'static str>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::telemetry) struct Outcome {
    pub(in crate::telemetry) status: Option<StatusCode>,
    pub(in crate::telemetry) grpc_status: Option<u32>,
    pub(in crate::telemetry) failure: Option<Reason>,
    pub(in crate::telemetry) duration: Duration,
}

// === impl Asked ===

impl Asked {
    pub(in crate::telemetry) fn method(&self) -> &[u8] {
        &self.text[..usize::from(self.path)]
    }

    /// With the query.
    pub(in crate::telemetry) fn path(&self) -> &[u8] {
        &self.text[usize::from(self.path)..usize::from(self.authority.unwrap_or(self.text.len() as u16))]
    }

    pub(in crate::telemetry) fn path_alone(&self) -> &[u8] {
        match self.query {
            Some(query) => &self.text[usize::from(self.path)..usize::from(query) - 1],
            None => self.path(),
        }
    }

    pub(in crate::telemetry) fn query(&self) -> Option<&[u8]> {
        let end = self.authority.unwrap_or(self.text.len() as u16);
        self.query.map(|query| &self.text[usize::from(query)..usize::from(end)])
    }

    pub(in crate::telemetry) fn authority(&self) -> Option<&[u8]> {
        self.authority.map(|authority| &self.text[usize::from(authority)..])
    }

    /// `HTTP/1.1` and others.
    pub(in crate::telemetry) fn version(&self) -> &'static str {
        self.version
    }
}

// === impl Entry ===

impl Entry {
    /// Of what begins now, for the access log, for those who listen, or both.
    pub fn new(
        log: Option<Rc<WorkerLog>>,
        taps: Option<Rc<Listening>>,
        protocol: &'static str,
        origin: Rc<Origin>,
    ) -> Box<Self> {
        let of_taps = taps.as_ref().map(|taps| taps.wanted());
        let wanted = of_taps.or_else(|| log.as_ref()?.wanted());
        let details = wanted.map(|wanted| {
            Box::new(Details {
                wanted: Arc::clone(wanted),
                way: Way::default(),
                answered: None,
                told: <[Told; 3]>::default(),
            })
        });
        Box::new(Self {
            log,
            taps,
            time: SystemTime::now(),
            protocol,
            origin,
            upstream: None,
            attempts: 0,
            retry: None,
            answered_by: None,
            asked: None,
            server_name: None,
            received: Cell::new(0),
            sent: Cell::new(0),
            details,
            trace: None,
        })
    }

    /// The trace that the request belongs to, recorded or not.
    pub fn trace(&mut self, trace: TraceId) {
        self.trace = Some(trace);
    }

    /// That trace, in digits.
    pub(super) fn trace_id(&self) -> Option<[u8; 32]> {
        self.trace.map(trace::digits)
    }

    /// The same, as OpenTelemetry has it.
    pub(super) fn trace_identity(&self) -> Option<TraceId> {
        self.trace
    }

    /// What the request asks for, in which version of HTTP; what is too long is cut off.
    pub fn ask(
        &mut self,
        version: &'static str,
        method: &[u8],
        (path, query): (&[u8], Option<&[u8]>),
        authority: Option<&[u8]>,
    ) {
        let (method, path) = (cut(method, LONGEST_NAME), cut(path, LONGEST_PATH));
        let query = query.map(|query| cut(query, LONGEST_PATH));
        let authority = authority.map(|authority| cut(authority, LONGEST_NAME));
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let mut text = Vec::with_capacity(method.len() + path.len() + 1 + length(query) + length(authority));
        text.extend_from_slice(method);
        text.extend_from_slice(path);
        let mut asked = Asked {
            path: method.len() as u16,
            query: None,
            authority: None,
            version,
            text,
        };
        if let Some(query) = query
            && path.len() < LONGEST_PATH
        {
            asked.text.push(b'?');
            asked.query = Some(asked.text.len() as u16);
            asked.text.extend_from_slice(query);
            asked.text.truncate(method.len() + LONGEST_PATH);
        }
        if let Some(authority) = authority {
            asked.authority = Some(asked.text.len() as u16);
            asked.text.extend_from_slice(authority);
        }
        self.asked = Some(asked);
    }

    /// The head of the request, as the rules get it.
    pub fn request(&mut self, head: &(impl Head + ?Sized)) {
        if let Some(details) = &mut self.details {
            details.told[0] = details.wanted.of_request(head);
        }
    }

    /// What is told of an answer's head, for whoever sees it and not this entry.
    pub fn wanted(&self) -> Option<&Arc<Wanted>> {
        self.details.as_ref().map(|details| &details.wanted)
    }

    /// The head of the answer, as the client gets it.
    pub fn answer(&mut self, told: Told) {
        if let Some(details) = &mut self.details {
            details.told[1] = told;
        }
    }

    /// The trailers of the answer.
    pub fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(details) = &mut self.details {
            details.told[2] = Told::of(&details.wanted.trailers, trailers);
        }
    }

    /// The rule that it is for.
    pub fn route(&mut self, name: &str) {
        if let Some(details) = &mut self.details
            && !name.is_empty()
        {
            details.way.route = Some(name.into());
        }
    }

    /// Where it goes, as metrics name it, and as the control plane does.
    pub fn cluster(&mut self, service: &Arc<str>, name: &Arc<str>) {
        if let Some(details) = &mut self.details {
            details.way.cluster = Some([Arc::clone(service), Arc::clone(name)]);
        }
    }

    /// The endpoint is spoken to in this version of HTTP.
    pub fn speak(&mut self, version: &'static str) {
        if let Some(details) = &mut self.details {
            details.way.version = Some(version);
        }
    }

    /// The endpoint of the newest attempt, and how many there were.
    pub fn reach(&mut self, upstream: Option<SocketAddr>, attempts: u32) {
        (self.upstream, self.attempts) = (upstream, attempts);
    }

    /// There would have been another attempt, but for the retry budget.
    pub fn forbid_retry(&mut self) {
        self.retry = Some("forbidden");
    }

    /// The answer is a redirect or a direct response of the configuration.
    pub fn answer_by_configuration(&mut self) {
        self.answered_by = Some("configuration");
    }

    /// The connection begins as TLS, and its hello asks for this server, as far as it is here.
    pub fn name(&mut self, server: Option<String>) {
        self.protocol = "tls";
        self.server_name = server;
    }

    /// The head of an endpoint's answer came so long after the beginning.
    pub(in crate::telemetry) fn answered(&mut self, after: impl FnOnce() -> Duration) {
        if let Some(details) = &mut self.details {
            details.answered = Some(after());
        }
    }

    pub(in crate::telemetry) fn received(&self, bytes: u64) {
        self.received.set(self.received.get() + bytes);
    }

    pub(in crate::telemetry) fn sent(&self, bytes: u64) {
        self.sent.set(self.sent.get() + bytes);
    }

    /// Tells what has ended, of a request that is recorded with its span.
    pub(in crate::telemetry) fn end(&self, outcome: &Outcome, span: Option<SpanId>) {
        if let Some(log) = &self.log {
            log.write(self, outcome, span);
        }
        if let Some(taps) = &self.taps {
            taps.tell(self, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::entry;
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_off() {
        let mut entry = entry();
        let long = vec![b'a'; 5_000];
        entry.ask("HTTP/1.1", &long, (&long, Some(&long)), Some(&long));
        let asked = entry.asked.unwrap();
        assert_eq!((asked.method().len(), asked.path().len()), (LONGEST_NAME, LONGEST_PATH));
        assert_eq!(asked.authority().unwrap().len(), LONGEST_NAME);
        assert_eq!(asked.query(), None);
    }

    #[test]
    fn the_parts_of_what_is_asked_are_told_apart() {
        let mut entry = entry();
        for (query, authority) in [(None, None), (Some(&b""[..]), Some(&b"web"[..])), (Some(b"b=c"), None)] {
            entry.ask("HTTP/2", b"GET", (b"/a", query), authority);
            let asked = entry.asked.as_ref().unwrap();
            assert_eq!((asked.method(), asked.path_alone()), (&b"GET"[..], &b"/a"[..]));
            assert_eq!((asked.query(), asked.authority()), (query, authority));
            let whole = query.map_or(b"/a".to_vec(), |query| [b"/a?", query].concat());
            assert_eq!(asked.path(), whole);
        }
        entry.ask("HTTP/2", b"GET", (b"/a", Some(&[b'q'; 2_000])), Some(b"web"));
        let asked = entry.asked.as_ref().unwrap();
        assert_eq!(
            (asked.path().len(), asked.query().unwrap().len()),
            (LONGEST_PATH, LONGEST_PATH - 3)
        );
        assert_eq!(asked.authority(), Some(&b"web"[..]));
    }
}
