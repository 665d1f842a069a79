//! What a client shows of itself, for pages and metrics.

use crate::ads::machine::Answer;
use crate::ads::message::Mode;
use crate::ads::shared::Shared;
use crate::ads::store::Entry;
use crate::resource::Kind;
use std::sync::Arc;
use tokio::time::Instant;

/// A view of a client, cheap to clone. What it returns is true at the moment of the call.
#[derive(Clone, Debug)]
pub struct Status {
    pub(super) shared: Arc<Shared>,
}

/// One control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// `server_uri`.
    pub uri: String,
    /// Whether there is a stream.
    pub connection: Connection,
    /// Streams that were opened.
    pub streams: u64,
    /// Responses that came.
    pub responses: u64,
    /// Of these, those that were refused, in whole or in part.
    pub refused: u64,
    /// Attempts that ended without a response.
    pub failures: u64,
    /// Why the last stream ended, or did not begin.
    pub last_end: Option<Ended>,
}

/// What goes on with one control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Nothing: another one is used, or a pause has to pass.
    Idle,
    /// A connection is being made.
    Connecting,
    /// A stream is open.
    Connected {
        /// What it speaks.
        mode: Mode,
        /// Since when.
        since: Instant,
    },
}

/// The end of a stream or of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub when: Instant,
    /// Why.
    pub reason: String,
}

/// One type of resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindStatus {
    /// Which.
    pub kind: Kind,
    /// Whether all are wanted, besides those that are wanted by name.
    pub wildcard: bool,
    /// How many are wanted by name.
    pub subscribed: usize,
    /// How many something is known of.
    pub known: usize,
    /// Resources that were taken since the start, each time that they came.
    pub accepted: u64,
    /// Resources that were refused since the start, each time that they came.
    pub refused: u64,
    /// When the last response came; `None`: none has.
    pub updated: Option<Instant>,
}

impl ServerStatus {
    /// A server that was not tried.
    pub(super) fn new(uri: String) -> Self {
        Self {
            uri,
            connection: Connection::Idle,
            streams: 0,
            responses: 0,
            refused: 0,
            failures: 0,
            last_end: None,
        }
    }
}

impl Status {
    /// Every server, in the order of preference.
    pub fn servers(&self) -> Vec<ServerStatus> {
        self.shared.servers().clone()
    }

    /// Every type of resource.
    pub fn kinds(&self) -> Vec<KindStatus> {
        let machine = self.shared.machine();
        Kind::ALL
            .into_iter()
            .map(|kind| {
                let (names, table) = (machine.names(kind), machine.store().table(kind));
                KindStatus {
                    kind,
                    wildcard: names.is_wildcard(),
                    subscribed: names.wanted().len(),
                    known: table.entries().len(),
                    accepted: table.accepted,
                    refused: table.refused,
                    updated: table.updated,
                }
            })
            .collect()
    }

    /// Looks at every resource of a type, in the order of names. The client waits meanwhile.
    pub fn each(&self, kind: Kind, mut look: impl FnMut(&str, &Entry)) {
        let machine = self.shared.machine();
        for (name, entry) in machine.store().table(kind).entries() {
            look(name, entry);
        }
    }

    /// What is known of one resource; `None`: nothing, and nobody asks for it by name.
    pub fn entry(&self, kind: Kind, name: &str) -> Option<Entry> {
        self.shared.machine().store().entry(kind, name).cloned()
    }

    /// What is known of a listener.
    pub fn listener(&self, name: &str) -> Answer {
        self.shared.machine().listener(name)
    }

    /// Whether the first configuration is complete: everything that readiness waits for is in force, or the control plane
    /// says that it does not exist. Once true, it stays so.
    pub fn is_ready(&self) -> bool {
        self.shared.machine().is_ready()
    }
}
