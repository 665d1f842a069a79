//! What is wanted of one type, and what the server of the present stream has been told of it.
//!
//! The wildcard and names are kept apart: a client may want everything and, besides, a name that "everything" does not
//! hold. Pure, and as cheap as what changes.

use crate::ads::message::Text;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;

/// How a wildcard is written where names stand beside it.
const EVERYTHING: &str = "*";

/// How many names that were left out are remembered: what may be given up while a message is on its way.
const LEFT_OUT: usize = 1_000;

/// The subscription to one type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    wildcard: bool,
    wanted: BTreeSet<Text>,
    told: Told,
    /// Where `wanted` and `told` differ.
    changed: BTreeSet<Text>,
    /// What the server was told that nobody wants any more.
    dropped: Vec<Text>,
    /// What [`Names::tell_all`] said last, while it holds: answers repeat ten thousand names that have not changed.
    list: Option<Arc<[Text]>>,
}

/// What the server of the present stream knows.
#[derive(Clone, Debug, Default)]
struct Told {
    names: BTreeSet<Text>,
    wildcard: bool,
    /// `*` has been written, or names: an empty list does not mean "everything" any more.
    explicit: bool,
    /// State of the world only: names that a list left out. The server may not know: it drops a list that crosses a
    /// response of its own.
    left_out: BTreeSet<Text>,
    /// The same in the order in which they were left out; some are wanted again.
    order: VecDeque<Text>,
}

/// What a delta server has to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// `resource_names_subscribe`.
    pub subscribe: Vec<Text>,
    /// `resource_names_unsubscribe`.
    pub unsubscribe: Vec<Text>,
}

/// What a server of the state of the world has to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct All {
    /// `resource_names`.
    pub names: Arc<[Text]>,
    /// Those of them that the last request did not have.
    pub new: Vec<Text>,
}

impl Names {
    /// Everything of the type is wanted.
    pub(crate) fn wildcard() -> Self {
        Self {
            wildcard: true,
            ..Self::default()
        }
    }

    /// Whether everything is wanted.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// The names that are wanted, with or without a wildcard.
    pub(crate) fn wanted(&self) -> &BTreeSet<Text> {
        &self.wanted
    }

    /// Whether a resource of this name is to be taken: it is wanted, by name or with all others, or the server has not been
    /// told yet that it is not. (Who wants it again before that has missed nothing.)
    pub(crate) fn cover(&self, name: &str) -> bool {
        self.wildcard || self.wanted.contains(name) || self.told.names.contains(name)
    }

    /// Whether the server has been told that this name is wanted, and nothing else since.
    pub(crate) fn is_told(&self, name: &str) -> bool {
        self.told.names.contains(name)
    }

    /// Whether it is asked for, as the server knows it or as it will: who wants it again before the server was told
    /// otherwise asks nobody.
    pub(crate) fn is_asked(&self, name: &str) -> bool {
        self.wanted.contains(name) || self.is_told(name)
    }

    /// Names that were given up, each once the server has been told so.
    pub(crate) fn take_dropped(&mut self) -> Vec<Text> {
        std::mem::take(&mut self.dropped)
    }

    /// Whether nothing is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        !self.wildcard && self.wanted.is_empty()
    }

    /// A response of the state of the world has this name: a server that was told to leave it out has not heard of that, and
    /// would not send it again to who wants it again. It counts as told once more, until the next list.
    pub(crate) fn was_sent(&mut self, name: &str) {
        if let Some(name) = self.told.left_out.take(name) {
            self.told.names.insert(Arc::clone(&name));
            self.compare(&name);
        }
    }

    /// Subscribes.
    pub(crate) fn want(&mut self, name: &Text) {
        if self.wanted.insert(Arc::clone(name)) {
            self.compare(name);
        }
    }

    /// Unsubscribes.
    pub(crate) fn forget(&mut self, name: &Text) {
        if self.wanted.remove(name) {
            self.compare(name);
        }
    }

    /// The stream has ended: the next one's server knows nothing, and what was to be given up is.
    pub(crate) fn end(&mut self) {
        let told = std::mem::take(&mut self.told);
        self.list = None;
        self.dropped.extend(told.names.difference(&self.wanted).cloned());
        self.changed = self.wanted.clone();
    }

    /// Whether the server has to be told anything.
    pub(crate) fn has_change(&self) -> bool {
        self.wildcard != self.told.wildcard || !self.changed.is_empty()
    }

    /// What a delta server has to be told; from here on it counts as told.
    pub(crate) fn tell_change(&mut self) -> Change {
        let mut change = Change::default();
        // An empty first request means "everything"; beside names it has to be written.
        if self.wildcard && !self.told.wildcard && (self.told.explicit || !self.changed.is_empty()) {
            change.subscribe.push(Text::from(EVERYTHING));
        }
        for name in std::mem::take(&mut self.changed) {
            if self.wanted.contains(&name) {
                self.told.names.insert(Arc::clone(&name));
                change.subscribe.push(name);
            } else {
                self.told.names.remove(&name);
                self.dropped.push(Arc::clone(&name));
                change.unsubscribe.push(name);
            }
        }
        self.told.explicit |= !change.subscribe.is_empty();
        self.told.wildcard = self.wildcard;
        change
    }

    /// Everything that is wanted, as a request for the state of the world repeats it; it then counts as told.
    pub(crate) fn tell_all(&mut self) -> All {
        self.told.explicit |= !self.wanted.is_empty();
        self.told.wildcard = self.wildcard;
        let mut new = Vec::new();
        for name in std::mem::take(&mut self.changed) {
            if self.wanted.contains(&name) {
                self.told.left_out.remove(&name);
                self.told.names.insert(Arc::clone(&name));
                new.push(name);
            } else {
                self.told.names.remove(&name);
                self.told.leave_out(&name);
                self.dropped.push(name);
            }
        }
        let everything = (self.wildcard && self.told.explicit).then(|| Text::from(EVERYTHING));
        let list = || everything.into_iter().chain(self.wanted.iter().cloned()).collect();
        let names = Arc::clone(self.list.get_or_insert_with(list));
        All { names, new }
    }

    fn compare(&mut self, name: &Text) {
        self.list = None;
        if self.wanted.contains(name) == self.told.names.contains(name) {
            self.changed.remove(name);
        } else {
            self.changed.insert(Arc::clone(name));
        }
    }
}

impl Told {
    fn leave_out(&mut self, name: &Text) {
        self.left_out.insert(Arc::clone(name));
        self.order.push_back(Arc::clone(name));
        if self.order.len() > LEFT_OUT
            && let Some(first) = self.order.pop_front()
        {
            self.left_out.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Text {
        Text::from(text)
    }

    fn texts(names: &[Text]) -> Vec<&str> {
        names.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn a_name_that_comes_and_goes_between_two_requests_is_not_told() {
        let mut names = Names::default();
        names.want(&name("a"));
        names.forget(&name("a"));
        assert!(!names.has_change());
        names.want(&name("a"));
        assert_eq!(texts(&names.tell_change().subscribe), ["a"]);
        names.forget(&name("a"));
        names.want(&name("a"));
        assert!(!names.has_change());
    }

    #[test]
    fn everything_is_an_empty_first_request() {
        let mut names = Names::wildcard();
        assert!(names.has_change());
        assert_eq!(names.tell_change(), Change::default());
        assert!(!names.has_change());
    }

    #[test]
    fn everything_and_a_name_is_written_out() {
        let mut names = Names::wildcard();
        names.want(&name("a"));
        assert_eq!(texts(&names.tell_change().subscribe), ["*", "a"]);
        names.forget(&name("a"));
        assert_eq!(texts(&names.tell_change().unsubscribe), ["a"]);
    }

    #[test]
    fn the_state_of_the_world_never_forgets_everything_for_a_name() {
        let mut names = Names::wildcard();
        assert_eq!(names.tell_all(), All::default());
        names.want(&name("a"));
        assert_eq!(texts(&names.tell_all().names), ["*", "a"]);
        names.forget(&name("a"));
        // An empty list after names would mean "nothing".
        assert_eq!(texts(&names.tell_all().names), ["*"]);
    }

    #[test]
    fn a_list_that_has_not_changed_is_shared_and_tells_nothing_new() {
        let mut names = Names::default();
        names.want(&name("a"));
        let first = names.tell_all();
        assert_eq!((texts(&first.names), texts(&first.new)), (vec!["a"], vec!["a"]));
        let second = names.tell_all();
        assert!(Arc::ptr_eq(&first.names, &second.names) && second.new.is_empty());
        names.want(&name("b"));
        let third = names.tell_all();
        assert_eq!((texts(&third.names), texts(&third.new)), (vec!["a", "b"], vec!["b"]));
        names.end();
        let again = names.tell_all();
        assert_eq!(
            (texts(&again.names), texts(&again.new)),
            (vec!["a", "b"], vec!["a", "b"])
        );
    }

    #[test]
    fn a_new_stream_is_told_all_of_it_again() {
        let mut names = Names::default();
        names.want(&name("a"));
        names.tell_change();
        names.want(&name("b"));
        names.end();
        assert_eq!(texts(&names.tell_change().subscribe), ["a", "b"]);
    }

    #[test]
    fn a_name_that_the_server_still_sends_is_told_as_before() {
        let mut names = Names::default();
        names.want(&name("a"));
        names.tell_all();
        names.forget(&name("a"));
        names.tell_all();
        names.was_sent("a");
        names.was_sent("never asked for");
        assert!(names.cover("a") && !names.cover("never asked for"));
        assert!(names.has_change() && names.tell_all().names.is_empty());
        assert!(!names.cover("a"));
    }

    #[test]
    fn names_that_were_left_out_long_ago_are_forgotten() {
        let mut names = Names::default();
        for number in 0..=LEFT_OUT {
            let name = name(&number.to_string());
            names.want(&name);
            names.tell_all();
            names.forget(&name);
            names.tell_all();
        }
        names.was_sent("0");
        names.was_sent("1");
        assert!(!names.cover("0") && names.cover("1"));
    }

    #[test]
    fn a_name_is_dropped_when_the_server_has_been_told() {
        let mut names = Names::default();
        names.want(&name("a"));
        names.tell_change();
        names.forget(&name("a"));
        assert!(names.cover("a") && names.take_dropped().is_empty());
        names.tell_change();
        assert!(!names.cover("a"));
        assert_eq!(texts(&names.take_dropped()), ["a"]);
    }
}
