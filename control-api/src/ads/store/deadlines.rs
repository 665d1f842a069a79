//! Which resources have to be looked at when: answers that are due, lifetimes that end.

use crate::ads::message::Text;
use crate::resource::Kind;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// What happens at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The server has not said anything of a resource that was asked for.
    Answer,
    /// A resource has not been repeated.
    Expiry,
}

/// Deadlines in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(Instant, Due, Kind, Text)>);

impl Deadlines {
    pub(super) fn add(&mut self, at: Instant, due: Due, kind: Kind, name: Text) {
        self.0.insert((at, due, kind, name));
    }

    pub(super) fn remove(&mut self, at: Instant, due: Due, kind: Kind, name: &Text) {
        self.0.remove(&(at, due, kind, Text::clone(name)));
    }

    /// The next one.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.first().map(|(at, ..)| *at)
    }

    /// Takes one that has passed.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Due, Kind, Text)> {
        if self.first()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, due, kind, name)| (due, kind, name))
    }

    /// Takes all answers: nobody is there to give them.
    pub(super) fn take_answers(&mut self) -> Vec<(Kind, Text)> {
        let (answers, others) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(_, due, ..)| *due == Due::Answer);
        self.0 = others;
        let answers: BTreeSet<_> = answers;
        answers.into_iter().map(|(_, _, kind, name)| (kind, name)).collect()
    }
}
