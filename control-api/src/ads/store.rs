//! Every resource that was asked for or delivered: its last good version, and what became of the one that came last.
//!
//! Delta and state of the world end here alike. A response is taken in part: what is good in it holds, what is not is
//! refused by name, and the last good version of that stays.

mod accept;
mod deadlines;
mod entry;
mod noted;
mod refusals;

pub(crate) use accept::Delivery;
pub use entry::Entry;
pub use entry::Refusal;
pub use entry::State;
pub(crate) use refusals::Refusals;

use crate::ads::intake::Fingerprint;
use crate::ads::message::Text;
use crate::ads::names::Names;
use crate::ads::per_kind::PerKind;
use crate::resource::Kind;
use crate::resource::Resource;
use deadlines::Deadlines;
use deadlines::Due;
use noted::Noted;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a server may take to say something of a resource that was asked for (gRFC A57).
const ANSWER: Duration = Duration::from_secs(15);

/// Everything known of resources.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    tables: PerKind<Table>,
    deadlines: Deadlines,
    noted: Noted,
    /// Of one type.
    most_resources: usize,
}

/// What is known of one type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<Text, Entry>,
    /// `version_info` of the last response that was accepted in whole.
    pub(crate) version: Text,
    /// A response came, or was waited for in vain.
    pub(crate) answered: bool,
    /// All of it was waited for in vain.
    pub(crate) overdue: bool,
    /// Until when the first answer to a wildcard may take.
    wildcard_due: Option<Instant>,
    /// Resources that were taken.
    pub(crate) accepted: u64,
    /// Resources that were refused.
    pub(crate) refused: u64,
    /// When the last response came.
    pub(crate) updated: Option<Instant>,
}

/// A resource whose last good version or state is another now.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// Its type.
    pub kind: Kind,
    /// Its name.
    pub name: Text,
    /// The last good version before.
    pub before: Option<Resource>,
}

impl Changed {
    fn new(kind: Kind, name: &Text, before: Option<Resource>) -> Self {
        Self {
            kind,
            name: Arc::clone(name),
            before,
        }
    }
}

impl Store {
    /// An empty store that takes so many resources of a type.
    pub(crate) fn new(most_resources: usize) -> Self {
        Self {
            tables: PerKind::default(),
            deadlines: Deadlines::default(),
            noted: Noted::default(),
            most_resources,
        }
    }

    /// What is known of a type.
    pub(crate) fn table(&self, kind: Kind) -> &Table {
        &self.tables[kind]
    }

    /// What is known of a resource.
    pub(crate) fn entry(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.tables[kind].entries.get(name)
    }

    /// The last good version.
    pub(crate) fn resource(&self, kind: Kind, name: &str) -> Option<&Resource> {
        self.entry(kind, name)?.resource.as_ref()
    }

    /// By which the version in force is known again.
    pub(crate) fn fingerprint(&self, kind: Kind, name: &str) -> Option<Fingerprint> {
        let entry = self.entry(kind, name)?;
        entry.resource.as_ref().and(entry.fingerprint)
    }

    /// A resource is wanted by name.
    pub(crate) fn request(&mut self, kind: Kind, name: &Text, now: Instant) {
        let entries = &mut self.tables[kind].entries;
        entries.entry(Arc::clone(name)).or_insert_with(|| Entry::requested(now));
    }

    /// A resource is not wanted any more.
    pub(crate) fn forget(&mut self, kind: Kind, name: &Text) -> Option<Changed> {
        let entry = self.tables[kind].entries.remove(name)?;
        if let Some(due) = entry.answer_due {
            self.deadlines.remove(due, Due::Answer, kind, name);
        }
        if let Some(due) = entry.expires {
            self.deadlines.remove(due, Due::Expiry, kind, name);
        }
        Some(Changed::new(kind, name, entry.resource))
    }

    /// A resource that was given up is wanted again, and is what it was.
    pub(crate) fn restore(&mut self, kind: Kind, name: &Text, entry: Entry) -> Changed {
        self.tables[kind].entries.insert(Arc::clone(name), entry);
        Changed::new(kind, name, None)
    }

    /// Requests for these names were written: from now on an answer is waited for.
    pub(crate) fn asked<'a>(&mut self, kind: Kind, names: impl IntoIterator<Item = &'a Text>, now: Instant) {
        for name in names {
            let Some(entry) = self.tables[kind].entries.get_mut(name) else {
                continue;
            };
            if entry.state == State::Requested && entry.answer_due.is_none() {
                entry.answer_due = Some(now + ANSWER);
                self.deadlines.add(now + ANSWER, Due::Answer, kind, Arc::clone(name));
            }
        }
    }

    /// A request for everything was written.
    pub(crate) fn asked_for_all(&mut self, kind: Kind, now: Instant) {
        let table = &mut self.tables[kind];
        if !table.answered && !table.overdue && table.wildcard_due.is_none() {
            table.wildcard_due = Some(now + ANSWER);
        }
    }

    /// Whether something of a type was asked for, or is about to be, and the server has not said anything yet.
    pub(crate) fn waits_for_answers(&self, kind: Kind) -> bool {
        let entries = &self.tables[kind].entries;
        entries.values().any(|entry| entry.state == State::Requested)
    }

    /// The stream is gone: nobody answers, which is no answer.
    pub(crate) fn disconnected(&mut self) {
        for (kind, name) in self.deadlines.take_answers() {
            if let Some(entry) = self.tables[kind].entries.get_mut(&name) {
                entry.answer_due = None;
            }
        }
        for kind in Kind::ALL {
            self.tables[kind].wildcard_due = None;
        }
    }

    /// Another server speaks from now on, to which versions of the last one say nothing. It is told names with empty
    /// versions, so that it sends everything again, and removes what it does not have.
    pub(crate) fn forget_versions(&mut self) {
        for kind in Kind::ALL {
            let table = &mut self.tables[kind];
            table.version = Text::default();
            for entry in table.entries.values_mut() {
                entry.version = Text::default();
            }
        }
    }

    /// When [`Store::tick`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let wildcards = Kind::ALL.into_iter().filter_map(|kind| self.tables[kind].wildcard_due);
        wildcards.chain(self.deadlines.first()).min()
    }

    /// What has changed because time has passed.
    pub(crate) fn tick(&mut self, now: Instant, names: &PerKind<Names>) -> Vec<Changed> {
        let mut changed = Vec::new();
        for kind in Kind::ALL {
            let table = &mut self.tables[kind];
            if table.wildcard_due.is_some_and(|due| due <= now) {
                table.wildcard_due = None;
                table.overdue = true;
            }
        }
        while let Some((due, kind, name)) = self.deadlines.pop(now) {
            let Some(entry) = self.tables[kind].entries.get_mut(&name) else {
                continue;
            };
            match due {
                Due::Answer => {
                    entry.answer_due = None;
                    entry.state = State::Timeout;
                    entry.since = now;
                    changed.push(Changed::new(kind, &name, entry.resource.clone()));
                }
                Due::Expiry => {
                    entry.expires = None;
                    changed.extend(self.remove(kind, &name, names[kind].is_asked(&name), now));
                }
            }
        }
        changed
    }

    /// There is no such resource any more. What others refer to keeps its last good version: absent endpoints and routes
    /// are a fault of the control plane more often than its intention (gRFC A88).
    fn remove(&mut self, kind: Kind, name: &Text, by_name: bool, now: Instant) -> Option<Changed> {
        let table = &mut self.tables[kind];
        let entry = table.entries.get_mut(name)?;
        let changed = Changed::new(kind, name, entry.resource.clone());
        if let Some(due) = entry.answer_due.take() {
            self.deadlines.remove(due, Due::Answer, kind, name);
        }
        if let Some(due) = entry.expires.take() {
            self.deadlines.remove(due, Due::Expiry, kind, name);
        }
        if !by_name {
            table.entries.remove(name);
            return Some(changed);
        }
        entry.state = State::DoesNotExist;
        entry.since = now;
        entry.refusal = None;
        match kind {
            Kind::Cluster | Kind::Listener => {
                entry.resource = None;
                entry.fingerprint = None;
                entry.version = Text::default();
                entry.source = Text::default();
                entry.notes = Vec::new();
            }
            Kind::Assignment | Kind::Route => {}
        }
        Some(changed)
    }
}

impl Table {
    /// Every resource with its name, in the order of names.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (&Text, &Entry)> {
        self.entries.iter()
    }

    /// What a server has to be told to send only what has changed: accepted versions. What does not exist any more is
    /// left out, for it is wanted again in any version.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&Text, &Text)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.resource.is_some() && entry.state != State::DoesNotExist)
            .map(|(name, entry)| (name, &entry.version))
    }
}
