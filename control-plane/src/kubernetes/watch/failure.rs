//! Why a watch does not go on, in a sentence, and how long it waits then.

use crate::kubernetes::kind::Kind;
use std::error::Error;
use std::time::Duration;

/// The first pause is some part of this; it doubles.
const FIRST: Duration = Duration::from_millis(400);
/// The longest.
const LONGEST: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The API server has forgotten where we were: everything is listed anew.
    Gone,
    /// The cluster has no such kind.
    Missing,
    /// We may not, and what we lack.
    Forbidden(String),
    /// A watch ended at once.
    Ended,
    /// Nobody takes what is seen any more.
    Closed,
    /// Anything else.
    Other(String),
}

impl Failure {
    pub(super) fn other(reason: String) -> Self {
        Self::Other(reason)
    }

    pub(super) fn slow(verb: &str) -> Self {
        Self::Other(format!("the API server does not answer the {verb} in time"))
    }

    pub(super) fn of(kind: Kind, verb: &str, error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Other(chain(&error));
        };
        match status.code {
            410 => Self::Gone,
            404 => Self::Missing,
            403 => {
                let (group, resource) = kind.resource();
                Self::Forbidden(format!(
                    "not allowed: a ClusterRole of ours must grant the verb `{verb}` on `{resource}` in the API group \
                     `{group}`; the API server says: {}",
                    status.message
                ))
            }
            401 => Self::Other(format!("the API server does not know who we are: {}", status.message)),
            code => Self::Other(format!("the API server answers {code}: {}", status.message)),
        }
    }
}

/// With its causes: "service error" alone helps nobody.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Pauses between attempts. Pure: chance is an argument.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Between a half and the whole of a bound that doubles: the replicas of a control plane must not come all at once.
    pub(super) fn next(&mut self, dice: u64) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(0.5 + dice as f64 / u64::MAX as f64 / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn the_bound_doubles_up_to_fifteen_seconds() {
        let mut pauses = Pauses::default();
        let bounds: Vec<_> = (0..8).map(|_| pauses.next(u64::MAX).as_millis()).collect();
        assert_eq!(bounds, [400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
        pauses.reset();
        assert_eq!(pauses.next(0).as_millis(), 200);
    }

    #[test]
    fn what_is_forbidden_says_which_verb_is_missing() {
        let mut status = Status::failure("services is forbidden: User \"x\" cannot list", "Forbidden");
        status.code = 403;
        let failure = Failure::of(Kind::EndpointSlice, "list", kube::Error::Api(status.boxed()));
        let Failure::Forbidden(said) = failure else {
            panic!("{failure:?}")
        };
        assert!(
            said.contains("the verb `list` on `endpointslices` in the API group `discovery.k8s.io`"),
            "{said}"
        );
    }

    #[test]
    fn what_was_forgotten_and_what_is_missing_are_told_apart() {
        for (code, expected) in [(410, Failure::Gone), (404, Failure::Missing)] {
            let mut status = Status::failure("", "");
            status.code = code;
            assert_eq!(
                Failure::of(Kind::Pod, "watch", kube::Error::Api(status.boxed())),
                expected
            );
        }
    }
}
