//! What may stand between two `%`.

use super::envoy::ONLY_ENVOY;
use super::header::{Header, HeaderOf};
use super::time::TimeFormat;
use crate::mesh::place::did_you_mean;

/// An operator.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// When it began.
    StartTime(TimeFormat),
    /// When the line is written.
    EmitTime(TimeFormat),
    /// Milliseconds from the beginning to the end.
    Duration,
    /// Milliseconds from the beginning to the head of the endpoint's answer.
    ResponseDuration,
    /// Milliseconds from there to the end.
    ResponseTxDuration,
    /// Of the request's body, or of an opaque connection.
    BytesReceived,
    /// Of the answer's body, or of an opaque connection.
    BytesSent,
    /// As the client spoke it: `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`.
    Protocol,
    /// As the endpoint was spoken to.
    UpstreamProtocol,
    /// The status.
    ResponseCode,
    /// Who made the answer, and why.
    ResponseCodeDetails,
    /// What went wrong, in two or three letters.
    ResponseFlags,
    /// What went wrong, in words.
    ResponseFlagsLong,
    /// What went wrong, as metrics and `x-evenkeel-reason` call it.
    Reason,
    /// `inbound` or `outbound`.
    Direction,
    /// As in metrics.
    Service,
    /// The name of the rule.
    RouteName,
    /// As metrics name it.
    UpstreamCluster,
    /// As the control plane names it.
    UpstreamClusterRaw,
    /// Attempts, those to connect included.
    Attempts,
    /// An address, or a part of one.
    Address(Whose, AddressForm),
    /// The server that a client asks for.
    RequestedServerName(Fallback),
    /// The status of gRPC.
    GrpcStatus(GrpcForm),
    /// A header or trailer.
    Header(Header),
    /// Of the request; with its query, or without.
    Path {
        /// With it.
        query: bool,
    },
    /// All of the query.
    Query,
    /// The first parameter of this name, as it stands in the query.
    QueryParameter(String),
    /// Of the trace that the request belongs to.
    TraceId,
    /// Of the machine, which in a pod is the pod's.
    Hostname,
    /// A variable of the process.
    Environment(String),
    /// `DownstreamEnd` or `TcpConnectionEnd`.
    AccessLogType,
}

/// Whose address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The client's.
    Client,
    /// The one that the client connected to.
    Destination,
    /// The endpoint's.
    Endpoint,
}

/// How much of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressForm {
    /// With its port.
    Whole,
    /// Without its port; with a length, only so many bits of it, as in `10.1.0.0/16`.
    WithoutPort(Option<u8>),
    /// Its port alone.
    Port,
}

/// What stands for a server name that a client did not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing.
    None,
    /// The authority.
    Authority,
    /// The authority comes first.
    AuthorityFirst,
}

/// How a status of gRPC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcForm {
    /// `InvalidArgument`.
    Camel,
    /// `INVALID_ARGUMENT`.
    Snake,
    /// `3`.
    Number,
}

/// The names that `Operator::named` knows.
pub const NAMES: &[&str] = &[
    "START_TIME",
    "EMIT_TIME",
    "DURATION",
    "RESPONSE_DURATION",
    "RESPONSE_TX_DURATION",
    "BYTES_RECEIVED",
    "BYTES_SENT",
    "PROTOCOL",
    "UPSTREAM_PROTOCOL",
    "RESPONSE_CODE",
    "RESPONSE_CODE_DETAILS",
    "RESPONSE_FLAGS",
    "RESPONSE_FLAGS_LONG",
    "REASON",
    "DIRECTION",
    "SERVICE",
    "ROUTE_NAME",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_CLUSTER_RAW",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "UPSTREAM_HOST",
    "UPSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "UPSTREAM_REMOTE_PORT",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_REMOTE_PORT",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_DIRECT_REMOTE_PORT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_PORT",
    "REQUESTED_SERVER_NAME",
    "GRPC_STATUS",
    "GRPC_STATUS_NUMBER",
    "REQ",
    "REQUEST_HEADER",
    "RESP",
    "RESPONSE_HEADER",
    "TRAILER",
    "RESPONSE_TRAILER",
    "PATH",
    "QUERY_PARAMS",
    "QUERY_PARAM",
    "TRACE_ID",
    "HOSTNAME",
    "ENVIRONMENT",
    "ACCESS_LOG_TYPE",
];

impl Operator {
    /// The operator of this name with this parameter. `Err`: why there is none.
    pub(super) fn named(name: &str, parameter: Option<&str>) -> Result<Self, String> {
        let plain = |operator: Self| match parameter {
            None => Ok(operator),
            Some(_) => Err(format!("%{name}% takes no parameter")),
        };
        let needed = |what: &str| match parameter {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(format!("%{name}% needs {what} in parentheses")),
        };
        let header = |of| Header::parse(of, needed("a header")?).map(Self::Header);
        let address = |whose, form| plain(Self::Address(whose, form));
        let without_port = |whose| Ok(Self::Address(whose, AddressForm::WithoutPort(bits(name, parameter)?)));
        match name {
            "START_TIME" => time(parameter).map(Self::StartTime),
            "EMIT_TIME" => time(parameter).map(Self::EmitTime),
            "DURATION" => plain(Self::Duration),
            "RESPONSE_DURATION" => plain(Self::ResponseDuration),
            "RESPONSE_TX_DURATION" => plain(Self::ResponseTxDuration),
            "BYTES_RECEIVED" => plain(Self::BytesReceived),
            "BYTES_SENT" => plain(Self::BytesSent),
            "PROTOCOL" => plain(Self::Protocol),
            "UPSTREAM_PROTOCOL" => plain(Self::UpstreamProtocol),
            "RESPONSE_CODE" => plain(Self::ResponseCode),
            // Ours have no white space that could be left.
            "RESPONSE_CODE_DETAILS" => word(
                name,
                parameter,
                &[
                    ("", Self::ResponseCodeDetails),
                    ("ALLOW_WHITESPACES", Self::ResponseCodeDetails),
                ],
            ),
            "RESPONSE_FLAGS" => plain(Self::ResponseFlags),
            "RESPONSE_FLAGS_LONG" => plain(Self::ResponseFlagsLong),
            "REASON" => plain(Self::Reason),
            "DIRECTION" => plain(Self::Direction),
            "SERVICE" => plain(Self::Service),
            "ROUTE_NAME" => plain(Self::RouteName),
            "UPSTREAM_CLUSTER" => plain(Self::UpstreamCluster),
            "UPSTREAM_CLUSTER_RAW" => plain(Self::UpstreamClusterRaw),
            "UPSTREAM_REQUEST_ATTEMPT_COUNT" => plain(Self::Attempts),
            "UPSTREAM_HOST" | "UPSTREAM_REMOTE_ADDRESS" => address(Whose::Endpoint, AddressForm::Whole),
            "UPSTREAM_REMOTE_PORT" => address(Whose::Endpoint, AddressForm::Port),
            "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => without_port(Whose::Endpoint),
            // There is no proxy between us and the client that we would believe.
            "DOWNSTREAM_REMOTE_ADDRESS" | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => {
                address(Whose::Client, AddressForm::Whole)
            }
            "DOWNSTREAM_REMOTE_PORT" | "DOWNSTREAM_DIRECT_REMOTE_PORT" => address(Whose::Client, AddressForm::Port),
            "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => {
                without_port(Whose::Client)
            }
            "DOWNSTREAM_LOCAL_ADDRESS" => address(Whose::Destination, AddressForm::Whole),
            "DOWNSTREAM_LOCAL_PORT" => address(Whose::Destination, AddressForm::Port),
            "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => without_port(Whose::Destination),
            "REQUESTED_SERVER_NAME" => server_name(name, parameter),
            "GRPC_STATUS" => word(
                name,
                parameter,
                &[
                    ("", Self::GrpcStatus(GrpcForm::Camel)),
                    ("CAMEL_STRING", Self::GrpcStatus(GrpcForm::Camel)),
                    ("SNAKE_STRING", Self::GrpcStatus(GrpcForm::Snake)),
                    ("NUMBER", Self::GrpcStatus(GrpcForm::Number)),
                ],
            ),
            "GRPC_STATUS_NUMBER" => plain(Self::GrpcStatus(GrpcForm::Number)),
            "REQ" | "REQUEST_HEADER" => header(HeaderOf::Request),
            "RESP" | "RESPONSE_HEADER" => header(HeaderOf::Response),
            "TRAILER" | "RESPONSE_TRAILER" => header(HeaderOf::Trailers),
            "PATH" => path(name, parameter),
            "QUERY_PARAMS" => word(name, parameter, &[("", Self::Query), ("ORIG", Self::Query)]),
            "QUERY_PARAM" => Ok(Self::QueryParameter(needed("the name of a parameter")?.to_owned())),
            "TRACE_ID" => plain(Self::TraceId),
            "HOSTNAME" => plain(Self::Hostname),
            "ENVIRONMENT" => Ok(Self::Environment(needed("the name of a variable")?.to_owned())),
            "ACCESS_LOG_TYPE" => plain(Self::AccessLogType),
            other if ONLY_ENVOY.contains(&other) => {
                Err(format!("%{other}% is Envoy's, and this proxy does not have it"))
            }
            other => Err(format!("%{other}% is no operator{}", did_you_mean(other, NAMES))),
        }
    }

    /// Whether `:LENGTH` may stand behind it.
    pub(super) fn may_be_cut(&self) -> bool {
        matches!(
            self,
            Self::Header(_)
                | Self::Path { .. }
                | Self::Query
                | Self::QueryParameter(_)
                | Self::Environment(_)
                | Self::RouteName
                | Self::RequestedServerName(_)
        )
    }
}

fn time(parameter: Option<&str>) -> Result<TimeFormat, String> {
    match parameter {
        None | Some("") => Ok(TimeFormat::Rfc3339),
        Some(text) => TimeFormat::parse(text),
    }
}

fn word(name: &str, parameter: Option<&str>, words: &[(&str, Operator)]) -> Result<Operator, String> {
    let asked = parameter.unwrap_or_default();
    let found = words.iter().find(|(word, _)| *word == asked);
    found.map(|(_, operator)| operator.clone()).ok_or_else(|| {
        let known: Vec<_> = words
            .iter()
            .map(|(word, _)| *word)
            .filter(|word| !word.is_empty())
            .collect();
        format!("%{name}({asked})% is not known; there may stand {}", known.join(", "))
    })
}

fn bits(name: &str, parameter: Option<&str>) -> Result<Option<u8>, String> {
    let Some(text) = parameter else { return Ok(None) };
    let bits = text.parse().ok().filter(|bits| *bits <= 128);
    bits.map(Some)
        .ok_or_else(|| format!("%{name}({text})% needs a number of bits from 0 to 128"))
}

/// Nothing of ours sets `x-envoy-original-host`: a client that did would speak for us.
fn server_name(name: &str, parameter: Option<&str>) -> Result<Operator, String> {
    word(
        name,
        parameter,
        &[
            ("", Operator::RequestedServerName(Fallback::None)),
            ("SNI_ONLY", Operator::RequestedServerName(Fallback::None)),
            ("SNI_FIRST:HOST", Operator::RequestedServerName(Fallback::Authority)),
            (
                "HOST_FIRST:HOST",
                Operator::RequestedServerName(Fallback::AuthorityFirst),
            ),
        ],
    )
}

/// As for the host: the path is the one that the client sent.
fn path(name: &str, parameter: Option<&str>) -> Result<Operator, String> {
    let (with, without) = (Operator::Path { query: true }, Operator::Path { query: false });
    word(
        name,
        parameter,
        &[
            ("", with.clone()),
            ("WQ", with.clone()),
            ("NQ", without.clone()),
            ("WQ:PATH", with),
            ("NQ:PATH", without),
        ],
    )
}
