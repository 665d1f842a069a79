//! Where what is told of came from, and where to.

use crate::telemetry::Direction;
use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where a request or connection came from, and where to. All requests of a connection share it, and the part of their lines
/// that tells it.
#[derive(Debug)]
pub struct Origin {
    /// Which side of the application.
    pub direction: Direction,
    /// The service, as in metrics.
    pub service: Arc<str>,
    /// Who connected; nothing for an in-process stream.
    pub client: Option<SocketAddr>,
    /// Where the client thinks it is connected to.
    pub destination: SocketAddr,
    written: OnceCell<Box<[u8]>>,
}

impl Origin {
    /// Of a connection.
    pub fn new(direction: Direction, service: Arc<str>, client: Option<SocketAddr>, destination: SocketAddr) -> Self {
        Self {
            direction,
            service,
            client,
            destination,
            written: OnceCell::new(),
        }
    }

    /// Its part of a line, as `write` has appended it to the first one: a process writes lines of one form.
    pub(super) fn written(&self, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        self.written.get_or_init(|| {
            let mut part = Vec::new();
            write(&mut part);
            part.into()
        })
    }
}

impl Clone for Origin {
    /// Without the part of a line: a span, which writes none, may wait for a collector.
    fn clone(&self) -> Self {
        Self::new(self.direction, Arc::clone(&self.service), self.client, self.destination)
    }
}
