//! What is asked of a control plane on demand: the destinations that workers use, and for how long they are kept after.
//! A pure value: events in, `now` an argument, subscriptions out.

use evenkeel_control_api::mesh::settings::OnDemand;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// What a worker tells of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It has a connection to it, the first in a while.
    Begins(SocketAddr),
    /// It has had none for a while.
    Ends(SocketAddr),
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Subscribe.
    Want(SocketAddr),
    /// Give the subscription up.
    Forget(SocketAddr),
}

/// The destinations that are subscribed to.
#[derive(Debug)]
pub(super) struct Demand {
    idle: Duration,
    most: usize,
    wanted: HashMap<SocketAddr, Wanted>,
}

#[derive(Debug)]
struct Wanted {
    /// Workers that use it.
    users: usize,
    /// Since when there are none.
    since: Instant,
}

impl Demand {
    pub(super) fn new(settings: &OnDemand) -> Self {
        Self {
            idle: settings.idle,
            most: settings.most,
            wanted: HashMap::new(),
        }
    }

    /// A worker has spoken.
    pub(super) fn told(&mut self, usage: Usage, now: Instant) -> Vec<Step> {
        match usage {
            Usage::Begins(destination) => self.begins(destination, now),
            Usage::Ends(destination) => {
                if let Some(wanted) = self.wanted.get_mut(&destination) {
                    wanted.users = wanted.users.saturating_sub(1);
                    wanted.since = now;
                }
                Vec::new()
            }
        }
    }

    fn begins(&mut self, destination: SocketAddr, now: Instant) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.wanted.contains_key(&destination) {
            if self.wanted.len() >= self.most {
                match self.least_recent() {
                    Some(other) => steps.push(self.forget(other)),
                    // All are in use: this one has to do without.
                    None => return steps,
                }
            }
            steps.push(Step::Want(destination));
        }
        let wanted = self
            .wanted
            .entry(destination)
            .or_insert(Wanted { users: 0, since: now });
        wanted.users += 1;
        steps
    }

    /// Gives up what nobody has used for long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Step> {
        let idle = |wanted: &Wanted| wanted.users == 0 && now.saturating_duration_since(wanted.since) >= self.idle;
        let expired: Vec<_> = self
            .wanted
            .iter()
            .filter(|(_, wanted)| idle(wanted))
            .map(|(one, _)| *one)
            .collect();
        expired
            .into_iter()
            .map(|destination| self.forget(destination))
            .collect()
    }

    fn forget(&mut self, destination: SocketAddr) -> Step {
        self.wanted.remove(&destination);
        Step::Forget(destination)
    }

    fn least_recent(&self) -> Option<SocketAddr> {
        let unused = self.wanted.iter().filter(|(_, wanted)| wanted.users == 0);
        unused
            .min_by_key(|(_, wanted)| wanted.since)
            .map(|(destination, _)| *destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(most: usize) -> Demand {
        Demand {
            idle: Duration::from_secs(10),
            most,
            wanted: HashMap::new(),
        }
    }

    fn at(number: u8) -> SocketAddr {
        SocketAddr::from(([10, 96, 0, number], 80))
    }

    #[test]
    fn a_destination_is_asked_for_once_and_kept_while_it_is_used() {
        let (mut demand, now) = (demand(10), Instant::now());
        assert_eq!(demand.told(Usage::Begins(at(1)), now), [Step::Want(at(1))]);
        assert_eq!(demand.told(Usage::Begins(at(1)), now), [], "another worker");
        demand.told(Usage::Ends(at(1)), now);
        assert_eq!(demand.expire(now + Duration::from_secs(100)), []);
        demand.told(Usage::Ends(at(1)), now);
        assert_eq!(demand.expire(now + Duration::from_secs(9)), []);
        assert_eq!(demand.expire(now + Duration::from_secs(10)), [Step::Forget(at(1))]);
        assert_eq!(demand.wanted.len(), 0);
    }

    #[test]
    fn a_new_one_takes_the_place_of_what_was_used_least_recently() {
        let (mut demand, now) = (demand(2), Instant::now());
        for number in [1, 2] {
            demand.told(Usage::Begins(at(number)), now);
            demand.told(Usage::Ends(at(number)), now + Duration::from_secs(u64::from(number)));
        }
        assert_eq!(
            demand.told(Usage::Begins(at(3)), now),
            [Step::Forget(at(1)), Step::Want(at(3))]
        );
        assert_eq!(demand.told(Usage::Begins(at(2)), now), []);
        assert_eq!(demand.told(Usage::Begins(at(4)), now), [], "all places are in use");
        assert_eq!(demand.wanted.len(), 2);
        demand.told(Usage::Ends(at(4)), now);
        assert_eq!(demand.wanted.len(), 2);
    }
}
