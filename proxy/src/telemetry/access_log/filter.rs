//! Whether there is a line, as far as that depends on how it ended. Chance decides at the beginning (`Session::entry`), so
//! that nothing is gathered of what is not told.

use super::Entry;
use super::Outcome;
use crate::telemetry::fault;
use crate::telemetry::fault::Fault;
use evenkeel_control_api::mesh::settings::LogFilter;

pub(super) fn passes(filter: &LogFilter, entry: &Entry, outcome: &Outcome) -> bool {
    let status = || {
        outcome
            .status
            .is_some_and(|status| filter.status.iter().any(|range| range.has(status.as_u16())))
    };
    (filter.status.is_empty() || status())
        && outcome.duration >= filter.duration
        && (!filter.failed || has_failed(entry, outcome))
}

/// There is a reason, whoever is to blame, or a request has failed by its service's fault.
fn has_failed(entry: &Entry, outcome: &Outcome) -> bool {
    let by_service = || fault::of_request(outcome) == Some(Fault::Service);
    outcome.failure.is_some() || (entry.asked.is_some() && by_service())
}

#[cfg(test)]
mod tests {
    use super::super::sample::entry;
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

    fn request() -> Box<Entry> {
        let mut entry = entry();
        entry.ask("HTTP/1.1", b"GET", (b"/", None), None);
        entry
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
            assert_eq!(passes(&filter, &request(), &outcome), passing, "{outcome:?}");
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
            assert_eq!(passes(&filter, &request(), &outcome), failed, "{status}");
        }
    }

    #[test]
    fn a_request_without_an_answer_has_failed_and_an_opaque_connection_has_none() {
        let filter = LogFilter {
            failed: true,
            ..LogFilter::default()
        };
        assert!(passes(&filter, &request(), &Outcome::default()));
        assert!(!passes(&filter, &entry(), &Outcome::default()));
    }

    #[test]
    fn no_filter_passes_everything() {
        assert!(passes(&LogFilter::default(), &entry(), &Outcome::default()));
    }
}
