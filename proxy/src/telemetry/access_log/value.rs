//! What an operator gives.

use super::entry::Asked;
use super::entry::Entry;
use super::entry::Outcome;
use super::flags;
use super::flags::Flag;
use super::head::Wanted;
use super::number;
use super::time::Clock;
use crate::failure::Reason;
use crate::telemetry::grpc;
use evenkeel_control_api::mesh::template::AddressForm;
use evenkeel_control_api::mesh::template::Expression;
use evenkeel_control_api::mesh::template::Fallback;
use evenkeel_control_api::mesh::template::GrpcForm;
use evenkeel_control_api::mesh::template::HeaderOf;
use evenkeel_control_api::mesh::template::Operator;
use evenkeel_control_api::mesh::template::Whose;
use evenkeel_control_api::resource::route::FieldName;
use http::HeaderName;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::SystemTime;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A place in a line.
#[derive(Debug)]
pub(super) struct Hole {
    source: Source,
    most: usize,
}

/// Where a value comes from.
#[derive(Debug)]
enum Source {
    /// It is the same for every line.
    Fixed(Option<String>),
    /// A field, or another one.
    Field(Field, Option<Field>),
    /// `traceparent`, at this place of what is told of the request.
    Trace(usize),
    /// Anything else.
    Of(Operator),
}

#[derive(Debug)]
enum Field {
    Pseudo(FieldName),
    /// The place in what is told of the request, the answer or the trailers.
    Told(usize, usize),
}

/// What has ended, and the clock that writes its time.
pub(super) struct Moment<'a> {
    pub(super) entry: &'a Entry,
    pub(super) outcome: &'a Outcome,
    pub(super) clock: &'a Clock,
}

/// A value.
#[derive(Debug, PartialEq)]
pub(super) enum Got<'a> {
    /// `-`, and `null` in JSON.
    Nothing,
    Number(u64),
    Word(&'a str),
    /// A trace, in digits.
    Trace([u8; 32]),
    /// Text of ours that is made for this line.
    Ours(Vec<u8>),
    /// Bytes of a peer.
    Theirs(&'a [u8]),
}

impl Hole {
    /// Looks up what does not change, and writes down which fields it needs.
    pub(super) fn compile(expression: Expression, wanted: &mut Wanted) -> Self {
        let Expression { operator, most } = expression;
        let source = match operator {
            Operator::Hostname => Source::Fixed(hostname()),
            Operator::Environment(name) => Source::Fixed(variable(&name)),
            Operator::TraceId => Source::Trace(place(&mut wanted.request, TRACEPARENT)),
            Operator::Header(header) => {
                let mut field = |name| match name {
                    FieldName::Field(name) => told(header.of, name, wanted),
                    pseudo => Field::Pseudo(pseudo),
                };
                Source::Field(field(header.first), header.second.map(field))
            }
            operator => Source::Of(operator),
        };
        Self {
            source,
            most: most.unwrap_or(usize::MAX),
        }
    }

    pub(super) fn got<'a>(&'a self, moment: &Moment<'a>) -> Got<'a> {
        let got = match &self.source {
            Source::Fixed(value) => value.as_deref().map_or(Got::Nothing, Got::Word),
            Source::Field(first, second) => {
                let value = field(first, moment.entry);
                let value = value.or_else(|| field(second.as_ref()?, moment.entry));
                value.map_or(Got::Nothing, Got::Theirs)
            }
            Source::Trace(place) => {
                let came = || told_value(moment.entry, 0, *place).and_then(trace_id);
                match moment.entry.trace_id() {
                    Some(ours) => Got::Trace(ours),
                    None => came().map_or(Got::Nothing, Got::Word),
                }
            }
            Source::Of(operator) => of(operator, moment),
        };
        match got {
            Got::Theirs(bytes) => Got::Theirs(cut(bytes, self.most)),
            Got::Word(text) if text.len() > self.most => Got::Theirs(cut(text.as_bytes(), self.most)),
            got => got,
        }
    }
}

/// So many letters, or bytes where they are none.
fn cut(bytes: &[u8], most: usize) -> &[u8] {
    if bytes.len() <= most {
        return bytes;
    }
    match str::from_utf8(bytes) {
        Ok(text) => text.char_indices().nth(most).map_or(bytes, |(at, _)| &bytes[..at]),
        Err(_) => &bytes[..most],
    }
}

fn told(of: HeaderOf, name: HeaderName, wanted: &mut Wanted) -> Field {
    match of {
        HeaderOf::Request => Field::Told(0, place(&mut wanted.request, name)),
        HeaderOf::Response => Field::Told(1, place(&mut wanted.response, name)),
        HeaderOf::Trailers => Field::Told(2, place(&mut wanted.trailers, name)),
    }
}

/// Where a name stands, in the end at last.
fn place(names: &mut Vec<HeaderName>, name: HeaderName) -> usize {
    names.iter().position(|known| *known == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}

fn hostname() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn field<'a>(field: &Field, entry: &'a Entry) -> Option<&'a [u8]> {
    let asked = entry.asked.as_ref();
    match field {
        Field::Told(of, place) => told_value(entry, *of, *place),
        Field::Pseudo(FieldName::Method) => asked.map(Asked::method),
        Field::Pseudo(FieldName::Path) => asked.map(Asked::path),
        Field::Pseudo(FieldName::Authority) => asked.and_then(Asked::authority),
        // TLS is not ended here.
        Field::Pseudo(FieldName::Scheme) => asked.map(|_| &b"http"[..]),
        Field::Pseudo(FieldName::Field(_)) => None,
    }
}

fn told_value(entry: &Entry, of: usize, place: usize) -> Option<&[u8]> {
    entry.details.as_ref()?.told[of].value(place)
}

/// The second part of a `traceparent` (W3C Trace Context 3.2).
fn trace_id(traceparent: &[u8]) -> Option<&str> {
    let mut parts = str::from_utf8(traceparent).ok()?.split('-');
    let (_, id) = (parts.next()?, parts.next()?);
    let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (id.len() == 32 && is_hex && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

fn of<'a>(operator: &'a Operator, moment: &Moment<'a>) -> Got<'a> {
    let Moment { entry, outcome, clock } = *moment;
    let asked = entry.asked.as_ref();
    let answered = entry.details.as_ref().and_then(|details| details.answered);
    let way = entry.details.as_ref().map(|details| &details.way);
    let cluster = way.and_then(|way| way.cluster.as_ref());
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        Got::Ours(out)
    };
    match operator {
        Operator::StartTime(format) => written(&|out| clock.format(format, entry.time, out)),
        Operator::EmitTime(format) => written(&|out| clock.format(format, SystemTime::now(), out)),
        Operator::Duration => millis(Some(outcome.duration)),
        Operator::ResponseDuration => millis(answered),
        Operator::ResponseTxDuration => millis(answered.map(|after| outcome.duration.saturating_sub(after))),
        Operator::BytesReceived => Got::Number(entry.received.get()),
        Operator::BytesSent => Got::Number(entry.sent.get()),
        Operator::Protocol => word(asked.map(Asked::version)),
        Operator::UpstreamProtocol => word(way.and_then(|way| way.version)),
        // 0: there was no answer.
        Operator::ResponseCode if asked.is_none() && outcome.status.is_none() => Got::Nothing,
        Operator::ResponseCode => Got::Number(outcome.status.map_or(0, |status| status.as_u16().into())),
        Operator::ResponseCodeDetails => word(flags::details(entry, outcome)),
        Operator::ResponseFlags => joined(entry, outcome, Flag::short),
        Operator::ResponseFlagsLong => joined(entry, outcome, Flag::long),
        Operator::Reason => word(outcome.failure.map(Reason::label)),
        Operator::Direction => Got::Word(entry.origin.direction.label()),
        Operator::Service => Got::Word(&entry.origin.service),
        Operator::RouteName => word(way.and_then(|way| way.route.as_deref())),
        Operator::UpstreamCluster => word(cluster.map(|[service, _]| &**service)),
        Operator::UpstreamClusterRaw => word(cluster.map(|[_, name]| &**name)),
        Operator::Attempts => Got::Number(entry.attempts.into()),
        Operator::Address(whose, form) => {
            let address = match whose {
                Whose::Client => entry.origin.client,
                Whose::Destination => Some(entry.origin.destination),
                Whose::Endpoint => entry.upstream,
            };
            address.map_or(Got::Nothing, |address| of_address(address, *form))
        }
        Operator::RequestedServerName(fallback) => server_name(entry, *fallback),
        Operator::GrpcStatus(form) => outcome
            .grpc_status
            .map_or(Got::Nothing, |status| grpc_status(status, *form)),
        Operator::Path { query: true } => theirs(asked.map(Asked::path)),
        Operator::Path { query: false } => theirs(asked.map(Asked::path_alone)),
        Operator::Query => theirs(asked.and_then(Asked::query)),
        Operator::QueryParameter(name) => theirs(asked.and_then(Asked::query).and_then(|query| parameter(query, name))),
        Operator::AccessLogType if asked.is_none() && matches!(entry.protocol, "tcp" | "tls") => {
            Got::Word("TcpConnectionEnd")
        }
        Operator::AccessLogType => Got::Word("DownstreamEnd"),
        // They are looked up when the template is compiled.
        Operator::Header(_) | Operator::TraceId | Operator::Hostname | Operator::Environment(_) => Got::Nothing,
    }
}

fn word(word: Option<&str>) -> Got<'_> {
    word.map_or(Got::Nothing, Got::Word)
}

fn theirs(bytes: Option<&[u8]>) -> Got<'_> {
    bytes.map_or(Got::Nothing, Got::Theirs)
}

fn millis(duration: Option<Duration>) -> Got<'static> {
    duration.map_or(Got::Nothing, |duration| Got::Number(duration.as_millis() as u64))
}

fn joined(entry: &Entry, outcome: &Outcome, name: fn(Flag) -> &'static str) -> Got<'static> {
    let mut flags = flags::flags(entry, outcome).map(name);
    match (flags.next(), flags.next()) {
        (None, _) => Got::Nothing,
        (Some(one), None) => Got::Word(one),
        (Some(one), Some(other)) => Got::Ours([one, other].join(",").into_bytes()),
    }
}

fn of_address(address: SocketAddr, form: AddressForm) -> Got<'static> {
    let mut out = Vec::new();
    match form {
        AddressForm::Whole => number::address(address, &mut out),
        AddressForm::Port => return Got::Number(address.port().into()),
        AddressForm::WithoutPort(None) => number::ip(address.ip(), &mut out),
        AddressForm::WithoutPort(Some(bits)) => {
            let (ip, bits) = masked(address.ip(), u32::from(bits));
            number::ip(ip, &mut out);
            out.push(b'/');
            number::number(bits.into(), &mut out);
        }
    }
    Got::Ours(out)
}

/// The first bits of an address, the others zero; it has no more than it has.
fn masked(ip: IpAddr, bits: u32) -> (IpAddr, u32) {
    match ip {
        IpAddr::V4(ip) => {
            let bits = bits.min(32);
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            (IpAddr::V4((ip.to_bits() & mask).into()), bits)
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            (IpAddr::V6((ip.to_bits() & mask).into()), bits)
        }
    }
}

fn server_name(entry: &Entry, fallback: Fallback) -> Got<'_> {
    let authority = || entry.asked.as_ref().and_then(Asked::authority);
    let name = entry.server_name.as_deref().map(str::as_bytes);
    theirs(match fallback {
        Fallback::None => name,
        Fallback::Authority => name.or_else(authority),
        Fallback::AuthorityFirst => authority().or(name),
    })
}

fn parameter<'a>(query: &'a [u8], name: &str) -> Option<&'a [u8]> {
    query.split(|byte| *byte == b'&').find_map(|pair| {
        let mut sides = pair.splitn(2, |byte| *byte == b'=');
        let found = sides.next()? == name.as_bytes();
        found.then(|| sides.next().unwrap_or_default())
    })
}

/// Numbers that gRPC does not know are numbers in every form.
fn grpc_status(status: u32, form: GrpcForm) -> Got<'static> {
    let name = match form {
        GrpcForm::Camel => grpc::camel(status),
        GrpcForm::Snake => grpc::snake(status),
        GrpcForm::Number => None,
    };
    name.map_or(Got::Number(status.into()), Got::Word)
}
