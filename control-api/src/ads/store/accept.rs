//! How a response changes the store.

use super::Changed;
use super::Entry;
use super::Refusal;
use super::Refusals;
use super::State;
use super::Store;
use super::Table;
use super::deadlines::Deadlines;
use super::deadlines::Due;
use crate::ads::intake::Content;
use crate::ads::intake::Delivered;
use crate::ads::intake::Fingerprint;
use crate::ads::intake::fault;
use crate::ads::message::Mode;
use crate::ads::message::Text;
use crate::ads::names::Names;
use crate::fault::Faults;
use crate::fault::Note;
use crate::resource::Kind;
use crate::resource::Resource;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A response whose resources were looked into.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Delta says what is gone; the state of the world leaves it out.
    pub mode: Mode,
    /// Of its resources.
    pub kind: Kind,
    /// The `server_uri` of who sent it.
    pub source: Text,
    /// Of the response.
    pub version: Text,
    /// To be repeated by the answer.
    pub nonce: Text,
    /// In the order of delivery.
    pub resources: Vec<Delivered>,
    /// Delta only.
    pub removed: Vec<Text>,
}

/// What a response did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Resources whose last good version or state is another now.
    pub changed: Vec<Changed>,
    /// Resources that were refused.
    pub refusals: Refusals,
    /// Fields that have no effect, each with the first resource that has it: of this process, not of this response.
    pub noted: Vec<(Text, Note)>,
}

/// Which version came, from whom, and when.
struct Stamp {
    version: Text,
    source: Text,
    now: Instant,
}

impl Store {
    /// Takes what is good in a response, refuses the rest by name, and removes what is gone.
    pub(crate) fn accept(&mut self, delivery: Delivery, names: &Names, now: Instant) -> Outcome {
        let Delivery {
            mode,
            kind,
            source,
            version,
            nonce: _,
            resources,
            removed,
        } = delivery;
        let absence = Absence::of(mode, kind, &resources);
        let (seen, twice) = seen(&resources, &removed);
        let mut outcome = Outcome::default();
        for (index, delivered) in resources.into_iter().enumerate() {
            let Some(name) = delivered.name.clone() else {
                let faults = match delivered.content {
                    Content::Refused(faults, _) => faults,
                    Content::Heartbeat | Content::Same(_) | Content::New(..) => fault("has no name".to_owned()),
                };
                self.count_refusal(kind, &format!("resources[{index}]"), &faults, &mut outcome);
                continue;
            };
            if !names.cover(&name) {
                continue;
            }
            let stamp = Stamp {
                version: delivered.version.clone().unwrap_or_else(|| Arc::clone(&version)),
                source: Arc::clone(&source),
                now,
            };
            let delivered = if twice.contains(&name) {
                Delivered {
                    content: Content::Refused(fault("is there twice".to_owned()), Vec::new()),
                    ..delivered
                }
            } else {
                delivered
            };
            self.take(kind, &name, stamp, delivered, &mut outcome);
        }
        for name in removed
            .iter()
            .filter(|name| !twice.contains(*name) && names.cover(name))
        {
            self.removed(kind, name, names, now, &mut outcome);
        }
        if absence == Absence::Removes {
            self.remove_absent(kind, &seen, names, now, &mut outcome);
        }
        let table = &mut self.tables[kind];
        table.answered = true;
        table.wildcard_due = None;
        table.updated = Some(now);
        if outcome.refusals.count() == 0 {
            table.version = version;
        }
        outcome
    }

    /// Each of the ten thousand resources that a response may repeat is looked up once.
    fn take(&mut self, kind: Kind, name: &Text, stamp: Stamp, delivered: Delivered, outcome: &mut Outcome) {
        let Delivered { ttl, content, .. } = delivered;
        let table = &mut self.tables[kind];
        if table.entries.len() >= self.most_resources && !table.entries.contains_key(name) {
            let faults = fault(format!("is one too many: {} are kept of a type", self.most_resources));
            self.count_refusal(kind, name, &faults, outcome);
            return;
        }
        let deadlines = &mut self.deadlines;
        match content {
            Content::Heartbeat => {
                if let Some(entry) = table.entries.get_mut(name) {
                    entry.refresh(deadlines, (kind, name), ttl, stamp.now);
                }
            }
            Content::Same(fingerprint) => {
                let entry = table.entries.get_mut(name);
                let Some(entry) = entry.filter(|entry| entry.fingerprint == Some(fingerprint)) else {
                    return;
                };
                if entry.state != State::Acked {
                    outcome.changed.push(Changed::new(kind, name, entry.resource.clone()));
                }
                entry.acknowledge(deadlines, (kind, name), ttl, stamp);
                table.accepted += 1;
            }
            Content::New(resource, notes, fingerprint) => {
                let fresh = self.noted.fresh(kind, &notes);
                outcome.noted.extend(fresh.map(|note| (Arc::clone(name), note.clone())));
                let entry = table.entry(name, stamp.now);
                outcome.changed.push(Changed::new(kind, name, entry.resource.clone()));
                entry.put(resource, notes, fingerprint);
                entry.acknowledge(deadlines, (kind, name), ttl, stamp);
                table.accepted += 1;
            }
            Content::Refused(faults, addresses) => {
                let refusal = Refusal {
                    version: stamp.version.to_string(),
                    source: stamp.source,
                    when: stamp.now,
                    faults,
                    addresses,
                };
                self.refuse(kind, name, refusal, outcome);
            }
        }
    }

    fn refuse(&mut self, kind: Kind, name: &Text, refusal: Refusal, outcome: &mut Outcome) {
        self.count_refusal(kind, name, &refusal.faults, outcome);
        let entry = self.tables[kind].entry(name, refusal.when);
        entry.answered(&mut self.deadlines, kind, name);
        entry.state = State::Nacked;
        entry.since = refusal.when;
        entry.refusal = Some(refusal);
        outcome.changed.push(Changed::new(kind, name, entry.resource.clone()));
    }

    fn count_refusal(&mut self, kind: Kind, name: &str, faults: &Faults, outcome: &mut Outcome) {
        self.tables[kind].refused += 1;
        outcome.refusals.add(name, faults);
    }

    fn removed(&mut self, kind: Kind, name: &Text, names: &Names, now: Instant, outcome: &mut Outcome) {
        outcome
            .changed
            .extend(self.remove(kind, name, names.is_asked(name), now));
    }

    /// What the state of the world does not hold does not exist. A name that has never been answered is waited for: the
    /// response may be older than the request for it.
    fn remove_absent(&mut self, kind: Kind, seen: &HashSet<Text>, names: &Names, now: Instant, outcome: &mut Outcome) {
        let absent: Vec<_> = self.tables[kind]
            .entries
            .iter()
            .filter(|(name, entry)| !seen.contains(*name) && entry.state.is_answered())
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in absent {
            self.removed(kind, &name, names, now, outcome);
        }
    }
}

/// What it means that a resource is not in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    /// It is gone.
    Removes,
    /// Nothing.
    SaysNothing,
}

impl Absence {
    fn of(mode: Mode, kind: Kind, resources: &[Delivered]) -> Self {
        // RDS and EDS may send a part. A response of heartbeats alone is none of the world's state.
        let heartbeats = resources.iter().all(|one| matches!(one.content, Content::Heartbeat));
        let only_heartbeats = heartbeats && !resources.is_empty();
        // A resource that has no legible name may be any of those that seem to be absent.
        let all_named = resources.iter().all(|one| one.name.is_some());
        if mode == Mode::Sotw && kind.allows_wildcard() && all_named && !only_heartbeats {
            Self::Removes
        } else {
            Self::SaysNothing
        }
    }
}

/// Which names are in a response, and which of them more than once.
fn seen(resources: &[Delivered], removed: &[Text]) -> (HashSet<Text>, HashSet<Text>) {
    let mut seen = HashSet::with_capacity(resources.len());
    let mut twice = HashSet::new();
    for name in resources.iter().filter_map(|one| one.name.as_ref()) {
        if !seen.insert(Arc::clone(name)) {
            twice.insert(Arc::clone(name));
        }
    }
    // To remove a name twice is to remove it; to send and to remove it says nothing clear.
    twice.extend(removed.iter().filter(|name| seen.contains(*name)).cloned());
    (seen, twice)
}

impl State {
    /// Whether the server has said something of it.
    fn is_answered(self) -> bool {
        match self {
            Self::Acked | Self::Nacked => true,
            Self::Requested | Self::DoesNotExist | Self::Timeout => false,
        }
    }
}

impl Table {
    /// The entry of a resource of which the server has said something.
    fn entry(&mut self, name: &Text, now: Instant) -> &mut Entry {
        self.entries
            .entry(Arc::clone(name))
            .or_insert_with(|| Entry::requested(now))
    }
}

impl Entry {
    /// Nothing is waited for any more.
    fn answered(&mut self, deadlines: &mut Deadlines, kind: Kind, name: &Text) {
        if let Some(due) = self.answer_due.take() {
            deadlines.remove(due, Due::Answer, kind, name);
        }
    }

    /// The version that is here is the last one.
    fn acknowledge(
        &mut self,
        deadlines: &mut Deadlines,
        (kind, name): (Kind, &Text),
        ttl: Option<Duration>,
        Stamp { version, source, now }: Stamp,
    ) {
        self.answered(deadlines, kind, name);
        self.state = State::Acked;
        self.since = now;
        self.version = version;
        self.source = source;
        self.refusal = None;
        self.refresh(deadlines, (kind, name), ttl, now);
    }

    /// The lifetime of a resource begins again, or is without an end.
    fn refresh(&mut self, deadlines: &mut Deadlines, (kind, name): (Kind, &Text), ttl: Option<Duration>, now: Instant) {
        if let Some(before) = self.expires.take() {
            deadlines.remove(before, Due::Expiry, kind, name);
        }
        // A time beyond what the clock can say is no limit.
        self.expires = ttl
            .filter(|_| self.resource.is_some())
            .and_then(|ttl| now.checked_add(ttl));
        if let Some(expires) = self.expires {
            deadlines.add(expires, Due::Expiry, kind, Arc::clone(name));
        }
    }

    /// A resource that says the same in other bytes stays the one that it was, so that nobody has to look at it again.
    fn put(&mut self, resource: Resource, notes: Vec<Note>, fingerprint: Fingerprint) {
        if self.resource.as_ref() != Some(&resource) {
            self.resource = Some(resource);
        }
        self.notes = notes;
        self.fingerprint = Some(fingerprint);
    }
}
