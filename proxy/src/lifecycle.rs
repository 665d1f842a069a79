//! The phases of the process, which everyone may ask and only the wiring moves on.
//!
//! ```text
//! Starting -> Ready -> Parting -> Draining -> Quitting
//! ```

use tokio::sync::watch;

/// Where the process is in its life; phases only ever go forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No configuration yet, or listeners not bound.
    Starting,
    /// Serving.
    Ready,
    /// Serving, but saying goodbye on every connection, for as long as nobody tells it to end.
    Parting,
    /// The same, and ending when nothing is in flight.
    Draining,
    /// Ending now.
    Quitting,
}

impl Phase {
    /// For people and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Parting => "parting",
            Self::Draining => "draining",
            Self::Quitting => "quitting",
        }
    }
}

/// The current phase, shared by all threads.
#[derive(Debug)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Starting),
        }
    }
}

impl Lifecycle {
    /// Now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Whether connections should be said goodbye to.
    pub fn says_goodbye(&self) -> bool {
        self.phase() >= Phase::Parting
    }

    /// Goes forward to `next`; a step back is not taken.
    pub fn enter(&self, next: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = next > *phase;
            if forward {
                *phase = next;
            }
            forward
        });
    }

    /// Waits until the phase is `wanted` or later.
    pub async fn reached(&self, wanted: Phase) {
        let mut phases = self.phase.subscribe();
        // The sender lives in `self`, so the wait can only end by the phase.
        let _ = phases.wait_for(|phase| *phase >= wanted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_never_go_back() {
        let lifecycle = Lifecycle::default();
        lifecycle.enter(Phase::Draining);
        lifecycle.enter(Phase::Ready);
        assert_eq!(lifecycle.phase(), Phase::Draining);
        assert!(lifecycle.says_goodbye());
    }

    #[tokio::test]
    async fn a_later_phase_satisfies_a_wait_for_an_earlier_one() {
        let lifecycle = Lifecycle::default();
        lifecycle.enter(Phase::Quitting);
        lifecycle.reached(Phase::Ready).await;
    }
}
