//! One stream: what is written to it, and in which order.
//!
//! Requests are pulled, when the transport can take one: subscriptions that change meanwhile go together.
//!
//! - The first request has the node.
//! - Every response is answered once. Before the answer goes what the response made us subscribe to of other types: the
//!   acknowledgement of clusters comes after the request for their endpoints, so that no server sees half a state.
//! - In delta, an answer changes no subscription and a change has no nonce. Istiod drops the whole request otherwise.
//! - Clusters come first, then endpoints. Listeners wait until these have settled once, then come routes.

use crate::ads::message::Introduction;
use crate::ads::message::Mode;
use crate::ads::message::Request;
use crate::ads::message::RequestBody;
use crate::ads::message::Text;
use crate::ads::names::All;
use crate::ads::names::Names;
use crate::ads::per_kind::PerKind;
use crate::ads::store::Store;
use crate::resource::Kind;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// A stream that is open.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    mode: Mode,
    introduction: Introduction,
    /// Types of which something has been asked on this stream.
    begun: PerKind<bool>,
    /// Of the last response of each type.
    nonces: PerKind<Text>,
    answers: VecDeque<Answer>,
}

/// An answer that is owed.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// As the response said it.
    pub type_url: String,
    /// As the response said it.
    pub nonce: Text,
    /// Why it was refused; `None`: it was not.
    pub refusal: Option<String>,
    /// The version that was in force in whole after the response.
    pub version: Text,
}

impl Stream {
    /// A stream that was just opened.
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            introduction: Introduction::First,
            begun: PerKind::default(),
            nonces: PerKind::default(),
            answers: VecDeque::new(),
        }
    }

    /// Whether a response may hold a part of what there is without saying of what: endpoints and routes in the state of the world.
    pub(crate) fn is_told_in_part(&self) -> bool {
        self.mode == Mode::Sotw
    }

    /// A response came and will be answered. One without a nonce cannot be: the server would take the answer for a request.
    pub(crate) fn answer(&mut self, answer: Answer) {
        if let Some(kind) = Kind::of_type_url(&answer.type_url) {
            self.nonces[kind] = Arc::clone(&answer.nonce);
        }
        if !answer.nonce.is_empty() {
            self.answers.push_back(answer);
        }
    }

    /// Whether [`Stream::next`] has something to write.
    pub(crate) fn has_request(&self, names: &PerKind<Names>, store: &Store) -> bool {
        !self.answers.is_empty() || Kind::ALL.into_iter().any(|kind| self.is_due(kind, names, store))
    }

    /// What is to be written next. Whoever asks writes it at once: from `now` on answers are waited for.
    pub(crate) fn next(&mut self, names: &mut PerKind<Names>, store: &mut Store, now: Instant) -> Option<Request> {
        let front = self.answers.front().map(|answer| Kind::of_type_url(&answer.type_url));
        let due = Kind::ALL
            .into_iter()
            .find(|kind| front.flatten() != Some(*kind) && self.is_due(*kind, names, store));
        let Some(kind) = due else {
            return self
                .answers
                .pop_front()
                .map(|answer| self.write(answer, names, store, now));
        };
        // In the state of the world a request with the nonce of a response is its answer. One that is owed says the change.
        let owed = match self.mode {
            Mode::Delta => None,
            Mode::Sotw => self
                .answers
                .iter()
                .position(|answer| Kind::of_type_url(&answer.type_url) == Some(kind)),
        };
        match owed.and_then(|index| self.answers.remove(index)) {
            Some(answer) => Some(self.write(answer, names, store, now)),
            None => Some(self.change(kind, &mut names[kind], store, now)),
        }
    }

    fn is_due(&self, kind: Kind, names: &PerKind<Names>, store: &Store) -> bool {
        names[kind].has_change()
            && match kind {
                Kind::Cluster | Kind::Assignment => true,
                Kind::Listener => self.begun[kind] || has_settled(names, store),
                Kind::Route => self.begun[Kind::Listener] || names[Kind::Listener].is_empty(),
            }
    }

    /// A request of our own accord.
    fn change(&mut self, kind: Kind, names: &mut Names, store: &mut Store, now: Instant) -> Request {
        let begins = !std::mem::replace(&mut self.begun[kind], true);
        if names.is_wildcard() {
            store.asked_for_all(kind, now);
        }
        let (nonce, body) = match self.mode {
            Mode::Delta => {
                let change = names.tell_change();
                store.asked(kind, &change.subscribe, now);
                let initial_versions = if begins {
                    let known = store.table(kind).versions();
                    known
                        .map(|(name, version)| (Arc::clone(name), Arc::clone(version)))
                        .collect()
                } else {
                    Vec::new()
                };
                let body = RequestBody::Delta {
                    subscribe: change.subscribe,
                    unsubscribe: change.unsubscribe,
                    initial_versions,
                };
                (Text::default(), body)
            }
            Mode::Sotw => {
                let version = Arc::clone(&store.table(kind).version);
                (
                    Arc::clone(&self.nonces[kind]),
                    everything(kind, version, names, store, now),
                )
            }
        };
        self.request(kind.type_url(), nonce, None, body)
    }

    fn write(&mut self, answer: Answer, names: &mut PerKind<Names>, store: &mut Store, now: Instant) -> Request {
        let Answer {
            type_url,
            nonce,
            refusal,
            version,
        } = answer;
        let body = match (self.mode, Kind::of_type_url(&type_url)) {
            (Mode::Delta, _) => RequestBody::Delta {
                subscribe: Vec::new(),
                unsubscribe: Vec::new(),
                initial_versions: Vec::new(),
            },
            (Mode::Sotw, Some(kind)) => {
                self.begun[kind] = true;
                everything(kind, version, &mut names[kind], store, now)
            }
            (Mode::Sotw, None) => RequestBody::Sotw {
                version,
                names: Arc::default(),
            },
        };
        self.request(type_url, nonce, refusal, body)
    }

    fn request(&mut self, type_url: String, nonce: Text, refusal: Option<String>, body: RequestBody) -> Request {
        Request {
            type_url,
            node: std::mem::replace(&mut self.introduction, Introduction::Later),
            nonce,
            refusal,
            body,
        }
    }
}

/// All that is wanted of a type, as a request for the state of the world says it.
fn everything(kind: Kind, version: Text, names: &mut Names, store: &mut Store, now: Instant) -> RequestBody {
    let All { names, new } = names.tell_all();
    store.asked(kind, &new, now);
    RequestBody::Sotw { version, names }
}

/// Whether clusters and endpoints have been answered once: then a listener finds what it leads to.
fn has_settled(names: &PerKind<Names>, store: &Store) -> bool {
    let clusters = &names[Kind::Cluster];
    let table = store.table(Kind::Cluster);
    (clusters.is_empty() || table.answered || table.overdue) && !store.waits_for_answers(Kind::Assignment)
}
