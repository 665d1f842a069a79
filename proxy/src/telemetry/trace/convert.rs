//! A span as the semantic conventions of OpenTelemetry have it.
//!
//! Of HTTP: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>; of gRPC:
//! <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>. Both as of version 1.42, which the scope names.

use super::span::Asked;
use super::span::Failure;
use super::span::Finished;
use super::span::Span;
use crate::telemetry::Direction;
use crate::telemetry::Protocol;
use crate::telemetry::access_log::Outcome;
use crate::telemetry::fault;
use crate::telemetry::grpc;
use crate::telemetry::otlp::SCHEMA;
use crate::telemetry::otlp::SCOPE;
use opentelemetry::InstrumentationScope;
use opentelemetry::Key;
use opentelemetry::KeyValue;
use opentelemetry::Value;
use opentelemetry::trace::Event;
use opentelemetry::trace::SpanContext;
use opentelemetry::trace::SpanId;
use opentelemetry::trace::SpanKind;
use opentelemetry::trace::Status;
use opentelemetry::trace::TraceFlags;
use opentelemetry::trace::TraceState;
use opentelemetry_sdk::trace::SpanData;
use opentelemetry_sdk::trace::SpanEvents;
use opentelemetry_sdk::trace::SpanLinks;
use std::borrow::Cow;
use std::net::SocketAddr;

/// The methods that may be the name of a span; others would make names without bound.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
];
/// Parameters of a query whose values are signatures of somebody's right (`url.full` names them).
const SECRETS: [&str; 4] = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];
/// What all spans have in common.
#[derive(Debug)]
pub(super) struct Conventions {
    scope: InstrumentationScope,
    /// Of attributes that are not of the conventions, by their place.
    names: Vec<Key>,
    /// Those whose values are known already.
    constants: Vec<KeyValue>,
}

impl Conventions {
    pub(super) fn new(names: Vec<Key>, constants: Vec<KeyValue>) -> Self {
        let scope = InstrumentationScope::builder(SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA)
            .build();
        Self {
            scope,
            names,
            constants,
        }
    }

    /// A span as the exporter takes it.
    pub(super) fn convert(&self, Finished { span, outcome }: Finished) -> SpanData {
        let span = *span;
        let mut attributes = Attributes(Vec::with_capacity(20));
        let (name, status) = match span.protocol {
            Protocol::Grpc => rpc(&span, &outcome, &mut attributes),
            Protocol::Http1 | Protocol::Http2 => http(&span, &outcome, &mut attributes),
        };
        attributes.add("evenkeel.service", span.origin.service.to_string());
        attributes.0.extend(self.constants.iter().cloned());
        let end_time = span.ended(outcome.duration);
        let mut events = SpanEvents::default();
        events.events = span.failures.iter().zip(1..).map(failed).collect();
        attributes
            .0
            .extend(span.values.into_iter().filter_map(|(place, value)| {
                let name = self.names.get(place)?;
                Some(KeyValue::new(name.clone(), value))
            }));
        let state = span.state.and_then(|state| state.parse().ok());
        let flags = TraceFlags::SAMPLED | TraceFlags::new(if span.context.random { 2 } else { 0 });
        SpanData {
            span_context: SpanContext::new(
                span.context.trace,
                span.context.span,
                flags,
                false,
                state.unwrap_or(TraceState::NONE),
            ),
            parent_span_id: span.parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: span.parent.is_some(),
            span_kind: match span.origin.direction {
                Direction::Inbound => SpanKind::Server,
                Direction::Outbound => SpanKind::Client,
            },
            name,
            start_time: span.started,
            end_time,
            attributes: attributes.0,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn add(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(name, value));
    }

    fn add_some(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        self.0.extend(value.map(|value| KeyValue::new(name, value)));
    }

    fn add_peer(&mut self, peer: Option<SocketAddr>) {
        if let Some(peer) = peer {
            self.add("network.peer.address", peer.ip().to_string());
            self.add("network.peer.port", i64::from(peer.port()));
        }
    }
}

type Told = (Cow<'static, str>, Status);

fn http(span: &Span, outcome: &Outcome, attributes: &mut Attributes) -> Told {
    let asked = &span.asked;
    let known = METHODS.into_iter().find(|method| *method == asked.method);
    attributes.add("http.request.method", known.unwrap_or("_OTHER"));
    if known.is_none() {
        attributes.add("http.request.method_original", asked.method.clone());
    }
    attributes.add("network.protocol.version", asked.version);
    add_server(span, attributes);
    let server = span.origin.direction == Direction::Inbound;
    if server {
        attributes.add("url.scheme", asked.scheme);
        attributes.add("url.path", asked.path.clone());
        attributes.add_some("url.query", asked.query.as_deref().map(without_secrets));
        attributes.add_some(
            "client.address",
            span.origin.client.map(|client| client.ip().to_string()),
        );
        attributes.add_peer(span.origin.client);
    } else {
        attributes.add("url.full", url(span));
        attributes.add_peer(span.upstream);
        let resent = span.attempts.saturating_sub(1);
        attributes.add_some("http.request.resend_count", (resent > 0).then_some(i64::from(resent)));
    }
    attributes.add_some("user_agent.original", asked.user_agent.clone());
    let code = outcome.status.map(|status| status.as_u16());
    attributes.add_some("http.response.status_code", code.map(i64::from));
    let said = code.map(|code| code.to_string());
    let status = conclude(span, said, outcome, attributes);
    (known.unwrap_or("HTTP").into(), status)
}

fn rpc(span: &Span, outcome: &Outcome, attributes: &mut Attributes) -> Told {
    let method = span.asked.path.trim_start_matches('/').to_owned();
    attributes.add("rpc.system.name", "grpc");
    attributes.add("rpc.method", method.clone());
    add_server(span, attributes);
    let server = span.origin.direction == Direction::Inbound;
    attributes.add_peer(if server { span.origin.client } else { span.upstream });
    let name = |code: u32| match grpc::snake(code) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(code.to_string()),
    };
    let code = outcome.grpc_status.map(name);
    attributes.add_some("rpc.response.status_code", code.clone());
    // Without a status of gRPC, that of HTTP says what is wrong.
    let said = code.map(Cow::into_owned);
    let said = said.or_else(|| outcome.status.map(|status| status.as_u16().to_string()));
    let status = conclude(span, said, outcome, attributes);
    (method.into(), status)
}

/// Whom the request is for, else where it was going.
fn add_server(span: &Span, attributes: &mut Attributes) {
    let Asked { authority, scheme, .. } = &span.asked;
    let (host, port) = match authority.as_deref() {
        Some(authority) => host_and_port(authority),
        None => (
            span.origin.destination.ip().to_string(),
            Some(span.origin.destination.port()),
        ),
    };
    let port = port.unwrap_or(if *scheme == "https" { 443 } else { 80 });
    attributes.add("server.address", host);
    attributes.add("server.port", i64::from(port));
}

fn host_and_port(authority: &str) -> (String, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
}

/// `url.full`, which a client's span has.
fn url(span: &Span) -> String {
    let asked = &span.asked;
    let destination = span.origin.destination.to_string();
    let authority = asked.authority.as_deref().unwrap_or(&destination);
    let mut url = format!("{}://{authority}{}", asked.scheme, asked.path);
    if let Some(query) = &asked.query {
        url.push('?');
        url += &without_secrets(query);
    }
    url
}

/// A query as the conventions want it: signatures of storage are secrets.
pub(in crate::telemetry) fn without_secrets(query: &str) -> String {
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if SECRETS.contains(&name) => Cow::Owned(format!("{name}=REDACTED")),
        _ => Cow::Borrowed(parameter),
    });
    parameters.collect::<Vec<_>>().join("&")
}

/// What failed: our own reason, where there is one, else what the answer says.
fn conclude(span: &Span, said: Option<String>, outcome: &Outcome, attributes: &mut Attributes) -> Status {
    if let Some(reason) = outcome.failure {
        attributes.add("error.type", reason.label());
        return Status::error(reason.to_string());
    }
    let fault = fault::of_request(outcome);
    if !fault.is_some_and(|fault| fault.is_error(span.origin.direction)) {
        return Status::Unset;
    }
    // As the conventions call what nothing is known of.
    attributes.add("error.type", said.unwrap_or_else(|| "_OTHER".to_owned()));
    Status::error("")
}

/// An attempt that failed, as an event.
fn failed((failure, number): (&Failure, i64)) -> Event {
    let mut attributes = Attributes(Vec::with_capacity(4));
    attributes.add("evenkeel.attempt", number);
    attributes.add_peer(failure.upstream);
    attributes.add("error.type", failure.reason.label());
    Event::new("attempt failed", failure.at, attributes.0, 0)
}
