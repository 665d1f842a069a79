//! What the API server has said of tokens, for a while. Pure: the time is an argument.

use super::token::Digest;
use evenkeel_control_api::serve::Peer;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// How long a good token is believed without asking again.
const GOOD: Duration = Duration::from_mins(5);
/// How long a bad one is not asked about again.
const BAD: Duration = Duration::from_secs(10);
/// Good tokens: one for each pod, and the one before for a while.
const MOST_GOOD: usize = 65_536;
/// Bad ones, which anybody can make up: they must not drive out the good.
const MOST_BAD: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Cache {
    good: HashMap<Digest, Good>,
    bad: HashMap<Digest, Bad>,
}

#[derive(Debug)]
struct Good {
    peer: Peer,
    fresh_until: SystemTime,
    expires: SystemTime,
}

#[derive(Debug)]
struct Bad {
    reason: String,
    until: SystemTime,
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is this peer's.
    Good(Peer),
    /// It was this peer's some minutes ago and has not expired: good enough where nobody can be asked.
    Old(Peer),
    /// It is not good.
    Bad(String),
    /// Nothing.
    Nothing,
}

impl Cache {
    pub(super) fn look(&self, token: &Digest, now: SystemTime) -> Known {
        match self.good.get(token) {
            Some(good) if now >= good.expires => return Known::Nothing,
            Some(good) if now < good.fresh_until => return Known::Good(good.peer.clone()),
            Some(good) => return Known::Old(good.peer.clone()),
            None => {}
        }
        match self.bad.get(token) {
            Some(bad) if now < bad.until => Known::Bad(bad.reason.clone()),
            Some(_) | None => Known::Nothing,
        }
    }

    pub(super) fn good(&mut self, token: Digest, peer: Peer, expires: SystemTime, now: SystemTime) {
        self.bad.remove(&token);
        if self.good.len() >= MOST_GOOD && !self.good.contains_key(&token) {
            self.good.retain(|_, good| now < good.fresh_until);
        }
        if self.good.len() >= MOST_GOOD {
            // More pods than anybody has: all of them are asked about anew.
            self.good.clear();
        }
        let fresh_until = expires.min(now + GOOD);
        self.good.insert(
            token,
            Good {
                peer,
                fresh_until,
                expires,
            },
        );
    }

    pub(super) fn bad(&mut self, token: Digest, reason: String, now: SystemTime) {
        self.good.remove(&token);
        if self.bad.len() >= MOST_BAD {
            self.bad.clear();
        }
        let until = now + BAD;
        self.bad.insert(token, Bad { reason, until });
    }

    /// Tokens that are remembered.
    pub(super) fn len(&self) -> usize {
        self.good.len() + self.bad.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer {
            namespace: "shop".to_owned(),
            pod: "web".to_owned(),
            uid: "1".to_owned(),
            service_account: "web".to_owned(),
        }
    }

    fn token(number: u32) -> Digest {
        let mut token = Digest::default();
        token[..4].copy_from_slice(&number.to_be_bytes());
        token
    }

    #[test]
    fn a_good_token_is_believed_for_minutes_and_never_after_its_end() {
        let now = SystemTime::UNIX_EPOCH;
        let mut cache = Cache::default();
        cache.good(token(1), peer(), now + GOOD * 3, now);
        cache.good(token(2), peer(), now + GOOD / 2, now);
        let later = |factor: u32| now + GOOD / 4 * factor;
        assert_eq!(cache.look(&token(1), later(3)), Known::Good(peer()));
        assert_eq!(cache.look(&token(1), later(4)), Known::Old(peer()));
        assert_eq!(cache.look(&token(1), later(11)), Known::Old(peer()));
        assert_eq!(cache.look(&token(1), later(12)), Known::Nothing);
        assert_eq!(cache.look(&token(2), later(1)), Known::Good(peer()));
        assert_eq!(cache.look(&token(2), later(2)), Known::Nothing);
    }

    #[test]
    fn a_token_that_is_not_good_any_more_is_forgotten_at_once() {
        let now = SystemTime::UNIX_EPOCH;
        let mut cache = Cache::default();
        cache.good(token(1), peer(), now + GOOD * 3, now);
        cache.bad(token(1), "revoked".to_owned(), now);
        assert_eq!(cache.look(&token(1), now), Known::Bad("revoked".to_owned()));
        assert_eq!(cache.look(&token(1), now + BAD), Known::Nothing);
    }

    #[test]
    fn tokens_that_are_made_up_do_not_drive_out_good_ones_and_take_little_room() {
        let now = SystemTime::UNIX_EPOCH;
        let mut cache = Cache::default();
        cache.good(token(u32::MAX), peer(), now + GOOD, now);
        for number in 0..3 * MOST_BAD as u32 {
            cache.bad(token(number), String::new(), now);
        }
        assert!(cache.len() <= MOST_BAD + 1);
        assert_eq!(cache.look(&token(u32::MAX), now), Known::Good(peer()));
    }

    #[test]
    fn good_tokens_are_bounded_too() {
        let now = SystemTime::UNIX_EPOCH;
        let mut cache = Cache::default();
        for number in 0..2 * MOST_GOOD as u32 {
            cache.good(token(number), peer(), now + GOOD, now);
        }
        assert!(cache.len() <= MOST_GOOD);
    }
}
