//! TERM and INT: the first drains, the second ends.

use crate::lifecycle::Lifecycle;
use crate::lifecycle::Phase;
use nix::sys::signal;
use nix::sys::signal::SigSet;
use nix::sys::signal::SigmaskHow;
use std::io;
use std::sync::Arc;
use tokio::signal::unix;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;

/// While this lives, TERM and INT wait. It is to be the first thing that the process makes: as long as nobody listens,
/// the kernel drops what it sends to process 1 of a container, unless it is held back.
#[derive(Debug)]
pub struct Held {
    before: SigSet,
}

impl Held {
    /// Of this thread, and of those that it starts meanwhile.
    pub fn hold() -> io::Result<Self> {
        let ours = SigSet::from_iter([signal::Signal::SIGTERM, signal::Signal::SIGINT]);
        let before = ours.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Self { before })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = self.before.thread_set_mask() {
            tracing::error!(%error, "TERM and INT cannot be heard");
        }
    }
}

/// Where they arrive.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Begins to listen, to what was held back, too. Needs a tokio runtime with IO.
    pub(super) fn listen(held: Held) -> io::Result<Self> {
        let listening = Self {
            term: unix::signal(SignalKind::terminate())?,
            int: unix::signal(SignalKind::interrupt())?,
        };
        drop(held);
        Ok(listening)
    }

    /// Does what they say. Ends after the second.
    pub(super) async fn obey(mut self, lifecycle: Arc<Lifecycle>) {
        for phase in [Phase::Draining, Phase::Quitting] {
            tokio::select! {
                _ = self.term.recv() => tracing::info!("TERM received"),
                _ = self.int.recv() => tracing::info!("INT received"),
            }
            lifecycle.enter(phase);
        }
    }
}
