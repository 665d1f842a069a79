//! Whether there is a line, as far as that depends on how it ended. Chance decides at the beginning (`Session::entry`), so
//! that nothing is gathered of what is not told.

use super::Outcome;
use evenkeel_control_api::mesh::settings::LogFilter;

pub(super) fn passes(filter: &LogFilter, outcome: &Outcome) -> bool {
    let status = || {
        outcome
            .status
            .is_some_and(|status| filter.status.iter().any(|range| range.has(status.as_u16())))
    };
    (filter.status.is_empty() || status())
        && outcome.duration >= filter.duration
        && (!filter.failed || has_failed(outcome))
}

/// There is a reason, or the server says that it is at fault: a 5xx, or those of gRPC's statuses that OpenTelemetry takes for
/// a server's error (unknown, deadline exceeded, unimplemented, internal, unavailable, data loss).
fn has_failed(outcome: &Outcome) -> bool {
    outcome.failure.is_some()
        || outcome.status.is_some_and(|status| status.as_u16() >= 500)
        || matches!(outcome.grpc_status, Some(2 | 4 | 12..=15))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;
    use evenkeel_control_api::mesh::settings::StatusRange;
    use http::StatusCode;
    use std::time::Duration;

    fn outcome(status: u16, millis: u64) -> Outcome {
        Outcome {
            status: Some(StatusCode::from_u16(status).unwrap()),
            duration: Duration::from_millis(millis),
            ..Outcome::default()
        }
    }

    #[test]
    fn all_that_is_asked_must_hold() {
        let filter = LogFilter {
            status: ["404", "5xx"].map(|text| StatusRange::parse(text).unwrap()).into(),
            duration: Duration::from_millis(10),
            failed: true,
            sample: None,
        };
        for (passing, outcome) in [
            (true, outcome(503, 10)),
            (false, outcome(503, 9)),
            (false, outcome(404, 10)),
            (
                true,
                Outcome {
                    failure: Some(Reason::NoRoute),
                    ..outcome(404, 10)
                },
            ),
            (
                false,
                Outcome {
                    failure: Some(Reason::NoRoute),
                    ..outcome(403, 10)
                },
            ),
            (
                false,
                Outcome {
                    status: None,
                    failure: Some(Reason::DownstreamGone),
                    ..outcome(503, 10)
                },
            ),
        ] {
            assert_eq!(passes(&filter, &outcome), passing, "{outcome:?}");
        }
    }

    #[test]
    fn a_status_of_grpc_may_be_a_failure() {
        let filter = LogFilter {
            failed: true,
            ..LogFilter::default()
        };
        for (status, failed) in [(0, false), (5, false), (14, true)] {
            let outcome = Outcome {
                grpc_status: Some(status),
                ..outcome(200, 1)
            };
            assert_eq!(passes(&filter, &outcome), failed, "{status}");
        }
    }

    #[test]
    fn no_filter_passes_everything() {
        assert!(passes(&LogFilter::default(), &Outcome::default()));
    }
}
