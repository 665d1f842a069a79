//! What the rules say of a request, and what they change of it before it goes up.

use super::h1::{self, RequestHead};
use crate::failure::Reason;
use crate::protocol::Session;
use crate::route::{Answer, Ask, Changes, Decision, Fields, Forward, Full, Head, Limits, Target};
use crate::snapshot::HttpHandling;
use crate::telemetry::{RequestRecord, access_log};
use crate::upstream::{Cluster, Live};
use bytes::Bytes;
use evenkeel_control_api::resource::route::{FieldName, HostRewrite};
use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use std::rc::Rc;
use std::str;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What becomes of a request.
pub(super) enum Routed<'a> {
    /// It goes to a cluster.
    Forward(&'a Forward, Rc<Cluster>),
    /// The configuration answers it.
    Answer(&'a Answer),
}

/// A request that goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    /// Of the answer; a route may say another one than the reason does.
    pub(super) status: StatusCode,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            status: reason.status(),
        }
    }
}

/// Asks the rules of this listener. Nothing is looked at of a request that no rule has a question for.
pub(super) fn route<'a, 'b>(
    session: &Session,
    live: &Live,
    http: &'a HttpHandling,
    ask: impl Fn() -> Ask<'b>,
    record: &mut RequestRecord,
) -> Result<Routed<'a>, Refused> {
    let upstreams = &session.context.upstreams;
    let (rule, decision) = http.routes.find(&ask, &mut |sides| upstreams.dice().below(sides));
    if let (Some(rule), Some(entry)) = (rule, record.entry()) {
        entry.route(&rule.name);
    }
    match decision {
        Decision::Forward(forward) => {
            let place = match &forward.cluster {
                Target::Place(place) => Some(*place),
                Target::Named(field) => named(live, field, &ask()),
            };
            match place.and_then(|place| live.cluster(place)) {
                Some(cluster) => {
                    if let Some(entry) = record.entry() {
                        entry.cluster(&cluster.configuration.service, &cluster.configuration.name);
                    }
                    Ok(Routed::Forward(forward, Rc::clone(cluster)))
                }
                None => Err(Refused {
                    reason: Reason::NoCluster,
                    status: forward.not_found,
                }),
            }
        }
        Decision::Answer(answer) => Ok(Routed::Answer(answer)),
        Decision::Nowhere => Err(Reason::NoCluster.into()),
        Decision::NoRule => Err(Reason::NoRoute.into()),
    }
}

fn named(live: &Live, field: &FieldName, ask: &Ask<'_>) -> Option<usize> {
    let value = ask.first(field)?;
    live.snapshot.as_ref()?.place_of(str::from_utf8(&value).ok()?)
}

/// A head of HTTP/1 as rules ask for it.
pub(super) struct Lines<'a> {
    pub(super) head: &'a RequestHead,
    pub(super) bytes: &'a [u8],
}

impl Fields for Lines<'_> {
    fn value(&self, name: &HeaderName, before: usize) -> Option<&[u8]> {
        if name == FORWARDED_FOR
            && let Some(list) = self.head.forwarded_for()
        {
            return Some(list).filter(|_| before == 0);
        }
        let lines = self.head.fields(self.bytes);
        let mut lines = lines.filter(|(line, _)| line.eq_ignore_ascii_case(name.as_str().as_bytes()));
        lines.nth(before).map(|(_, value)| value)
    }
}

impl access_log::Head for Lines<'_> {
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.value(name, 0)
    }

    fn each(&self, tell: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in self.head.fields(self.bytes) {
            tell(name, value);
        }
    }
}

impl Lines<'_> {
    pub(super) fn ask(&self) -> Ask<'_> {
        Ask {
            method: self.head.method.as_str(),
            scheme: self.head.scheme(),
            authority: self.head.authority(self.bytes),
            path: self.head.path(self.bytes),
            query: self.head.query(self.bytes),
            fields: self,
        }
    }

    pub(super) fn limits(&self, forward: &Forward) -> Limits {
        Limits::of(&forward.timeouts, self.head.grpc, || self.value(&GRPC_TIMEOUT, 0))
    }
}

/// A head of HTTP/2 as rules ask for it.
pub(super) fn ask(head: &Parts) -> Ask<'_> {
    Ask {
        method: head.method.as_str(),
        scheme: head.uri.scheme_str().unwrap_or("http"),
        authority: authority(head),
        path: head.uri.path().as_bytes(),
        query: head.uri.query().map(str::as_bytes),
        fields: &head.headers,
    }
}

/// Whom it is for, which may stand in `Host` alone (RFC 9113 8.3.1).
pub(super) fn authority(head: &Parts) -> Option<&[u8]> {
    let host = || head.headers.get(HOST).map(HeaderValue::as_bytes);
    head.uri
        .authority()
        .map(|authority| authority.as_str().as_bytes())
        .or_else(host)
}

pub(super) fn limits(head: &Parts, grpc: bool, forward: &Forward) -> Limits {
    let asked = || head.headers.get(GRPC_TIMEOUT).map(HeaderValue::as_bytes);
    Limits::of(&forward.timeouts, grpc, asked)
}

/// Changes a head of HTTP/1: its fields first, for the host may be taken from one of them.
pub(super) fn change_lines(changes: &Changes, head: &mut RequestHead, bytes: &[u8]) -> Result<(), Reason> {
    let full = |Full| Reason::HeadTooLarge;
    changes.request.apply(&mut head.editing(bytes)).map_err(full)?;
    if head.method == Method::CONNECT {
        return Ok(());
    }
    let (path, query) = (head.path(bytes), head.query(bytes));
    let host = host(changes, path, &head.editing(bytes));
    let path = changes.path.as_ref().and_then(|change| change.apply(path, query));
    if host.is_some() && changes.append_forwarded_host {
        let first = head.authority(bytes).map(<[u8]>::to_vec);
        append_forwarded_host(first, &mut head.editing(bytes)).map_err(full)?;
    }
    head.redirect(bytes, path, host);
    Ok(())
}

/// Changes a head of HTTP/2.
pub(super) fn change_parts(changes: &Changes, head: &mut Parts) -> Result<(), Reason> {
    let full = |Full| Reason::HeadTooLarge;
    changes.request.apply(&mut head.headers).map_err(full)?;
    if head.method == Method::CONNECT {
        return Ok(());
    }
    let host = host(changes, head.uri.path().as_bytes(), &head.headers);
    if host.is_some() && changes.append_forwarded_host {
        let first = authority(head).map(<[u8]>::to_vec);
        append_forwarded_host(first, &mut head.headers).map_err(full)?;
    }
    let query = head.uri.query().map(str::as_bytes);
    let path = changes
        .path
        .as_ref()
        .and_then(|change| change.apply(head.uri.path().as_bytes(), query));
    if path.is_none() && host.is_none() {
        return Ok(());
    }
    let mut uri = std::mem::take(&mut head.uri).into_parts();
    if let Some(path) = path {
        uri.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| Reason::MalformedRequest)?);
    }
    match host {
        Some(host) if uri.authority.is_some() => {
            uri.authority = Some(Authority::try_from(host.as_bytes()).map_err(|_| Reason::MalformedRequest)?);
        }
        Some(host) => drop(head.headers.insert(HOST, host)),
        None => {}
    }
    head.uri = Uri::from_parts(uri).map_err(|_| Reason::MalformedRequest)?;
    Ok(())
}

/// Tells whom a request was for before its host was another, unless that was told last (as Envoy does).
fn append_forwarded_host<H: Head + Fields>(first: Option<Vec<u8>>, head: &mut H) -> Result<(), Full> {
    let Some(first) = first.and_then(|first| HeaderValue::from_maybe_shared(Bytes::from(first)).ok()) else {
        return Ok(());
    };
    let told = (0..).map_while(|before| head.value(&FORWARDED_HOST, before)).last();
    let told = told.and_then(|list| list.rsplit(|byte| *byte == b',').next());
    if told.is_some_and(|told| told.trim_ascii() == first.as_bytes()) {
        return Ok(());
    }
    head.add(&FORWARDED_HOST, &first)
}

/// Tells an endpoint, or a client, how many attempts there were.
pub(super) fn tell_attempts(head: &mut impl Head, made: u32) -> Result<(), Full> {
    head.remove(&ATTEMPT_COUNT);
    head.add(&ATTEMPT_COUNT, &HeaderValue::from(made))
}

/// Changes the head of an answer that came after so many attempts.
pub(super) fn change_answer(changes: Option<&Changes>, made: u32, head: &mut impl Head) -> Result<(), Reason> {
    let Some(changes) = changes else { return Ok(()) };
    let mut outcome = changes.response.apply(head);
    if changes.tells_clients_attempts {
        outcome = outcome.and_then(|()| tell_attempts(head, made));
    }
    outcome.map_err(|Full| Reason::MalformedResponse)
}

/// The other host, if there is to be one, and what says so names one.
fn host(changes: &Changes, path: &[u8], fields: &dyn Fields) -> Option<HeaderValue> {
    let named = match changes.host.as_ref()? {
        HostRewrite::Literal(host) => return Some(host.clone()),
        HostRewrite::Field(name) => fields.value(name, 0)?.to_vec(),
        HostRewrite::Path(substitution) => substitution.apply(path),
    };
    if named.is_empty() || !h1::is_authority(&named) {
        return None;
    }
    HeaderValue::from_bytes(&named).ok()
}
