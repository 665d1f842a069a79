//! What went wrong, as Envoy calls it: its response flags and details, for tools that know them.

use super::entry::Entry;
use super::entry::Outcome;
use crate::failure::Reason;
use crate::failure::Retry;

/// A flag of Envoy, in the order in which Envoy writes several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    NoHealthyUpstream,
    UpstreamRequestTimeout,
    LocalReset,
    UpstreamRemoteReset,
    UpstreamConnectionFailure,
    UpstreamConnectionTermination,
    UpstreamOverflow,
    NoRouteFound,
    DownstreamConnectionTermination,
    UpstreamRetryLimitExceeded,
    StreamIdleTimeout,
    DownstreamProtocolError,
    UpstreamProtocolError,
    NoClusterFound,
    OverloadManagerTerminated,
}

impl Flag {
    pub(super) fn short(self) -> &'static str {
        match self {
            Self::NoHealthyUpstream => "UH",
            Self::UpstreamRequestTimeout => "UT",
            Self::LocalReset => "LR",
            Self::UpstreamRemoteReset => "UR",
            Self::UpstreamConnectionFailure => "UF",
            Self::UpstreamConnectionTermination => "UC",
            Self::UpstreamOverflow => "UO",
            Self::NoRouteFound => "NR",
            Self::DownstreamConnectionTermination => "DC",
            Self::UpstreamRetryLimitExceeded => "URX",
            Self::StreamIdleTimeout => "SI",
            Self::DownstreamProtocolError => "DPE",
            Self::UpstreamProtocolError => "UPE",
            Self::NoClusterFound => "NC",
            Self::OverloadManagerTerminated => "OM",
        }
    }

    pub(super) fn long(self) -> &'static str {
        match self {
            Self::NoHealthyUpstream => "NoHealthyUpstream",
            Self::UpstreamRequestTimeout => "UpstreamRequestTimeout",
            Self::LocalReset => "LocalReset",
            Self::UpstreamRemoteReset => "UpstreamRemoteReset",
            Self::UpstreamConnectionFailure => "UpstreamConnectionFailure",
            Self::UpstreamConnectionTermination => "UpstreamConnectionTermination",
            Self::UpstreamOverflow => "UpstreamOverflow",
            Self::NoRouteFound => "NoRouteFound",
            Self::DownstreamConnectionTermination => "DownstreamConnectionTermination",
            Self::UpstreamRetryLimitExceeded => "UpstreamRetryLimitExceeded",
            Self::StreamIdleTimeout => "StreamIdleTimeout",
            Self::DownstreamProtocolError => "DownstreamProtocolError",
            Self::UpstreamProtocolError => "UpstreamProtocolError",
            Self::NoClusterFound => "NoClusterFound",
            Self::OverloadManagerTerminated => "OverloadManagerTerminated",
        }
    }

    /// What a reason is to Envoy.
    pub(super) fn of(reason: Reason) -> Self {
        match reason {
            Reason::MalformedRequest
            | Reason::HeadTooLarge
            | Reason::MalformedBody
            | Reason::UnknownCoding
            | Reason::ProtocolMismatch
            | Reason::Http2Flood => Self::DownstreamProtocolError,
            Reason::HeadTimeout | Reason::BodyTimeout | Reason::AnswerTimeout | Reason::IdleTimeout => {
                Self::StreamIdleTimeout
            }
            Reason::RequestLimit | Reason::ProxyEnded => Self::LocalReset,
            Reason::DownstreamGone => Self::DownstreamConnectionTermination,
            Reason::NotRedirected | Reason::UnknownDestination | Reason::NoRoute => Self::NoRouteFound,
            Reason::NoCluster => Self::NoClusterFound,
            Reason::NoEndpoint => Self::NoHealthyUpstream,
            Reason::Overloaded | Reason::TooManyConnections | Reason::TooManyStreams | Reason::BufferLimit => {
                Self::OverloadManagerTerminated
            }
            Reason::ConnectRefused | Reason::ConnectTimeout | Reason::ConnectFailed => Self::UpstreamConnectionFailure,
            Reason::UpstreamClosed | Reason::TruncatedResponse => Self::UpstreamConnectionTermination,
            Reason::StreamRefused | Reason::UpstreamReset => Self::UpstreamRemoteReset,
            Reason::MalformedResponse | Reason::TooManyInterim | Reason::UpstreamFlood => Self::UpstreamProtocolError,
            Reason::RequestTimeout => Self::UpstreamRequestTimeout,
        }
    }
}

/// The flags of what has ended: the reason's, and what became of its retries.
pub(super) fn flags(entry: &Entry, outcome: &Outcome) -> impl Iterator<Item = Flag> {
    let first = outcome.failure.map(Flag::of);
    let second = if entry.retry.is_some() {
        Some(Flag::UpstreamOverflow)
    } else {
        let in_vain = |reason: Reason| reason.retry() != Retry::Never && entry.attempts > 1;
        let exceeded = outcome.failure.is_some_and(in_vain);
        exceeded.then_some(Flag::UpstreamRetryLimitExceeded)
    };
    first.into_iter().chain(second)
}

/// `RESPONSE_CODE_DETAILS`: who made the answer, and why.
pub(super) fn details(entry: &Entry, outcome: &Outcome) -> Option<&'static str> {
    match outcome.failure {
        Some(reason) => Some(of_failure(reason)),
        None if entry.answered_by.is_some() => Some("direct_response"),
        None if outcome.status.is_some() => Some("via_upstream"),
        None => None,
    }
}

fn of_failure(reason: Reason) -> &'static str {
    match reason {
        Reason::NoRoute => "route_not_found",
        Reason::NoCluster => "cluster_not_found",
        Reason::NoEndpoint => "no_healthy_upstream",
        Reason::RequestTimeout => "response_timeout",
        Reason::HeadTimeout => "request_header_timeout",
        Reason::BodyTimeout | Reason::AnswerTimeout => "stream_idle_timeout",
        Reason::IdleTimeout => "tcp_session_idle_timeout",
        Reason::DownstreamGone => "downstream_remote_disconnect",
        Reason::Overloaded | Reason::TooManyConnections => "overload",
        Reason::HeadTooLarge => "request_headers_too_large",
        Reason::ConnectRefused | Reason::ConnectFailed => "upstream_reset_before_response_started{connection_failure}",
        Reason::ConnectTimeout => "upstream_reset_before_response_started{connection_timeout}",
        Reason::UpstreamClosed => "upstream_reset_before_response_started{connection_termination}",
        Reason::StreamRefused => "upstream_reset_before_response_started{remote_refused_stream_reset}",
        Reason::UpstreamReset => "upstream_reset_before_response_started{remote_reset}",
        Reason::MalformedResponse => "upstream_reset_before_response_started{protocol_error}",
        Reason::TruncatedResponse => "upstream_reset_after_response_started{connection_termination}",
        // Envoy has no word of its own for these.
        Reason::MalformedRequest
        | Reason::MalformedBody
        | Reason::UnknownCoding
        | Reason::NotRedirected
        | Reason::UnknownDestination
        | Reason::ProtocolMismatch
        | Reason::TooManyStreams
        | Reason::Http2Flood
        | Reason::BufferLimit
        | Reason::RequestLimit
        | Reason::ProxyEnded
        | Reason::TooManyInterim
        | Reason::UpstreamFlood => reason.label(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::access_log::sample::entry;

    fn of(attempts: u32, forbidden: bool, reason: Reason) -> Vec<&'static str> {
        let mut entry = entry();
        entry.reach(None, attempts);
        if forbidden {
            entry.forbid_retry();
        }
        let outcome = Outcome {
            failure: Some(reason),
            ..Outcome::default()
        };
        flags(&entry, &outcome).map(Flag::short).collect()
    }

    #[test]
    fn retries_in_vain_have_a_flag_and_so_have_those_that_were_forbidden() {
        assert_eq!(of(1, false, Reason::ConnectRefused), ["UF"]);
        assert_eq!(of(3, false, Reason::ConnectRefused), ["UF", "URX"]);
        assert_eq!(of(3, true, Reason::ConnectRefused), ["UF", "UO"]);
        assert_eq!(of(2, false, Reason::UpstreamReset), ["UR"]);
        assert_eq!(flags(&entry(), &Outcome::default()).count(), 0);
    }

    #[test]
    fn the_page_has_the_flag_of_every_reason() {
        let page = include_str!("../../../../docs/access-log.md");
        for reason in Reason::ALL {
            let flag = Flag::of(reason);
            let row = format!(
                "| `{reason}` | `{}` | `{}` | `{}` |",
                flag.short(),
                flag.long(),
                of_failure(reason)
            );
            assert!(page.contains(&row), "docs/access-log.md has no row {row}");
        }
    }
}
