//! A rule: which requests, and what becomes of them.

use super::path::{Matched, PathChange};
use super::{Ask, Die, Levels, redirect};
use evenkeel_control_api::resource::HashKey;
use evenkeel_control_api::resource::route::{DirectResponse, FieldName, HostRewrite, Redirect, RouteMatch, Timeouts};
use http::StatusCode;
use std::num::NonZeroU64;

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// For people; may be empty.
    pub name: Box<str>,
    /// Which requests.
    pub matches: RouteMatch,
    /// What becomes of them.
    pub action: Action,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It goes to a cluster.
    Forward(Forward),
    /// It goes to one of several clusters.
    Weighted(Weighted),
    /// It is answered here.
    Answer(Box<Answer>),
    /// It has nowhere to go.
    Nowhere,
}

/// To a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// Which.
    pub cluster: Target,
    /// The status of the answer when there is no such cluster.
    pub not_found: StatusCode,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// `None`: both messages go as they come.
    pub changes: Option<Box<Changes>>,
    /// What requests have in common that are to get the same endpoint, of a cluster that hashes.
    pub hash: Option<HashKey>,
}

/// Which cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The one at this place of the snapshot.
    Place(usize),
    /// The one that this field of the request names.
    Named(FieldName),
}

/// What is changed of a request and of its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Fields of the request.
    pub request: Levels,
    /// Fields of the answer.
    pub response: Levels,
    /// Its path.
    pub path: Option<PathChange>,
    /// Its host.
    pub host: Option<HostRewrite>,
    /// Where the host is another, the first one is told in `X-Forwarded-Host`.
    pub append_forwarded_host: bool,
    /// The endpoint is told the number of the attempt.
    pub tells_endpoints_attempts: bool,
    /// The client is told how many attempts there were.
    pub tells_clients_attempts: bool,
}

/// One of several clusters, by chance.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    total: NonZeroU64,
    /// Each with the sum of the weights up to and with its own.
    choices: Vec<(u64, Forward)>,
}

/// An answer that stands in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What it says.
    pub kind: AnswerKind,
    /// Changes of its fields.
    pub response: Levels,
    pub(super) matched: Matched,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerKind {
    /// Elsewhere.
    Redirect(Redirect),
    /// This.
    Respond(DirectResponse),
}

impl Weighted {
    /// `None` where no weight is more than nothing.
    pub(super) fn new(weights: impl IntoIterator<Item = (u32, Forward)>) -> Option<Self> {
        let mut sum = 0;
        let weights = weights.into_iter().filter(|(weight, _)| *weight > 0);
        let choices = weights.map(|(weight, forward)| {
            sum += u64::from(weight);
            (sum, forward)
        });
        let choices: Vec<_> = choices.collect();
        Some(Self {
            total: NonZeroU64::new(sum)?,
            choices,
        })
    }

    pub(super) fn choose(&self, die: Die<'_>) -> Option<&Forward> {
        let thrown = die(self.total);
        let place = self.choices.partition_point(|(sum, _)| *sum <= thrown);
        self.choices.get(place).map(|(_, forward)| forward)
    }

    /// Each with its weight.
    pub fn choices(&self) -> impl Iterator<Item = (u64, &Forward)> {
        let before = [0].into_iter().chain(self.choices.iter().map(|(sum, _)| *sum));
        let choices = self.choices.iter().zip(before);
        choices.map(|((sum, forward), before)| (sum - before, forward))
    }
}

impl Action {
    /// Every way to a cluster.
    pub fn forwards(&self) -> impl Iterator<Item = &Forward> {
        let (one, several) = match self {
            Self::Forward(forward) => (Some(forward), None),
            Self::Weighted(weighted) => (None, Some(weighted)),
            Self::Answer(_) | Self::Nowhere => (None, None),
        };
        let several = several.into_iter().flat_map(Weighted::choices);
        one.into_iter().chain(several.map(|(_, forward)| forward))
    }
}

impl Answer {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        match &self.kind {
            AnswerKind::Redirect(redirect) => redirect.status,
            AnswerKind::Respond(response) => response.status,
        }
    }

    /// The value of `Location`, in a redirect.
    pub fn location(&self, ask: &Ask<'_>) -> Option<Vec<u8>> {
        match &self.kind {
            AnswerKind::Redirect(redirect) => Some(redirect::location(redirect, self.matched, ask)),
            AnswerKind::Respond(_) => None,
        }
    }
}
