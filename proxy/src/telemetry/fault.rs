//! What has failed, and through whose fault: the one rule that metrics, the page, spans and the access log's filter share.

use crate::failure::Blame;
use crate::telemetry::Direction;
use crate::telemetry::access_log::Outcome;
use crate::telemetry::grpc;

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Who asked.
    Client,
    /// Who was asked, or the mesh in between.
    Service,
}

/// Of a request: the reason for which the mesh failed it, else what its answer says. None at all is the service's fault.
pub(super) fn of_request(outcome: &Outcome) -> Option<Fault> {
    if let Some(reason) = outcome.failure {
        return Some(match reason.blame() {
            Blame::Downstream => Fault::Client,
            Blame::Mesh | Blame::Upstream => Fault::Service,
        });
    }
    let Some(status) = outcome.status else {
        return Some(Fault::Service);
    };
    if status.is_server_error() || outcome.grpc_status.is_some_and(grpc::is_servers_fault) {
        return Some(Fault::Service);
    }
    let is_refusal = status.is_client_error() || outcome.grpc_status.is_some_and(|status| status != 0);
    is_refusal.then_some(Fault::Client)
}

impl Fault {
    /// Whether a span of this direction is in error, as OpenTelemetry has it: that of a server not by what its client does.
    pub(super) fn is_error(self, direction: Direction) -> bool {
        self == Self::Service || direction == Direction::Outbound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;
    use http::StatusCode;

    fn fault(status: u16, grpc_status: Option<u32>, failure: Option<Reason>) -> Option<Fault> {
        of_request(&Outcome {
            status: StatusCode::from_u16(status).ok(),
            grpc_status,
            failure,
            ..Outcome::default()
        })
    }

    #[test]
    fn a_reason_says_whose_fault_it_is_whatever_the_status() {
        assert_eq!(fault(503, None, Some(Reason::MalformedRequest)), Some(Fault::Client));
        assert_eq!(fault(499, None, Some(Reason::DownstreamGone)), Some(Fault::Client));
        assert_eq!(fault(404, None, Some(Reason::NoRoute)), Some(Fault::Service));
        assert_eq!(
            fault(200, Some(0), Some(Reason::TruncatedResponse)),
            Some(Fault::Service)
        );
    }

    #[test]
    fn without_a_reason_the_answer_says_it() {
        for (status, expected) in [
            (200, None),
            (304, None),
            (404, Some(Fault::Client)),
            (500, Some(Fault::Service)),
        ] {
            assert_eq!(fault(status, None, None), expected, "{status}");
        }
        // No answer.
        assert_eq!(fault(0, None, None), Some(Fault::Service));
    }

    #[test]
    fn of_grpc_these_are_the_servers_fault_and_all_others_but_ok_the_clients() {
        for status in 0..20 {
            let expected = match status {
                0 => None,
                2 | 4 | 12 | 13 | 14 | 15 => Some(Fault::Service),
                _ => Some(Fault::Client),
            };
            assert_eq!(fault(200, Some(status), None), expected, "{status}");
        }
    }

    #[test]
    fn what_a_client_does_is_no_error_of_its_server() {
        assert!(!Fault::Client.is_error(Direction::Inbound) && Fault::Client.is_error(Direction::Outbound));
        assert!(Fault::Service.is_error(Direction::Inbound) && Fault::Service.is_error(Direction::Outbound));
    }
}
