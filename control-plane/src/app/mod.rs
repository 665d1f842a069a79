//! The wiring: sources -> views -> server -> pages -> the end.

mod guarded;
mod injector;
mod lacking;
mod leading;
mod listen;
mod node;
mod run;
mod serve;

pub use guarded::{CertificateSource, SECRET, SERVICE, WEBHOOKS};
pub use leading::OwnPod;
pub use listen::Listen;
pub use run::Run;
pub(crate) use run::run;
pub use serve::Serve;
pub(crate) use serve::serve;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A program of one thread: its work is bytes that are encoded once and then copied.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start: {error}"))
}

/// What ends the process.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = || -> io::Result<Self> {
            Ok(Self {
                term: signal(SignalKind::terminate())?,
                int: signal(SignalKind::interrupt())?,
            })
        };
        listen().map_err(|error| format!("cannot listen to signals: {error}"))
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => tracing::info!("TERM received"),
            _ = self.int.recv() => tracing::info!("INT received"),
        }
    }
}
