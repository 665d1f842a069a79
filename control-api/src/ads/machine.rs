//! The client without its sockets: responses, wishes and time go in; requests and updates come out.
//!
//! ```text
//! response -> store (last good versions) -> warming (what is in force) -> update
//!                 |                             |
//!                 +-> references <--------------+
//!                         +-> interest -> names -> stream -> request
//! ```
//! Everything costs what changed, not what there is: [`Machine::settle`] looks at resources that may have to change, and
//! at those that wait for them.

mod aside;
mod closed;

use crate::ads::interest::Clusters;
use crate::ads::interest::Interest;
use crate::ads::interest::Listeners;
use crate::ads::interest::Wish;
use crate::ads::message::Mode;
use crate::ads::message::Request;
use crate::ads::message::Text;
use crate::ads::names::Names;
use crate::ads::pending::Pending;
use crate::ads::references::Form;
use crate::ads::references::References;
use crate::ads::references::Usage;
use crate::ads::references::User;
use crate::ads::references::targets;
use crate::ads::store::Changed;
use crate::ads::store::Delivery;
use crate::ads::store::Entry;
use crate::ads::store::State;
use crate::ads::store::Store;
use crate::ads::stream::Answer as Owed;
use crate::ads::stream::Stream;
use crate::ads::warming::Verdict;
use crate::ads::warming::Warming;
use crate::fault::Note;
use crate::resource::Kind;
use crate::resource::Resource;
use crate::resource::Update;
use aside::Aside;
use closed::Closed;
pub use closed::Doors;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// What is known of a listener that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is in force.
    Found,
    /// The control plane says that there is none, or says nothing in time.
    DoesNotExist,
    /// There is one, and it was refused. Nothing may pass in its place.
    Refused,
    /// The answer, or something that the listener needs, has not arrived.
    Pending,
}

/// What has changed since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// To be put in force at once.
    pub update: Update,
    /// Of listeners that were asked for; true once `update` is in force. Never [`Answer::Pending`].
    pub answers: BTreeMap<Arc<str>, Answer>,
    /// Where all listeners are subscribed to: addresses at which one was refused, or is not any more.
    pub doors: Doors,
}

/// Whether versions that we have mean anything to the server of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    /// They are from this server.
    Shared,
    /// They are from another one.
    Foreign,
}

/// The whole state of a client.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    interest: Interest,
    store: Store,
    references: References,
    warming: Warming,
    stream: Option<Stream>,
    aside: Aside,
    /// What may have to change, the smallest first: what is named comes before what names it.
    dirty: BTreeSet<(Kind, Text)>,
    pending: Pending,
    /// Listeners whose answer somebody waits for.
    asked: BTreeSet<Text>,
    /// Those whose answer has come, and is still to be taken.
    answered: BTreeSet<Text>,
    /// Where listeners were refused that were not asked for by name.
    closed: Closed,
    ready: bool,
}

/// What became of a response.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// What it is refused with; `None`: it is not.
    pub refusal: Option<String>,
    /// Fields that have no effect, with the first resource that has each.
    pub noted: Vec<(Text, Note)>,
}

impl Machine {
    /// Nothing is known yet.
    pub(crate) fn new(listeners: &Listeners, clusters: Clusters, most_resources: usize, now: Instant) -> Self {
        let interest = Interest::new(listeners, clusters);
        let mut store = Store::new(most_resources);
        for name in interest.ordinary() {
            store.request(Kind::Listener, name, now);
        }
        Self {
            interest,
            store,
            references: References::default(),
            warming: Warming::default(),
            stream: None,
            aside: Aside::default(),
            dirty: BTreeSet::new(),
            pending: Pending::default(),
            asked: BTreeSet::new(),
            answered: BTreeSet::new(),
            closed: Closed::default(),
            ready: false,
        }
    }

    /// A stream is open.
    pub(crate) fn connected(&mut self, mode: Mode, versions: Versions) {
        if versions == Versions::Foreign {
            self.store.forget_versions();
        }
        self.stream = Some(Stream::new(mode));
    }

    /// The stream has ended. What is in force stays.
    pub(crate) fn disconnected(&mut self, now: Instant) {
        self.stream = None;
        self.aside.clear();
        self.store.disconnected();
        for kind in Kind::ALL {
            self.interest.names[kind].end();
            self.drop_forgotten(kind, now);
        }
        self.settle(now);
    }

    /// Whether [`Machine::next_request`] has one.
    pub(crate) fn has_request(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.has_request(&self.interest.names, &self.store))
    }

    /// The next request. Whoever asks writes it at once.
    pub(crate) fn next_request(&mut self, now: Instant) -> Option<Request> {
        let request = self
            .stream
            .as_mut()?
            .next(&mut self.interest.names, &mut self.store, now)?;
        if let Some(kind) = Kind::of_type_url(&request.type_url) {
            self.drop_forgotten(kind, now);
            self.settle(now);
        }
        Some(request)
    }

    /// A response whose resources were looked into.
    pub(crate) fn receive(&mut self, delivery: Delivery, now: Instant) -> Received {
        let kind = delivery.kind;
        let nonce = Arc::clone(&delivery.nonce);
        if delivery.mode == Mode::Sotw {
            for name in delivery.resources.iter().filter_map(|one| one.name.as_deref()) {
                self.interest.names[kind].was_sent(name);
            }
        }
        let outcome = self.store.accept(delivery, &self.interest.names[kind], now);
        for changed in outcome.changed {
            self.candidate(changed, now);
        }
        self.settle(now);
        let refusal = outcome.refusals.message();
        self.owe(Owed {
            type_url: kind.type_url(),
            nonce,
            refusal: refusal.clone(),
            version: Arc::clone(&self.store.table(kind).version),
        });
        Received {
            refusal,
            noted: outcome.noted,
        }
    }

    /// A response of a type that was not asked for.
    pub(crate) fn refuse(&mut self, type_url: String, nonce: Text) {
        let refusal = Some(format!("{type_url:?} is not a type that was asked for"));
        self.owe(Owed {
            type_url,
            nonce,
            refusal,
            version: Text::default(),
        });
    }

    /// A listener is needed. Its answer may be known already; else it comes with a [`Change`].
    pub(crate) fn want_listener(&mut self, name: &Text, now: Instant) {
        self.interest.want_listener(name);
        self.store.request(Kind::Listener, name, now);
        self.asked.insert(Arc::clone(name));
        self.tell_answers();
    }

    /// A listener is not needed any more.
    pub(crate) fn forget_listener(&mut self, name: &Text, now: Instant) {
        self.asked.remove(name);
        self.answered.remove(name);
        if let Some(wish) = self.interest.forget_listener(name) {
            self.obey(wish, Kind::Listener, name, now);
            self.settle(now);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        for changed in self.store.tick(now, &self.interest.names) {
            self.candidate(changed, now);
        }
        for name in self.warming.overdue(now) {
            self.mark(Kind::Cluster, &name);
        }
        self.settle(now);
    }

    /// When [`Machine::tick`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.store.next_deadline(), self.warming.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Everything that has changed since this was called last; `None`: nothing has.
    pub(crate) fn take_change(&mut self) -> Option<Change> {
        // An answer is what is known now: something else may have come since.
        let answered = std::mem::take(&mut self.answered);
        let mut answers: BTreeMap<_, _> = answered
            .into_iter()
            .map(|name| (Arc::clone(&name), self.listener(&name)))
            .collect();
        answers.retain(|name, answer| {
            let known = *answer != Answer::Pending;
            if !known {
                self.asked.insert(Arc::clone(name));
            }
            known
        });
        let (update, doors) = (self.pending.take(), self.closed.take());
        let any = !update.is_empty() || !answers.is_empty() || !doors.is_empty();
        any.then_some(Change { update, answers, doors })
    }

    /// Whether [`Machine::take_change`] has something.
    pub(crate) fn has_change(&self) -> bool {
        !self.pending.is_empty() || !self.answered.is_empty() || self.closed.has_news()
    }

    /// What is known of a listener.
    pub(crate) fn listener(&self, name: &str) -> Answer {
        if self.warming.live(Kind::Listener, name).is_some() {
            return Answer::Found;
        }
        let Some(entry) = self.store.entry(Kind::Listener, name) else {
            let has_all = self.names(Kind::Listener).is_wildcard() && self.store.table(Kind::Listener).answered;
            return if has_all { Answer::DoesNotExist } else { Answer::Pending };
        };
        match entry.state() {
            State::DoesNotExist | State::Timeout => Answer::DoesNotExist,
            State::Nacked if entry.resource().is_none() => Answer::Refused,
            State::Nacked | State::Acked | State::Requested => Answer::Pending,
        }
    }

    /// Whether the first configuration is complete. Once it is, it stays so.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// What is known of resources.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The subscription to a type.
    pub(crate) fn names(&self, kind: Kind) -> &Names {
        &self.interest.names[kind]
    }

    fn owe(&mut self, answer: Owed) {
        if let Some(stream) = &mut self.stream {
            stream.answer(answer);
        }
    }

    /// The last good version, or the state, of a resource is another now.
    fn candidate(&mut self, changed: Changed, now: Instant) {
        let Changed { kind, name, before } = changed;
        let user = User {
            form: Form::Candidate,
            kind,
            name: Arc::clone(&name),
        };
        let after = self.store.resource(kind, &name);
        let usages = self.references.replace(&user, before.as_ref(), after);
        if kind == Kind::Listener && self.names(kind).is_wildcard() {
            let entry = self.store.entry(kind, &name);
            let refusal = entry.filter(|entry| entry.resource.is_none()).and_then(Entry::refusal);
            self.closed
                .set(&name, refusal.map_or(&[], |refusal| &refusal.addresses));
        }
        self.mark(kind, &name);
        self.follow(usages, now);
    }

    fn follow(&mut self, usages: Vec<(Kind, Text, Usage)>, now: Instant) {
        for (kind, name, usage) in usages {
            if let Some(wish) = self.interest.follow(kind, &name, usage) {
                self.obey(wish, kind, &name, now);
            }
        }
    }

    fn obey(&mut self, wish: Wish, kind: Kind, name: &Text, now: Instant) {
        match wish {
            Wish::Request => match self.aside.take(kind, name) {
                Some(entry) if self.store.entry(kind, name).is_none() => {
                    let changed = self.store.restore(kind, name, entry);
                    self.candidate(changed, now);
                }
                Some(_) | None => self.store.request(kind, name, now),
            },
            // What the server was told stays until it is told otherwise: whoever wants it again meanwhile has it.
            Wish::Forget if self.names(kind).is_told(name) => {}
            Wish::Forget => self.drop_resource(kind, name, now),
        }
    }

    fn drop_forgotten(&mut self, kind: Kind, now: Instant) {
        for name in self.interest.names[kind].take_dropped() {
            self.drop_resource(kind, &name, now);
        }
    }

    fn drop_resource(&mut self, kind: Kind, name: &Text, now: Instant) {
        let names = self.names(kind);
        // With all others it may still be there.
        let stays = names.wanted().contains(name) || names.is_wildcard() && self.store.resource(kind, name).is_some();
        if stays {
            return;
        }
        let in_part = self.stream.as_ref().is_some_and(Stream::is_told_in_part) && !kind.allows_wildcard();
        if in_part && let Some(entry) = self.store.entry(kind, name).filter(|entry| entry.is_lasting()) {
            self.aside.keep(kind, name, entry.clone());
        }
        if let Some(changed) = self.store.forget(kind, name) {
            self.candidate(changed, now);
        }
    }

    /// A resource, and those that wait for it, are to be looked at.
    fn mark(&mut self, kind: Kind, name: &Text) {
        self.dirty.insert((kind, Arc::clone(name)));
        let users: Vec<_> = self
            .references
            .candidates(kind, name)
            // Routes that nothing in force names do not wait themselves: the listeners do that would bring them into force.
            .filter(|(kind, name)| *kind == Kind::Route || self.warming.waits(*kind, name))
            .map(|(kind, name)| (kind, Arc::clone(name)))
            .collect();
        for (kind, name) in users {
            self.mark(kind, &name);
        }
    }

    /// Looks at everything that may have to change, until nothing does any more.
    fn settle(&mut self, now: Instant) {
        while let Some((kind, name)) = self.dirty.pop_first() {
            let verdict = self.warming.decide((kind, &name), &self.store, &self.references, now);
            let before = self.warming.apply(kind, &name, &verdict, now);
            match &verdict {
                Verdict::Keep | Verdict::Wait | Verdict::Linger => {}
                Verdict::Set(resource) => {
                    self.pending.set(Arc::clone(&name), resource.clone());
                    self.in_force(kind, &name, before.as_ref(), Some(resource), now);
                }
                Verdict::Remove => {
                    self.pending.remove(kind, Arc::clone(&name));
                    self.in_force(kind, &name, before.as_ref(), None, now);
                }
            }
        }
        self.tell_answers();
        self.ready = self.ready || self.is_complete();
    }

    /// Another version is in force: who waited for it, and what it and the one before name, is to be looked at.
    fn in_force(&mut self, kind: Kind, name: &Text, before: Option<&Resource>, after: Option<&Resource>, now: Instant) {
        let user = User {
            form: Form::Live,
            kind,
            name: Arc::clone(name),
        };
        let usages = self.references.replace(&user, before, after);
        for (kind, name) in [before, after].into_iter().flatten().flat_map(targets) {
            self.dirty.insert((kind, Text::from(name)));
        }
        self.mark(kind, name);
        self.follow(usages, now);
    }

    /// Sets aside the answers that have come.
    fn tell_answers(&mut self) {
        let (asked, answered): (_, BTreeSet<_>) = std::mem::take(&mut self.asked)
            .into_iter()
            .partition(|name| self.listener(name) == Answer::Pending);
        self.asked = asked;
        self.answered.extend(answered);
    }

    /// Whether everything that readiness waits for is in force, or is said not to exist. A listener that was refused is
    /// not, and none that nothing was said of: a pod whose configuration cannot be used, or is not known, gets no traffic.
    fn is_complete(&self) -> bool {
        let answered = |kind| !self.names(kind).is_wildcard() || self.store.table(kind).answered;
        let ordinary = self.interest.ordinary();
        let all = |kind| !self.names(kind).is_wildcard() || self.warming.is_settled(kind);
        let silent = |name: &Text| {
            let entry = self.store.entry(Kind::Listener, name);
            entry.is_some_and(|entry| entry.state() == State::Timeout)
        };
        let named = ordinary.iter().all(|name| match self.listener(name) {
            Answer::Found => true,
            Answer::DoesNotExist => !silent(name),
            Answer::Refused | Answer::Pending => false,
        });
        named
            && [Kind::Cluster, Kind::Listener]
                .into_iter()
                .all(|kind| answered(kind) && all(kind))
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
