//! Who writes: one replica at a time holds the Lease `evenkeel-control`, and only that one writes status, Events and
//! certificates. All replicas serve.
//!
//! `Candidate` decides and is pure: the clock is an argument. `driver` asks the API server. How long somebody else's
//! lease holds is measured by our own clock from the moment that we saw it change, so that clocks that differ elect
//! nobody twice.

mod driver;

pub use driver::{Election, elect};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// The Lease, in our own namespace.
pub const NAME: &str = "evenkeel-control";
/// So long a lease holds after it was renewed; others wait for it.
const LASTS: Duration = Duration::from_secs(15);
/// So long a holder that cannot renew goes on: it ends well before another may begin.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between renewals, and between looks at another's lease.
const RENEW: Duration = Duration::from_secs(5);
/// After a failure: several attempts fit before the deadline.
const RETRY: Duration = Duration::from_secs(1);

/// One replica that would lead.
#[derive(Debug)]
pub(super) struct Candidate {
    identity: String,
    seen: Option<Seen>,
    held: Option<Held>,
}

/// Another's lease, as it was seen last.
#[derive(Debug)]
struct Seen {
    version: Option<String>,
    changed: Instant,
}

/// Our lease.
#[derive(Debug)]
struct Held {
    lease: Lease,
    until: Instant,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Turn {
    /// Ask for the Lease, and tell it to [`Candidate::read`].
    Read,
    /// Write this over the one of its version, and tell what came of it.
    Renew(Box<Lease>),
}

/// What to do about a Lease that was read.
#[derive(Debug)]
pub(super) enum Bid {
    /// There is none: create this.
    Create(Box<Lease>),
    /// Nobody holds it, or nobody renewed it in time: write this over it.
    Take(Box<Lease>),
    /// Somebody else leads.
    Wait,
}

impl Candidate {
    /// `identity` is the name of the pod.
    pub(super) fn new(identity: String) -> Self {
        Self {
            identity,
            seen: None,
            held: None,
        }
    }

    /// Until when we lead; nobody may write for us after that.
    pub(super) fn leads_until(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.until)
    }

    /// What is to be done next. A lease that could not be renewed in time is given up here.
    pub(super) fn turn(&mut self, now: Instant, wall: Timestamp) -> Turn {
        match &self.held {
            Some(held) if now < held.until => Turn::Renew(Box::new(self.claim(&held.lease, Holds::Still, wall))),
            _ => {
                self.held = None;
                Turn::Read
            }
        }
    }

    /// Takes note of the Lease that is there.
    pub(super) fn read(&mut self, lease: Option<Lease>, now: Instant, wall: Timestamp) -> Bid {
        let Some(lease) = lease else {
            self.seen = None;
            return Bid::Create(Box::new(self.claim(&Lease::default(), Holds::Anew, wall)));
        };
        let holder = holder(&lease);
        if holder == Some(&self.identity) {
            // Of an earlier run under the same name, or a write whose answer was lost.
            return Bid::Take(Box::new(self.claim(&lease, Holds::Still, wall)));
        }
        let version = lease.metadata.resource_version.clone();
        let changed = match &self.seen {
            Some(seen) if seen.version == version => seen.changed,
            _ => now,
        };
        self.seen = Some(Seen { version, changed });
        if holder.is_none() || now.duration_since(changed) >= lasts(&lease) {
            return Bid::Take(Box::new(self.claim(&lease, Holds::Anew, wall)));
        }
        Bid::Wait
    }

    /// The write was taken. `asked` is when it was sent: the lease holds from then at the latest.
    pub(super) fn written(&mut self, lease: Lease, asked: Instant) {
        self.seen = None;
        self.held = Some(Held {
            lease,
            until: asked + DEADLINE,
        });
    }

    /// Somebody else has written it: whoever that was leads now.
    pub(super) fn lost(&mut self) {
        self.held = None;
    }

    /// The write that lets another begin at once; `None`: it is not ours.
    pub(super) fn release(&mut self, now: Instant, wall: Timestamp) -> Option<Lease> {
        let held = self.held.take().filter(|held| now < held.until)?;
        let mut lease = self.claim(&held.lease, Holds::Still, wall);
        if let Some(spec) = &mut lease.spec {
            // As other clients of Leases do: nobody, and for the shortest time that the API server takes.
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        Some(lease)
    }

    /// How long until the next turn. `dice` spreads replicas that began together.
    pub(super) fn pause(went: Went, dice: u64) -> Duration {
        let whole = match went {
            Went::Well => RENEW,
            Went::Badly => RETRY,
        };
        // 80 % to 100 %: never later than what the deadline was chosen for.
        whole.mul_f64(0.8 + 0.2 * (dice as f64 / u64::MAX as f64))
    }

    fn claim(&self, before: &Lease, holds: Holds, wall: Timestamp) -> Lease {
        let spec = before.spec.clone().unwrap_or_default();
        let transitions = spec.lease_transitions.unwrap_or_default();
        let now = Some(MicroTime(wall));
        let (acquired, transitions) = match holds {
            Holds::Still => (spec.acquire_time.or_else(|| now.clone()), transitions),
            Holds::Anew => (now.clone(), transitions.saturating_add(1)),
        };
        Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                ..before.metadata.clone()
            },
            spec: Some(LeaseSpec {
                acquire_time: acquired,
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(LASTS.as_secs() as i32),
                lease_transitions: Some(transitions),
                renew_time: now,
                ..spec
            }),
        }
    }
}

/// How a turn went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// The API server answered.
    Well,
    /// It did not.
    Badly,
}

/// Whether a claim begins a term.
#[derive(Clone, Copy)]
enum Holds {
    Still,
    Anew,
}

fn holder(lease: &Lease) -> Option<&String> {
    let holder = lease.spec.as_ref()?.holder_identity.as_ref()?;
    (!holder.is_empty()).then_some(holder)
}

fn lasts(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(LASTS, Duration::from_secs)
}

#[cfg(test)]
mod tests;
