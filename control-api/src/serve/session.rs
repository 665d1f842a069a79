//! One stream, as a pure value: requests and views in, responses out.
//!
//! What a resource names comes before it, and goes after it (make before break): new things go out in the order CDS, EDS,
//! LDS, RDS; what is gone is taken away in the reverse order, once the client has answered everything that came before. Of each
//! type one response at a time is unanswered.

use super::request::{Request, Wanted};
use super::stock::Entry;
use super::subscription::{Subscription, Told, TooMuch};
use super::view::View;
use super::wire::Message;
use crate::resource::Kind;
use std::sync::Arc;

/// The two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `DeltaAggregatedResources`.
    Delta,
    /// `StreamAggregatedResources`, the state of the world.
    Sotw,
}

/// What a request said of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing.
    Nothing,
    /// ACK.
    Accepted(Kind),
    /// NACK, and why.
    Refused(Kind, String),
    /// It answers a response that is not the last one.
    Stale(Kind),
    /// Resources of this type are not served.
    Unserved,
}

/// A response to be sent.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) kind: Kind,
    pub(super) message: Message,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Session {
    protocol: Protocol,
    view: Arc<View>,
    lines: [Line; 4],
    nonces: u64,
}

/// A type of resource on the stream.
#[derive(Debug)]
struct Line {
    subscription: Subscription,
    /// The nonce of the last response; 0: there was none.
    last: u64,
    /// It is not answered yet.
    unanswered: bool,
}

impl Session {
    pub(super) fn new(protocol: Protocol, view: Arc<View>) -> Self {
        let line = |kind| Line {
            subscription: Subscription::new(kind),
            last: 0,
            unanswered: false,
        };
        Self {
            protocol,
            view,
            lines: Kind::ALL.map(line),
            nonces: 0,
        }
    }

    /// From now on the client is to have this.
    pub(super) fn view(&mut self, view: Arc<View>) {
        for kind in Kind::ALL {
            self.lines[kind as usize]
                .subscription
                .view(self.view.stock(kind), view.stock(kind));
        }
        self.view = view;
    }

    /// Takes a request in.
    pub(super) fn request(&mut self, request: Request) -> Result<Heard, TooMuch> {
        let Some(kind) = Kind::of_type_url(&request.type_url) else {
            return Ok(Heard::Unserved);
        };
        let line = &mut self.lines[kind as usize];
        let heard = line.answered(kind, &request.nonce, request.error);
        let stock = self.view.stock(kind);
        match request.wanted {
            // A change is a change, whatever it came with.
            Wanted::Delta {
                subscribe,
                unsubscribe,
                initial,
            } => line.subscription.change(subscribe, unsubscribe, &initial, stock)?,
            // All names are in every request, and another one is under way.
            Wanted::Sotw(_) if matches!(heard, Heard::Stale(_)) => {}
            Wanted::Sotw(names) => line.subscription.replace(names, stock)?,
        }
        Ok(heard)
    }

    /// Whether [`Session::response`] has something.
    pub(super) fn has_response(&self) -> bool {
        self.settable().is_some() || self.removable().is_some()
    }

    /// What is to be sent next. `None`: nothing, until a request or a view comes.
    pub(super) fn response(&mut self) -> Option<Response> {
        loop {
            let made = if let Some(kind) = self.settable() {
                self.set(kind)
            } else {
                let kind = self.removable()?;
                self.remove(kind)
            };
            if made.is_some() {
                return made;
            }
        }
    }

    /// A type with something new that may go out now.
    fn settable(&self) -> Option<Kind> {
        let free = |line: &Line| !line.unanswered && line.subscription.has_sets();
        let blocked = |kind: Kind| {
            // Clusters and assignments wait for nobody: a client may answer the ones after it has the others.
            let waits_for = match kind {
                Kind::Cluster | Kind::Assignment => 0,
                Kind::Listener | Kind::Route => kind as usize,
            };
            self.lines[..waits_for].iter().any(|line| line.subscription.has_sets())
        };
        Kind::ALL
            .into_iter()
            .find(|kind| free(&self.lines[*kind as usize]) && !blocked(*kind))
    }

    /// A type with something gone that may be taken away now.
    fn removable(&self) -> Option<Kind> {
        if self.lines.iter().any(|line| line.subscription.has_sets()) {
            return None;
        }
        let last = Kind::ALL
            .into_iter()
            .rev()
            .find(|kind| self.lines[*kind as usize].subscription.has_removals())?;
        // The client has answered for this type and for all that may name what goes.
        let quiet = self.lines[last as usize..].iter().all(|line| !line.unanswered);
        quiet.then_some(last)
    }

    fn set(&mut self, kind: Kind) -> Option<Response> {
        let (stock, line) = (self.view.stock(kind), &mut self.lines[kind as usize]);
        let subscription = &mut line.subscription;
        match self.protocol {
            Protocol::Delta => {
                let told = subscription.sets(stock);
                Some(self.delta(kind, &told))
            }
            Protocol::Sotw if kind.allows_wildcard() => {
                let resources = subscription.world(stock);
                Some(self.sotw(kind, &resources))
            }
            Protocol::Sotw => {
                let resources = subscription.part(stock);
                (!resources.is_empty()).then(|| self.sotw(kind, &resources))
            }
        }
    }

    fn remove(&mut self, kind: Kind) -> Option<Response> {
        let (stock, line) = (self.view.stock(kind), &mut self.lines[kind as usize]);
        match self.protocol {
            Protocol::Delta => {
                let told = line.subscription.removals();
                Some(self.delta(kind, &told))
            }
            Protocol::Sotw if kind.allows_wildcard() => {
                let resources = line.subscription.world_without(stock);
                Some(self.sotw(kind, &resources))
            }
            Protocol::Sotw => {
                line.subscription.keep_what_is_gone();
                None
            }
        }
    }

    fn delta(&mut self, kind: Kind, Told { resources, removed }: &Told) -> Response {
        let (nonce, version) = (self.nonce(kind), self.view.stock(kind).digest());
        Response {
            kind,
            message: Message::delta(&kind.type_url(), &nonce, version, resources, removed),
        }
    }

    fn sotw(&mut self, kind: Kind, resources: &[Arc<Entry>]) -> Response {
        let version = if kind.allows_wildcard() {
            // Of what is in it: with what is leaving it is another version than without.
            resources
                .iter()
                .fold(0, |sum: u64, entry| sum.wrapping_add(entry.digest()))
        } else {
            self.view.stock(kind).digest()
        };
        let nonce = self.nonce(kind);
        Response {
            kind,
            message: Message::sotw(&kind.type_url(), &nonce, version, resources),
        }
    }

    /// Of the response that is now to be answered.
    fn nonce(&mut self, kind: Kind) -> String {
        self.nonces += 1;
        let line = &mut self.lines[kind as usize];
        line.last = self.nonces;
        line.unanswered = true;
        self.nonces.to_string()
    }
}

impl Line {
    fn answered(&mut self, kind: Kind, nonce: &str, error: Option<String>) -> Heard {
        if nonce.is_empty() {
            return Heard::Nothing;
        }
        if nonce.parse() != Ok(self.last) {
            return Heard::Stale(kind);
        }
        // A change of the subscription may carry the nonce of a response that was answered before.
        if !std::mem::take(&mut self.unanswered) {
            return Heard::Nothing;
        }
        match error {
            None => Heard::Accepted(kind),
            Some(reason) => Heard::Refused(kind, reason),
        }
    }
}

#[cfg(test)]
mod tests;
