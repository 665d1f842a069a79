//! One type of resource on one stream: what the client wants, what it has, and what it is still to be told.
//!
//! The client has what the newest view has, except for what is written down here. So a stream whose client is up to date
//! keeps its names and nothing else, and what happens while a client is slow is told once, as it is in the end.

use super::stock::{Entry, Stock};
use super::wire;
use crate::resource::Kind;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The name that stands for all.
const WILDCARD: &str = "*";

/// Names of one type that a stream may subscribe to.
const MOST_NAMES: usize = 1 << 16;
/// Bytes of one of them.
const LONGEST_NAME: usize = 1 << 10;
/// Bytes of resources in a response, so that a client with gRPC's default limit of 4 MiB can read it. What is left comes
/// in the next one; the state of the world cannot be cut.
const MOST_BYTES: usize = 3 << 20;

/// Whether a client has some version of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Some,
    None,
}

/// What requests there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Never,
    /// Without a name.
    Plainly,
    /// In the state of the world, whoever has ever named something means "nothing" by naming nothing.
    ByName,
}

/// A client that wants more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooMuch {
    #[error("a stream may subscribe to {MOST_NAMES} names of a type")]
    Names,
    #[error("a name may have {LONGEST_NAME} bytes")]
    Length,
}

/// What a response says of resources.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) resources: Vec<Arc<Entry>>,
    pub(super) removed: Vec<Arc<str>>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Subscription {
    kind: Kind,
    asked: Asked,
    wildcard: bool,
    names: HashSet<Arc<str>>,
    /// What the client has in another version than the view, or was promised an answer about.
    due: BTreeMap<Arc<str>, Has>,
    /// What the client has and the view has not; the entry, where the client got it on this stream.
    leaving: BTreeMap<Arc<str>, Option<Arc<Entry>>>,
    /// The next response is sent even if it is empty.
    owed: bool,
}

impl Subscription {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            asked: Asked::Never,
            wildcard: false,
            names: HashSet::new(),
            due: BTreeMap::new(),
            leaving: BTreeMap::new(),
            owed: false,
        }
    }

    /// Whether something is to be said that takes nothing away from the client.
    pub(super) fn has_sets(&self) -> bool {
        self.owed || !self.due.is_empty()
    }

    /// Whether something is to be taken away.
    pub(super) fn has_removals(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// The view has changed.
    pub(super) fn view(&mut self, old: &Stock, new: &Stock) {
        if self.asked == Asked::Never {
            return;
        }
        old.difference(new, |before, after| match (before, after) {
            (_, Some(after)) if self.covers(&after.name) => self.set(&after.name, before.is_some()),
            (Some(before), None) if self.covers(&before.name) => self.gone(before),
            _ => {}
        });
    }

    fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    fn set(&mut self, name: &Arc<str>, was_there: bool) {
        let has = if self.leaving.remove(name).is_some() || was_there {
            Has::Some
        } else {
            Has::None
        };
        self.due.entry(Arc::clone(name)).or_insert(has);
    }

    fn gone(&mut self, entry: &Arc<Entry>) {
        match self.due.remove(&entry.name) {
            // It came and went while the client was slow. Whoever asked for it by name is answered all the same.
            Some(Has::None) if self.names.contains(&entry.name) => {
                self.due.insert(Arc::clone(&entry.name), Has::None);
            }
            Some(Has::None) => {}
            Some(Has::Some) | None => {
                self.leaving.insert(Arc::clone(&entry.name), Some(Arc::clone(entry)));
            }
        }
    }

    /// A change of a delta subscription. `initial` counts in the first one of a stream only.
    pub(super) fn change(
        &mut self,
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        initial: &HashMap<String, String>,
        stock: &Stock,
    ) -> Result<(), TooMuch> {
        let first = self.asked == Asked::Never;
        let everything = self.kind.allows_wildcard()
            && (subscribe.iter().any(|name| name == WILDCARD) || first && subscribe.is_empty());
        self.begin();
        for name in unsubscribe {
            self.unsubscribe(&name, stock);
        }
        for name in subscribe.into_iter().filter(|name| name != WILDCARD || !everything) {
            self.subscribe(name, stock)?;
        }
        if everything {
            self.want_everything(stock);
        }
        if first {
            self.had(initial, stock);
        }
        Ok(())
    }

    /// All that a client of the state of the world wants.
    pub(super) fn replace(&mut self, names: Vec<String>, stock: &Stock) -> Result<(), TooMuch> {
        self.begin();
        let wildcard = self.kind.allows_wildcard();
        let everything =
            wildcard && (names.iter().any(|name| name == WILDCARD) || names.is_empty() && self.asked != Asked::ByName);
        if !names.is_empty() {
            self.asked = Asked::ByName;
        }
        let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
        let dropped: Vec<_> = self
            .names
            .iter()
            .filter(|name| !wanted.contains(&***name))
            .cloned()
            .collect();
        let drops = !dropped.is_empty();
        for name in dropped {
            self.forget(&name);
        }
        if self.wildcard && !everything {
            self.want_named_only();
        }
        // The client may have dropped what "all" still has.
        self.owed |= everything && drops;
        for name in names {
            if (name != WILDCARD || !wildcard) && !self.names.contains(&*name) {
                self.subscribe(name, stock)?;
            }
        }
        if everything {
            self.want_everything(stock);
        }
        Ok(())
    }

    fn begin(&mut self) {
        // The first request is answered, whatever there is: the client waits to know that this was all.
        self.owed |= self.asked == Asked::Never;
        self.asked = self.asked.max(Asked::Plainly);
    }

    fn subscribe(&mut self, name: String, stock: &Stock) -> Result<(), TooMuch> {
        if name.len() > LONGEST_NAME {
            return Err(TooMuch::Length);
        }
        if self.names.len() >= MOST_NAMES && !self.names.contains(&*name) {
            return Err(TooMuch::Names);
        }
        // The view's own name where there is one: a thousand streams that want the same share it.
        let name = stock
            .entry(&name)
            .map_or_else(|| name.into(), |entry| Arc::clone(&entry.name));
        // Asked for again means forgotten by the client, perhaps.
        if self.leaving.remove(&name).is_none() {
            self.due.entry(Arc::clone(&name)).or_insert(Has::None);
        } else {
            self.due.insert(Arc::clone(&name), Has::Some);
        }
        self.names.insert(name);
        Ok(())
    }

    fn unsubscribe(&mut self, name: &str, stock: &Stock) {
        if name == WILDCARD && self.wildcard {
            self.want_named_only();
            return;
        }
        self.forget(name);
        // The client has dropped what "all" still has: it is told again.
        if self.wildcard {
            let name = stock
                .entry(name)
                .map_or_else(|| name.into(), |entry| Arc::clone(&entry.name));
            self.due.insert(name, Has::None);
        }
    }

    fn forget(&mut self, name: &str) {
        self.names.remove(name);
        if !self.wildcard {
            self.due.remove(name);
            self.leaving.remove(name);
        }
    }

    fn want_named_only(&mut self) {
        self.wildcard = false;
        let names = &self.names;
        self.due.retain(|name, _| names.contains(name));
        self.leaving.retain(|name, _| names.contains(name));
    }

    fn want_everything(&mut self, stock: &Stock) {
        if self.wildcard {
            return;
        }
        self.wildcard = true;
        self.owed = true;
        for entry in stock.entries() {
            // What was asked for by name before is there already, or due.
            if !self.names.contains(&entry.name) {
                self.due.entry(Arc::clone(&entry.name)).or_insert(Has::None);
            }
        }
    }

    /// What the client has from a stream before is not sent again.
    fn had(&mut self, initial: &HashMap<String, String>, stock: &Stock) {
        for (name, version) in initial {
            match stock.entry(name) {
                Some(entry) if wire::parse_version(version) == Some(entry.version) => drop(self.due.remove(&**name)),
                Some(_) => {
                    if let Some(has) = self.due.get_mut(&**name) {
                        *has = Has::Some;
                    }
                }
                None if self.covers(name) => {
                    self.due.remove(&**name);
                    self.leaving.insert(name.as_str().into(), None);
                }
                None => {}
            }
        }
    }

    /// The next delta response: what is new, and what was asked for and is not there.
    pub(super) fn sets(&mut self, stock: &Stock) -> Told {
        self.owed = false;
        let (mut told, mut bytes) = (Told::default(), 0);
        while bytes < MOST_BYTES
            && let Some((name, _)) = self.due.pop_first()
        {
            match stock.entry(&name) {
                Some(entry) => {
                    bytes += entry.delta.len();
                    told.resources.push(Arc::clone(entry));
                }
                None => told.removed.push(name),
            }
        }
        told
    }

    /// The delta response that takes away what is gone.
    pub(super) fn removals(&mut self) -> Told {
        Told {
            resources: Vec::new(),
            removed: std::mem::take(&mut self.leaving).into_keys().collect(),
        }
    }

    /// The whole state, of LDS and CDS: what a response does not have is gone for the client. So what is leaving stays in it
    /// until it may go.
    pub(super) fn world(&mut self, stock: &Stock) -> Vec<Arc<Entry>> {
        self.owed = false;
        self.due.clear();
        let mut resources: Vec<_> = if self.wildcard {
            stock.entries().cloned().collect()
        } else {
            self.names
                .iter()
                .filter_map(|name| stock.entry(name))
                .cloned()
                .collect()
        };
        resources.extend(self.leaving.values().flatten().cloned());
        resources
    }

    /// The same, once it may go.
    pub(super) fn world_without(&mut self, stock: &Stock) -> Vec<Arc<Entry>> {
        self.leaving.clear();
        self.world(stock)
    }

    /// Of RDS and EDS: what has changed. Empty: there is nothing to be said.
    pub(super) fn part(&mut self, stock: &Stock) -> Vec<Arc<Entry>> {
        self.sets(stock).resources
    }

    /// Of RDS and EDS in the state of the world, which has no word for it: nobody is told what is gone.
    pub(super) fn keep_what_is_gone(&mut self) {
        self.leaving.clear();
    }
}
