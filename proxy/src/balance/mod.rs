//! Which of a cluster's endpoints gets the next request.
//!
//! To add an algorithm: its file with a `pick` function, a variant of [`Algorithm`] and one of `Choice` here; the
//! compiler names the matches that want a line, and `tests.rs` has a list of algorithms that wants one as well.
//!
//! Nothing here asks a clock, draws from a hidden source of chance, or allocates while picking: `now` and `dice` are
//! arguments. What workers share about an endpoint is its [`Load`]; a [`Balancer`] belongs to one worker. Above it stands
//! [`Spread`], which decides among whom it chooses.

use std::num::NonZeroU32;
use std::sync::Arc;

pub use affinity::Key;
pub use affinity::Name;
pub use dice::Dice;
pub use load::Load;
pub use load::Millis;
use round_robin::Rotation;
use sample::Wheel;
pub use spread::Health;
pub use spread::Rules;
pub use spread::Spread;
pub use spread::Standing;

mod affinity;
mod dice;
mod least_request;
mod load;
mod locality;
mod peak_ewma;
mod priority;
mod random;
mod round_robin;
mod sample;
mod spread;
#[cfg(test)]
mod tests;

/// How a cluster chooses. Weights are respected by all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Of two random endpoints the one with the lower latency times load.
    PeakEwma,
    /// Of some random endpoints the one with the fewest requests in flight for its weight.
    LeastRequest {
        /// How many endpoints are compared.
        choices: NonZeroU32,
    },
    /// Each in its turn.
    RoundRobin,
    /// Any, by weight.
    Random,
    /// The same for the same key; any where there is none.
    Hashed,
}

/// One endpoint as a balancer sees it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its part of the traffic, relative to the other members' weights.
    pub weight: NonZeroU32,
    /// What all workers know about its load.
    pub load: Arc<Load>,
    /// What tells it from the others.
    pub name: Name,
}

/// Chooses among the members of one cluster, for one worker.
#[derive(Debug)]
pub struct Balancer {
    wheel: Wheel,
    members: Vec<Member>,
    choice: Choice,
}

/// An [`Algorithm`] with what it remembers between picks.
#[derive(Debug)]
enum Choice {
    PeakEwma,
    LeastRequest { choices: NonZeroU32 },
    RoundRobin(Rotation),
    Random,
    Hashed,
}

impl Balancer {
    /// Compiles the weights. `dice` decides where a rotation begins, so that workers do not march in step.
    pub fn new(algorithm: Algorithm, members: Vec<Member>, dice: &mut Dice) -> Self {
        let wheel = Wheel::new(&members);
        let choice = match algorithm {
            Algorithm::PeakEwma => Choice::PeakEwma,
            Algorithm::LeastRequest { choices } => Choice::LeastRequest { choices },
            Algorithm::RoundRobin => Choice::RoundRobin(Rotation::new(&wheel, dice)),
            Algorithm::Random => Choice::Random,
            Algorithm::Hashed => Choice::Hashed,
        };
        Self { wheel, members, choice }
    }

    /// The index of the member that gets the next request, or `None` where no member is usable.
    ///
    /// `usable(i)` is false for endpoints that are backing off, unhealthy, or were tried already by this request.
    pub fn pick(
        &mut self,
        now: Millis,
        key: Option<Key>,
        dice: &mut Dice,
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        match &mut self.choice {
            Choice::PeakEwma => peak_ewma::pick(&self.wheel, &self.members, now, dice, usable),
            Choice::LeastRequest { choices } => least_request::pick(&self.wheel, &self.members, *choices, dice, usable),
            Choice::RoundRobin(rotation) => rotation.pick(&self.wheel, dice, usable),
            Choice::Random => random::pick(&self.wheel, dice, usable),
            Choice::Hashed => match key {
                Some(key) => affinity::pick(&self.wheel, &self.members, key, usable),
                None => random::pick(&self.wheel, dice, usable),
            },
        }
    }

    /// Every member, in the order of the indices that `pick` returns.
    pub fn members(&self) -> &[Member] {
        &self.members
    }
}
