//! The client: one task that keeps a stream to the best control plane that can be reached.

use crate::ads::bootstrap::Bootstrap;
use crate::ads::bootstrap::Server;
use crate::ads::connect;
use crate::ads::connect::Link;
use crate::ads::machine::Change;
use crate::ads::machine::Machine;
use crate::ads::machine::Versions;
use crate::ads::message::Mode;
use crate::ads::options::Options;
use crate::ads::servers::Servers;
use crate::ads::session::End;
use crate::ads::session::Session;
use crate::ads::shared::ListenerWish;
use crate::ads::shared::Shared;
use crate::ads::status::Connection;
use crate::ads::status::Ended;
use crate::ads::status::ServerStatus;
use crate::ads::status::Status;
use crate::ads::wire;
use envoy_types::pb::envoy::config::core::v3::Node;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A client of the control API. Its task ends when it is dropped.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

/// What a client is asked for while it runs; cheap to clone.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    shared: Arc<Shared>,
}

impl Client {
    /// Begins to connect, in a task of the runtime that this is called in.
    pub fn start(bootstrap: Bootstrap, options: Options) -> Self {
        let now = Instant::now();
        let machine = Machine::new(&options.listeners, options.clusters, options.most_resources, now);
        let servers = bootstrap
            .servers
            .iter()
            .map(|server| ServerStatus::new(server.uri.clone()));
        let shared = Arc::new(Shared::new(machine, servers.collect()));
        let task = Task {
            shared: Arc::clone(&shared),
            servers: Servers::new(bootstrap.servers.len(), options.mode, now),
            node: Arc::new(wire::node(&bootstrap.node)),
            addresses: bootstrap.servers,
            options,
            last: None,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run());
        Self { shared, _task: tasks }
    }

    /// Waits for something to change, and takes everything that has since this was called last. May be dropped at any
    /// time; of several who wait, one gets it.
    pub async fn changed(&self) -> Change {
        loop {
            if let Some(change) = self.shared.machine().take_change() {
                return change;
            }
            self.shared.changed.notified().await;
        }
    }

    /// Turns true when the first configuration is complete: see [`Status::is_ready`].
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.shared.ready.subscribe()
    }

    /// What goes on.
    pub fn status(&self) -> Status {
        Status {
            shared: Arc::clone(&self.shared),
        }
    }

    /// To ask for more, or less.
    pub fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Subscriptions {
    /// Subscribes to a listener. The answer comes with [`Client::changed`], also when it is known already: then at once.
    /// The subscription stays until it is given up, whatever the answer.
    pub fn want_listener(&self, name: &str) {
        self.shared.wish(ListenerWish::Want(name.into()));
    }

    /// Gives a listener up, and what only it needed. The ordinary ones stay.
    pub fn forget_listener(&self, name: &str) {
        self.shared.wish(ListenerWish::Forget(name.into()));
    }
}

/// What the task of a client works with.
struct Task {
    shared: Arc<Shared>,
    servers: Servers,
    addresses: Vec<Server>,
    node: Arc<Node>,
    options: Options,
    /// Which server the last response came from.
    last: Option<usize>,
}

impl Task {
    async fn run(mut self) {
        let mut connected: Option<(usize, Link)> = None;
        loop {
            let (index, link) = match connected.take() {
                Some(better) => better,
                None => match self.connect_next().await {
                    Some(next) => next,
                    None => continue,
                },
            };
            connected = self.stream(index, link).await;
        }
    }

    /// Waits until a server may be tried, and tries it.
    async fn connect_next(&mut self) -> Option<(usize, Link)> {
        let (index, due) = self.servers.next(Instant::now());
        self.tend_until(tokio::time::sleep_until(due)).await;
        self.shared.servers()[index].connection = Connection::Connecting;
        let connecting = connect::connect(&self.addresses[index]);
        match self.tend_until(connecting).await {
            Ok(link) => Some((index, link)),
            Err(error) => {
                self.failed(index, error.to_string());
                None
            }
        }
    }

    /// Runs a stream to its end, or until a better server can be reached, which is returned.
    async fn stream(&mut self, index: usize, link: Link) -> Option<(usize, Link)> {
        let mode = self.servers.mode(index);
        let versions = match self.last {
            Some(last) if last != index => Versions::Foreign,
            _ => Versions::Shared,
        };
        self.shared.step(|machine| machine.connected(mode, versions));
        let before = self.begun(index, mode);
        let (shared, options) = (Arc::clone(&self.shared), self.options.clone());
        let session = Session {
            shared: &shared,
            options: &options,
            node: Arc::clone(&self.node),
            server: index,
            link,
            mode,
        };
        let outcome = tokio::select! {
            end = session.run() => Err(end),
            better = self.reach_better(index) => Ok(better),
        };
        self.shared.step(|machine| machine.disconnected(Instant::now()));
        let has_answered = self.shared.servers()[index].responses > before;
        if has_answered {
            self.servers.answered(index);
            self.last = Some(index);
        }
        match outcome {
            Ok(better) => {
                self.ended(index, "a better server can be reached".to_owned());
                Some(better)
            }
            Err(End::Unimplemented(reason)) if !has_answered => {
                self.servers.unimplemented(index, Instant::now(), dice());
                self.show_end(index, reason);
                None
            }
            Err(End::Denied(reason)) => {
                self.denied(index, reason);
                None
            }
            Err(End::Unimplemented(reason) | End::Lost(reason)) if has_answered => {
                self.ended(index, reason);
                None
            }
            Err(End::Unimplemented(reason) | End::Lost(reason)) => {
                self.failed(index, reason);
                None
            }
        }
    }

    /// Tries the servers that are preferred to this one, each after its pause.
    async fn reach_better(&mut self, index: usize) -> (usize, Link) {
        loop {
            let Some((better, due)) = self.servers.better(index) else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(due).await;
            match connect::connect(&self.addresses[better]).await {
                Ok(link) => return (better, link),
                Err(error) => self.failed(better, error.to_string()),
            }
        }
    }

    /// Waits for something, and does meanwhile what no server is needed for.
    async fn tend_until<T>(&self, future: impl Future<Output = T>) -> T {
        tokio::pin!(future);
        loop {
            tokio::select! {
                result = &mut future => return result,
                () = self.shared.tend() => {}
            }
        }
    }

    /// Shows that a stream has begun. Returns how many responses the server had sent before.
    fn begun(&self, index: usize, mode: Mode) -> u64 {
        tracing::info!(server = self.addresses[index].uri, %mode, "connected to the control plane");
        let since = Instant::now();
        let status = &mut self.shared.servers()[index];
        status.connection = Connection::Connected { mode, since };
        status.streams += 1;
        status.responses
    }

    fn ended(&mut self, index: usize, reason: String) {
        tracing::info!(
            server = self.addresses[index].uri,
            reason,
            "the control plane's stream has ended"
        );
        self.servers.ended(index, Instant::now(), dice());
        self.show_end(index, reason);
    }

    fn failed(&mut self, index: usize, reason: String) {
        tracing::warn!(
            server = self.addresses[index].uri,
            reason,
            "the control plane cannot be reached"
        );
        self.show_failure(index, reason);
    }

    /// The server is there, and serves others: what we show it, or what we say of ourselves, is not good.
    fn denied(&mut self, index: usize, reason: String) {
        tracing::warn!(
            server = self.addresses[index].uri,
            reason,
            "the control plane does not serve this node"
        );
        self.show_failure(index, reason);
    }

    fn show_failure(&mut self, index: usize, reason: String) {
        self.servers.failed(index, Instant::now(), dice());
        self.shared.servers()[index].failures += 1;
        self.show_end(index, reason);
    }

    fn show_end(&self, index: usize, reason: String) {
        let status = &mut self.shared.servers()[index];
        status.connection = Connection::Idle;
        status.last_end = Some(Ended {
            when: Instant::now(),
            reason,
        });
    }
}

/// Chance, for pauses: the keys of the standard library's hash maps differ each time.
fn dice() -> u64 {
    RandomState::new().hash_one(Instant::now())
}
