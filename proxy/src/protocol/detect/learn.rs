//! What was learnt of a destination: whether its clients speak first, so that opening a connection ahead is a waste.
//! It decides only when to speculate; sniffing is never skipped, and one contrary verdict forgets it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

/// Destinations that are remembered.
const REMEMBERED: usize = 4096;
/// How long a verdict counts.
const LIFETIME: Duration = Duration::from_mins(10);
/// Client-first verdicts in a row before speculation waits.
const CONVINCED: u32 = 3;

/// What a verdict said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// The client spoke first, and it was HTTP.
    Http,
    /// The client spoke first.
    ClientFirst,
    /// The server spoke first, or the client said nothing.
    Otherwise,
}

/// What was learnt, by destination.
#[derive(Debug)]
pub struct Learnt {
    generation: u64,
    destinations: HashMap<SocketAddr, Entry>,
    speculative: usize,
    /// Rung when a place comes free at a destination that had none.
    vacancy: Arc<Notify>,
}

#[derive(Debug)]
struct Entry {
    streak: u32,
    http: bool,
    expires: Instant,
    /// Speculative connections that are open now.
    open: usize,
}

impl Learnt {
    /// Nothing; at most `speculative` connections at one destination will be speculative at a time.
    pub fn new(speculative: usize) -> Self {
        Self {
            generation: 0,
            destinations: HashMap::new(),
            speculative,
            vacancy: Arc::default(),
        }
    }

    /// Everything is forgotten when the configuration is another.
    pub(super) fn as_of(&mut self, generation: u64) -> &mut Self {
        if generation > self.generation {
            self.generation = generation;
            self.destinations.retain(|_, entry| entry.open > 0);
            self.destinations
                .values_mut()
                .for_each(|entry| (entry.streak, entry.http) = (0, false));
        }
        self
    }

    /// Whether clients of this destination speak first, as far as is known.
    pub(super) fn is_client_first(&self, destination: SocketAddr, now: Instant) -> bool {
        self.destinations
            .get(&destination)
            .is_some_and(|entry| entry.streak >= CONVINCED && entry.expires > now)
    }

    /// Whether the last client of this destination spoke HTTP.
    pub(super) fn is_http(&self, destination: SocketAddr, now: Instant) -> bool {
        self.destinations
            .get(&destination)
            .is_some_and(|entry| entry.http && entry.expires > now)
    }

    pub(super) fn note(&mut self, destination: SocketAddr, lesson: Lesson, now: Instant) {
        let entry = self.entry(destination, now);
        entry.expires = now + LIFETIME;
        entry.streak = if lesson == Lesson::Otherwise {
            0
        } else {
            entry.streak.saturating_add(1)
        };
        entry.http = lesson == Lesson::Http;
    }

    /// Takes one of the places for speculative connections; to be given back with [`Learnt::leave`].
    pub(super) fn enter(&mut self, destination: SocketAddr, now: Instant) -> bool {
        let most = self.speculative;
        let entry = self.entry(destination, now);
        let free = entry.open < most;
        entry.open += usize::from(free);
        free
    }

    /// Resolves when it is worth while to ask for a place again.
    pub(super) fn vacancy(&self) -> OwnedNotified {
        Arc::clone(&self.vacancy).notified_owned()
    }

    pub(super) fn leave(&mut self, destination: SocketAddr) {
        if let Some(entry) = self.destinations.get_mut(&destination) {
            if entry.open == self.speculative {
                self.vacancy.notify_waiters();
            }
            entry.open = entry.open.saturating_sub(1);
        }
    }

    fn entry(&mut self, destination: SocketAddr, now: Instant) -> &mut Entry {
        if self.destinations.len() >= REMEMBERED && !self.destinations.contains_key(&destination) {
            self.destinations
                .retain(|_, entry| entry.open > 0 || entry.expires > now);
            if self.destinations.len() >= REMEMBERED {
                self.destinations.retain(|_, entry| entry.open > 0);
            }
        }
        self.destinations.entry(destination).or_insert(Entry {
            streak: 0,
            http: false,
            expires: now + LIFETIME,
            open: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 96, 0, 10)), 80);

    #[tokio::test]
    async fn three_verdicts_convince_and_one_contrary_verdict_forgets() {
        let (mut learnt, now) = (Learnt::new(64), Instant::now());
        for _ in 0..3 {
            assert!(!learnt.is_client_first(WEB, now));
            learnt.note(WEB, Lesson::Http, now);
        }
        assert!(learnt.is_client_first(WEB, now) && learnt.is_http(WEB, now));
        learnt.note(WEB, Lesson::Otherwise, now);
        assert!(!learnt.is_client_first(WEB, now) && !learnt.is_http(WEB, now));
    }

    #[tokio::test]
    async fn what_was_learnt_expires_and_goes_with_its_configuration() {
        let (mut learnt, now) = (Learnt::new(64), Instant::now());
        (0..3).for_each(|_| learnt.note(WEB, Lesson::ClientFirst, now));
        assert!(!learnt.is_client_first(WEB, now + LIFETIME));
        assert!(learnt.is_client_first(WEB, now));
        assert!(!learnt.as_of(2).is_client_first(WEB, now));
    }

    #[tokio::test]
    async fn places_for_speculation_are_bounded_and_come_back() {
        let (mut learnt, now) = (Learnt::new(2), Instant::now());
        assert!(learnt.enter(WEB, now) && learnt.enter(WEB, now));
        assert!(!learnt.enter(WEB, now));
        learnt.leave(WEB);
        assert!(learnt.enter(WEB, now));
    }

    #[tokio::test]
    async fn memory_is_bounded_whatever_is_dialled() {
        let (mut learnt, now) = (Learnt::new(2), Instant::now());
        for port in 0..u16::MAX {
            learnt.note(SocketAddr::new(WEB.ip(), port), Lesson::ClientFirst, now);
        }
        assert!(learnt.destinations.len() <= REMEMBERED);
    }
}
