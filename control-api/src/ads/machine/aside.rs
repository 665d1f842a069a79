//! What was given up a moment ago, in the state of the world.
//!
//! A server drops a list of names that crosses a response of its own, and of endpoints and routes it may send what has
//! changed only. A name that such a list left out, and that is wanted again, is then one that the server believes it has
//! sent: it will not send it again. So what was there is kept for a while.

use crate::ads::message::Text;
use crate::ads::store::Entry;
use crate::resource::Kind;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// How many are kept. Lists cross responses for as long as a message takes; this is what may be given up meanwhile.
const KEPT: usize = 1_000;

/// Entries of names that the server of the present stream was told to leave out.
#[derive(Clone, Debug, Default)]
pub(super) struct Aside {
    entries: BTreeMap<(Kind, Text), Entry>,
    /// In the order in which they were given up; some are not there any more.
    order: VecDeque<(Kind, Text)>,
}

impl Aside {
    /// Keeps an entry; the one that was given up first may have to go for it.
    pub(super) fn keep(&mut self, kind: Kind, name: &Text, entry: Entry) {
        let key = (kind, Text::clone(name));
        self.order.push_back(key.clone());
        self.entries.insert(key, entry);
        if self.order.len() > KEPT
            && let Some(first) = self.order.pop_front()
        {
            self.entries.remove(&first);
        }
    }

    /// It is wanted again, or known anew.
    pub(super) fn take(&mut self, kind: Kind, name: &Text) -> Option<Entry> {
        self.entries.remove(&(kind, Text::clone(name)))
    }

    /// The stream has ended: the next server sends everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[test]
    fn what_was_given_up_long_ago_is_forgotten() {
        let mut aside = Aside::default();
        let name = |number: usize| Text::from(number.to_string());
        for number in 0..=KEPT {
            aside.keep(Kind::Route, &name(number), Entry::requested(Instant::now()));
        }
        assert!(aside.take(Kind::Route, &name(0)).is_none());
        assert!(aside.take(Kind::Assignment, &name(1)).is_none());
        assert!(aside.take(Kind::Route, &name(1)).is_some() && aside.take(Kind::Route, &name(1)).is_none());
        assert!(aside.take(Kind::Route, &name(KEPT)).is_some());
    }
}
