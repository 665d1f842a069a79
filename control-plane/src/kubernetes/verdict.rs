//! What is to be told of objects: in their status, in an Event, in metrics. Written down by whoever translates, read by
//! whoever writes to the API server.

use super::key::Key;
use super::kind::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;

/// The condition that holds where a part of an object is not used.
pub const PARTIALLY_INVALID: &str = "PartiallyInvalid";

/// An object, as it was when something was found about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Of the object.
    pub kind: Kind,
    /// Of the object.
    pub key: Key,
}

/// What was found about an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verdict {
    /// `metadata.uid` of the object, empty where it could not be read.
    pub uid: String,
    /// `metadata.generation` of the object, which `observedGeneration` repeats.
    pub generation: Option<i64>,
    /// The reference that it is about, in JSON as it was written; empty: the object as a whole.
    pub about: String,
    /// Such as `Accepted`.
    pub condition: &'static str,
    /// Whether the condition holds. `false` is a fault: it is counted and told aloud.
    pub holds: bool,
    /// Such as `UnsupportedValue`.
    pub reason: &'static str,
    /// A sentence for people, with the place.
    pub message: String,
}

/// Something of an object that is not used as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The object.
    pub subject: Subject,
    /// The service that it was for; the object's own key: it is about the object as a whole.
    pub service: Key,
    /// What was found.
    pub verdict: Verdict,
    /// Since when that stands.
    pub since: SystemTime,
}

/// About whom, and for whom: a route has one list of verdicts for each service that it is attached to. Of what holds
/// for the object as a whole, the second is the object's own key.
pub type Place = (Subject, Key);

/// All verdicts that stand. Every change of one is told to whoever waits for changes.
#[derive(Debug)]
pub struct Board {
    standing: Mutex<Standing>,
    revision: watch::Sender<u64>,
}

/// A verdict that stands.
#[derive(Debug)]
struct Posted {
    verdict: Verdict,
    since: SystemTime,
}

#[derive(Debug, Default)]
struct Standing {
    /// By service, who was spoken of when it was translated last.
    attached: BTreeMap<Key, BTreeSet<Subject>>,
    verdicts: BTreeMap<Place, Vec<Posted>>,
    changed: BTreeSet<Subject>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            standing: Mutex::default(),
            revision: watch::Sender::new(0),
        }
    }
}

impl Board {
    /// Writes down what was found. An empty list takes away what stood there.
    pub fn post(&self, place: Place, verdicts: Vec<Verdict>) {
        let mut standing = self.lock();
        let before = standing.verdicts.get(&place).map_or(&[][..], Vec::as_slice);
        if before.iter().map(|posted| &posted.verdict).eq(&verdicts) {
            return;
        }
        let now = SystemTime::now();
        let post = |verdict: Verdict| Posted {
            since: since(before, &verdict).unwrap_or(now),
            verdict,
        };
        let verdicts: Vec<_> = verdicts.into_iter().map(post).collect();
        standing.changed.insert(place.0.clone());
        if verdicts.is_empty() {
            standing.verdicts.remove(&place);
        } else {
            standing.verdicts.insert(place, verdicts);
        }
        drop(standing);
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Writes down what was found when a service was translated, in the place of what was found the last time.
    pub fn replace(&self, service: &Key, found: Vec<(Place, Vec<Verdict>)>) {
        let now: BTreeSet<Subject> = found.iter().map(|((subject, _), _)| subject.clone()).collect();
        let before = {
            let attached = &mut self.lock().attached;
            if now.is_empty() {
                attached.remove(service)
            } else {
                attached.insert(service.clone(), now.clone())
            }
        };
        for gone in before.unwrap_or_default().difference(&now) {
            self.post((gone.clone(), service.clone()), Vec::new());
        }
        for (place, verdicts) in found {
            self.post(place, verdicts);
        }
    }

    /// Of this object, by the service that it is attached to.
    pub fn of(&self, subject: &Subject) -> BTreeMap<Key, Vec<Verdict>> {
        let standing = self.lock();
        let from = (subject.clone(), Key::new("", ""));
        let about = standing
            .verdicts
            .range(from..)
            .take_while(|(place, _)| place.0 == *subject);
        about
            .map(|((_, parent), posted)| {
                let verdicts = posted.iter().map(|posted| posted.verdict.clone());
                (parent.clone(), verdicts.collect())
            })
            .collect()
    }

    /// Every object about which something stands.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        self.lock()
            .verdicts
            .keys()
            .map(|(subject, _)| subject.clone())
            .collect()
    }

    /// The objects about which something has changed since the last call.
    pub fn take_changed(&self) -> BTreeSet<Subject> {
        std::mem::take(&mut self.lock().changed)
    }

    /// Changes with every change of a verdict.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Objects of each kind that have a fault.
    pub fn faulty(&self) -> BTreeMap<Kind, usize> {
        let mut faulty: BTreeMap<Kind, BTreeSet<Key>> = BTreeMap::new();
        for ((subject, _), verdicts) in &self.lock().verdicts {
            if verdicts.iter().any(|posted| !posted.verdict.holds) {
                faulty.entry(subject.kind).or_default().insert(subject.key.clone());
            }
        }
        faulty.into_iter().map(|(kind, keys)| (kind, keys.len())).collect()
    }

    /// Everything that is not used as it is written.
    pub fn refused(&self) -> Vec<Refused> {
        let standing = self.lock();
        let all = standing
            .verdicts
            .iter()
            .flat_map(|(place, all)| all.iter().map(move |posted| (place, posted)));
        let refused = all.filter(|(_, posted)| posted.verdict.is_refusal());
        refused
            .map(|((subject, service), posted)| Refused {
                subject: subject.clone(),
                service: service.clone(),
                verdict: posted.verdict.clone(),
                since: posted.since,
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        // Each change is whole before the next begins.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verdict {
    /// Whether something is not used as it is written: a fault, or the condition that says that of a part.
    fn is_refusal(&self) -> bool {
        !self.holds || self.condition == PARTIALLY_INVALID
    }
}

#[cfg(test)]
impl Verdict {
    /// Of an object as a whole.
    pub(super) fn fault(message: &str) -> Self {
        Self {
            uid: String::new(),
            generation: None,
            about: String::new(),
            condition: "Accepted",
            holds: false,
            reason: "Invalid",
            message: message.to_owned(),
        }
    }
}

/// Since when this stands, if it does already, in these words or in others.
fn since(before: &[Posted], verdict: &Verdict) -> Option<SystemTime> {
    let key = |verdict: &Verdict| (verdict.about.clone(), verdict.condition, verdict.holds, verdict.reason);
    let same = before.iter().find(|posted| key(&posted.verdict) == key(verdict));
    same.map(|posted| posted.since)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, parent: &str) -> Place {
        let key = Key::new("shop", name);
        (
            Subject {
                kind: Kind::Service,
                key,
            },
            Key::new("shop", parent),
        )
    }

    fn fault(message: &str) -> Vec<Verdict> {
        vec![Verdict::fault(message)]
    }

    #[test]
    fn what_has_changed_is_told_once() {
        let board = Board::default();
        let revision = board.revision();
        board.post(place("web", "a"), fault("one"));
        board.post(place("web", "b"), fault("two"));
        board.post(place("db", "db"), Vec::new());
        assert!(revision.has_changed().unwrap());
        let web = place("web", "").0;
        assert_eq!(board.take_changed(), BTreeSet::from([web.clone()]));
        board.post(place("web", "a"), fault("one"));
        assert_eq!(board.take_changed(), BTreeSet::new());
        assert_eq!(board.of(&web).len(), 2);
        assert_eq!(board.faulty(), BTreeMap::from([(Kind::Service, 1)]));
        board.post(place("web", "a"), Vec::new());
        board.post(place("web", "b"), Vec::new());
        assert_eq!(board.take_changed(), BTreeSet::from([web]));
        assert_eq!(board.subjects(), BTreeSet::new());
    }

    #[test]
    fn what_is_refused_is_there_with_the_time_since_when_it_is() {
        let board = Board::default();
        let holds = |verdict: Verdict| Verdict { holds: true, ..verdict };
        board.post(
            place("web", "a"),
            vec![Verdict::fault("one"), holds(Verdict::fault("two"))],
        );
        let part = Verdict {
            condition: PARTIALLY_INVALID,
            ..holds(Verdict::fault("a rule"))
        };
        board.post(place("db", "db"), vec![part]);
        let messages = |refused: &[Refused]| {
            refused
                .iter()
                .map(|one| one.verdict.message.clone())
                .collect::<Vec<_>>()
        };
        let first = board.refused();
        assert_eq!(messages(&first), ["a rule", "one"]);
        board.post(place("web", "a"), fault("in other words"));
        let second = board.refused();
        assert_eq!(messages(&second), ["a rule", "in other words"]);
        assert_eq!(
            (second[1].since, &second[1].service),
            (first[1].since, &Key::new("shop", "a"))
        );
        board.post(place("web", "a"), Vec::new());
        assert_eq!(messages(&board.refused()), ["a rule"]);
    }

    #[test]
    fn what_was_found_takes_the_place_of_what_was_found_before() {
        let board = Board::default();
        let service = Key::new("shop", "web");
        board.replace(
            &service,
            vec![(place("a", "web"), fault("one")), (place("b", "web"), fault("two"))],
        );
        board.post(place("a", "other"), fault("stays"));
        board.replace(&service, vec![(place("b", "web"), fault("two"))]);
        assert_eq!(board.of(&place("a", "").0).len(), 1);
        assert_eq!(board.of(&place("b", "").0).len(), 1);
        board.replace(&service, Vec::new());
        assert_eq!(board.subjects(), BTreeSet::from([place("a", "").0]));
    }
}
