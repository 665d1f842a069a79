//! Why something failed: one closed list, with everything that follows from a reason in exhaustive matches.
//!
//! To add a reason: a variant, its row in `ALL`, and the compiler names the matches that want a line.

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Who connected to us.
    Downstream,
    /// This proxy, or its configuration.
    Mesh,
    /// Whom we connected to.
    Upstream,
}

/// Whether the same request may be tried once more, on another endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The answer would be the same, or the request may have been acted on.
    Never,
    /// Nothing of the request was acted on.
    Always,
    /// If it was idempotent and the connection came out of a pool: the idle race (RFC 9110 9.2.2).
    OnReusedConnection,
}

/// The closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// A request head that breaks RFC 9112 or 9113.
    MalformedRequest,
    /// More bytes or fields than the limit.
    HeadTooLarge,
    /// A head that was begun and not finished in time.
    HeadTimeout,
    /// A request body whose framing is broken.
    MalformedBody,
    /// A transfer coding other than chunked.
    UnknownCoding,
    /// The client went away before its answer was complete.
    DownstreamGone,
    /// The connection carried no original destination, or one of our own ports.
    NotRedirected,
    /// No service has this address, and the mesh refuses unknown ones.
    UnknownDestination,
    /// No route matches.
    NoRoute,
    /// The route names a cluster that does not exist.
    NoCluster,
    /// The cluster has no endpoint that may be used.
    NoEndpoint,
    /// A limit of this proxy was reached.
    Overloaded,
    /// Bytes that contradict the declared protocol.
    ProtocolMismatch,
    /// A client left the body of its request unfinished for too long.
    BodyTimeout,
    /// One address has more connections than the limit.
    TooManyConnections,
    /// A stream above the number that a client may have open on one HTTP/2 connection.
    TooManyStreams,
    /// More HTTP/2 frames that carry no message, or more streams opened and reset, than the limit.
    Http2Flood,
    /// Too much waits for slow readers, and this one was waited for.
    BufferLimit,
    /// Nothing moved on a connection for as long as it may be idle.
    IdleTimeout,
    /// A connection has carried as many requests as one may.
    RequestLimit,
    /// This proxy ended while it was under way: told to, or at the deadline of its drain.
    ProxyEnded,
    /// An upstream refused the connection.
    ConnectRefused,
    /// An upstream did not answer a connection attempt in time.
    ConnectTimeout,
    /// A connection attempt failed in another way.
    ConnectFailed,
    /// An upstream closed or reset before it answered.
    UpstreamClosed,
    /// An upstream refused the stream without acting on it (`REFUSED_STREAM`, or above GOAWAY's last stream).
    StreamRefused,
    /// An upstream reset the stream.
    UpstreamReset,
    /// An answer that breaks RFC 9112 or 9113.
    MalformedResponse,
    /// An answer that ended before its declared end.
    TruncatedResponse,
    /// The whole exchange took longer than the route allows.
    RequestTimeout,
    /// An endpoint left the body of its answer unfinished for too long.
    AnswerTimeout,
    /// More interim answers to one request than the limit.
    TooManyInterim,
    /// An upstream sent more HTTP/2 frames that carry no message than the limit.
    UpstreamFlood,
}

impl Reason {
    /// Every reason, in the order of its discriminant.
    pub const ALL: [Self; 33] = [
        Self::MalformedRequest,
        Self::HeadTooLarge,
        Self::HeadTimeout,
        Self::MalformedBody,
        Self::UnknownCoding,
        Self::DownstreamGone,
        Self::NotRedirected,
        Self::UnknownDestination,
        Self::NoRoute,
        Self::NoCluster,
        Self::NoEndpoint,
        Self::Overloaded,
        Self::ProtocolMismatch,
        Self::BodyTimeout,
        Self::TooManyConnections,
        Self::TooManyStreams,
        Self::Http2Flood,
        Self::BufferLimit,
        Self::IdleTimeout,
        Self::RequestLimit,
        Self::ProxyEnded,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectFailed,
        Self::UpstreamClosed,
        Self::StreamRefused,
        Self::UpstreamReset,
        Self::MalformedResponse,
        Self::TruncatedResponse,
        Self::RequestTimeout,
        Self::AnswerTimeout,
        Self::TooManyInterim,
        Self::UpstreamFlood,
    ];

    /// Who is to blame.
    pub fn blame(self) -> Blame {
        match self {
            Self::MalformedRequest
            | Self::HeadTooLarge
            | Self::HeadTimeout
            | Self::MalformedBody
            | Self::UnknownCoding
            | Self::DownstreamGone
            | Self::ProtocolMismatch
            | Self::BodyTimeout
            | Self::TooManyConnections
            | Self::TooManyStreams
            | Self::Http2Flood => Blame::Downstream,
            Self::NotRedirected
            | Self::UnknownDestination
            | Self::NoRoute
            | Self::NoCluster
            | Self::NoEndpoint
            | Self::Overloaded
            | Self::BufferLimit
            | Self::IdleTimeout
            | Self::RequestLimit
            | Self::ProxyEnded
            | Self::RequestTimeout => Blame::Mesh,
            Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectFailed
            | Self::UpstreamClosed
            | Self::StreamRefused
            | Self::UpstreamReset
            | Self::MalformedResponse
            | Self::TruncatedResponse
            | Self::AnswerTimeout
            | Self::TooManyInterim
            | Self::UpstreamFlood => Blame::Upstream,
        }
    }

    /// The status of the response that we make, where one can still be sent.
    pub fn status(self) -> http::StatusCode {
        use http::StatusCode;
        match self {
            Self::MalformedRequest | Self::MalformedBody | Self::ProtocolMismatch => StatusCode::BAD_REQUEST,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HeadTimeout | Self::BodyTimeout | Self::IdleTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            // Nobody is there to read it; 499 is what the field writes into its logs.
            Self::DownstreamGone => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::NotRedirected
            | Self::UnknownDestination
            | Self::NoCluster
            | Self::NoEndpoint
            | Self::Overloaded
            | Self::TooManyConnections
            | Self::TooManyStreams
            | Self::Http2Flood
            | Self::BufferLimit
            | Self::RequestLimit
            | Self::ProxyEnded
            | Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectFailed
            | Self::StreamRefused => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamClosed
            | Self::UpstreamReset
            | Self::MalformedResponse
            | Self::TruncatedResponse
            | Self::TooManyInterim
            | Self::UpstreamFlood => StatusCode::BAD_GATEWAY,
            Self::RequestTimeout | Self::AnswerTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The status of the trailers-only answer that a gRPC client gets
    /// (numbers of gRPC's `statuscodes.md`: 1 cancelled, 4 deadline, 8 exhausted, 12 unimplemented, 13 internal, 14 unavailable).
    pub fn grpc_status(self) -> u8 {
        match self {
            Self::DownstreamGone => 1,
            Self::RequestTimeout | Self::HeadTimeout | Self::BodyTimeout | Self::AnswerTimeout | Self::IdleTimeout => 4,
            Self::HeadTooLarge
            | Self::TooManyConnections
            | Self::TooManyStreams
            | Self::Http2Flood
            | Self::BufferLimit => 8,
            Self::NoRoute | Self::UnknownCoding => 12,
            Self::MalformedRequest
            | Self::MalformedBody
            | Self::ProtocolMismatch
            | Self::MalformedResponse
            | Self::TooManyInterim => 13,
            Self::NotRedirected
            | Self::UnknownDestination
            | Self::NoCluster
            | Self::NoEndpoint
            | Self::Overloaded
            | Self::RequestLimit
            | Self::ProxyEnded
            | Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectFailed
            | Self::UpstreamClosed
            | Self::StreamRefused
            | Self::UpstreamReset
            | Self::TruncatedResponse
            | Self::UpstreamFlood => 14,
        }
    }

    /// Whether another attempt may help.
    pub fn retry(self) -> Retry {
        match self {
            Self::ConnectRefused | Self::ConnectTimeout | Self::ConnectFailed | Self::StreamRefused => Retry::Always,
            Self::UpstreamClosed => Retry::OnReusedConnection,
            Self::MalformedRequest
            | Self::HeadTooLarge
            | Self::HeadTimeout
            | Self::MalformedBody
            | Self::UnknownCoding
            | Self::DownstreamGone
            | Self::NotRedirected
            | Self::UnknownDestination
            | Self::NoRoute
            | Self::NoCluster
            | Self::NoEndpoint
            | Self::Overloaded
            | Self::ProtocolMismatch
            | Self::BodyTimeout
            | Self::TooManyConnections
            | Self::TooManyStreams
            | Self::Http2Flood
            | Self::BufferLimit
            | Self::IdleTimeout
            | Self::RequestLimit
            | Self::ProxyEnded
            | Self::UpstreamReset
            | Self::MalformedResponse
            | Self::TruncatedResponse
            | Self::RequestTimeout
            | Self::AnswerTimeout
            | Self::TooManyInterim
            | Self::UpstreamFlood => Retry::Never,
        }
    }

    /// The `reason` label of metrics, the flag in logs, and the value of `x-evenkeel-reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::HeadTooLarge => "head_too_large",
            Self::HeadTimeout => "head_timeout",
            Self::MalformedBody => "malformed_body",
            Self::UnknownCoding => "unknown_coding",
            Self::DownstreamGone => "downstream_gone",
            Self::NotRedirected => "not_redirected",
            Self::UnknownDestination => "unknown_destination",
            Self::NoRoute => "no_route",
            Self::NoCluster => "no_cluster",
            Self::NoEndpoint => "no_endpoint",
            Self::Overloaded => "overloaded",
            Self::ProtocolMismatch => "protocol_mismatch",
            Self::BodyTimeout => "body_timeout",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyStreams => "too_many_streams",
            Self::Http2Flood => "http2_flood",
            Self::BufferLimit => "buffer_limit",
            Self::IdleTimeout => "idle_timeout",
            Self::RequestLimit => "request_limit",
            Self::ProxyEnded => "proxy_ended",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectFailed => "connect_failed",
            Self::UpstreamClosed => "upstream_closed",
            Self::StreamRefused => "stream_refused",
            Self::UpstreamReset => "upstream_reset",
            Self::MalformedResponse => "malformed_response",
            Self::TruncatedResponse => "truncated_response",
            Self::RequestTimeout => "request_timeout",
            Self::AnswerTimeout => "answer_timeout",
            Self::TooManyInterim => "too_many_interim",
            Self::UpstreamFlood => "upstream_flood",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_in_order() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason}");
        }
    }

    #[test]
    fn only_what_was_not_acted_on_is_always_tried_again() {
        for reason in Reason::ALL {
            if reason.retry() == Retry::Always {
                assert_eq!(reason.blame(), Blame::Upstream, "{reason}");
            }
        }
    }
}
