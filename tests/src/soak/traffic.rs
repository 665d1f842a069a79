//! The kinds of traffic. To add one: a variant, its row in `ALL`, and the compiler names the matches that want a line.

use anyhow::Result;

use crate::answers::Answers;
use crate::clients;
use crate::clients::Load;
use crate::grpc::Kind;
use crate::soak::rude;
use crate::soak::slow;
use crate::soak::world::World;

/// Requests of one round, one after another on one connection.
const REQUESTS: u32 = 300;
/// Connections of one round.
const CONNECTIONS: u32 = 10;

/// What a thread of the soak does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// `ab -k`.
    Http1,
    /// `h2load`.
    Http2,
    /// All four kinds of call, in turn.
    Grpc,
    /// Connections that are open together, an echo on each.
    WebSocket,
    /// Connections whose server speaks first.
    ServerFirst,
    /// Clients that are gone in the middle of it.
    Aborts,
    /// Clients that send and read a piece at a time.
    Slow,
}

/// What became of one kind of traffic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests, or connections where there are no requests, that went as they should.
    pub served: u64,
    /// Every other one.
    pub errors: u64,
    /// What the first of them was.
    pub first_error: Option<String>,
}

// === impl Traffic ===

impl Traffic {
    /// In the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Http1,
        Self::Http2,
        Self::Grpc,
        Self::WebSocket,
        Self::ServerFirst,
        Self::Aborts,
        Self::Slow,
    ];

    /// As the table spells it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1 keep-alive",
            Self::Http2 => "HTTP/2",
            Self::Grpc => "gRPC",
            Self::WebSocket => "WebSocket",
            Self::ServerFirst => "server-first TCP",
            Self::Aborts => "clients that go away",
            Self::Slow => "slow clients",
        }
    }

    /// One round from the client's pod.
    pub(super) fn round(self, world: &World, number: usize) -> Result<Tally> {
        let (client, service) = (&world.client, World::service());
        let (http, banner) = (service.at(80), service.at(9000));
        Ok(match self {
            Self::Http1 => clients::ab(client, http, REQUESTS)?.into(),
            Self::Http2 => clients::h2load(client, http, REQUESTS)?.into(),
            Self::Grpc => clients::grpc(client, http, REQUESTS, Kind::ALL[number % Kind::ALL.len()])?.into(),
            Self::WebSocket => clients::websocket(client, http, CONNECTIONS)?.into(),
            Self::ServerFirst => clients::banner(client, banner, CONNECTIONS)?.into(),
            Self::Aborts => rude::round(client, http, banner)?,
            Self::Slow => slow::round(client, http, banner)?,
        })
    }
}

// === impl Tally ===

impl Tally {
    /// `served` without an error.
    pub(super) fn of(served: u64) -> Self {
        Self {
            served,
            ..Self::default()
        }
    }

    /// Adds another round's.
    pub(super) fn add(&mut self, round: Self) {
        self.served += round.served;
        self.errors += round.errors;
        self.first_error = self.first_error.take().or(round.first_error);
    }

    /// Books a round that failed as a whole.
    pub(super) fn fail(&mut self, error: &anyhow::Error) {
        self.add(Self {
            served: 0,
            errors: 1,
            first_error: Some(format!("{error:#}")),
        });
    }
}

impl From<Load> for Tally {
    fn from(load: Load) -> Self {
        let first_error = (load.failed > 0).then(|| "not a 2xx, or no answer".to_owned());
        Self {
            served: load.succeeded,
            errors: load.failed,
            first_error,
        }
    }
}

impl From<Answers> for Tally {
    fn from(answers: Answers) -> Self {
        Self {
            served: answers.by_replica.values().sum(),
            errors: answers.failures,
            first_error: answers.first_failure,
        }
    }
}
