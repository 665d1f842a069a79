//! A control plane as the source of configurations: what it says is put in force, what workers ask for is asked of it.

use super::demand::{Demand, Step, Usage};
use super::dns::Names;
use super::publisher::Publisher;
use super::source::Source;
use super::status::Status;
use crate::balance::Dice;
use crate::snapshot::{self, Snapshot};
use evenkeel_control_api::ads::bootstrap::{Bootstrap, FILE_VARIABLE, Node, TEXT_VARIABLE};
use evenkeel_control_api::ads::{self, Answer, Change, Client, Clusters, Listeners, Mode, Options, Subscriptions};
use evenkeel_control_api::mesh::settings::{ControlPlane, ControlPlaneAt, Scope, Startup};
use evenkeel_control_api::resource::Update;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

/// The listeners that a proxy needs before it is ready when it asks on demand: the ones that take connections over.
const ORDINARY: [&str; 2] = ["outbound", "inbound"];
/// How often what nobody uses is looked for.
const EXPIRE: Duration = Duration::from_secs(5);
/// Updates are put in force so far apart at least, so that a storm of them costs what this many a second cost.
const PACE: Duration = Duration::from_millis(20);

/// A control plane that is followed.
pub struct Plane {
    client: Client,
    subscriptions: Subscriptions,
    publisher: Publisher,
    demand: Option<Demand>,
    /// Endpoints that are named instead of addressed.
    names: Names,
    /// What stands in when the first configuration is late, and from when.
    stand_in: Option<(Instant, Arc<Snapshot>)>,
    told: mpsc::UnboundedReceiver<Usage>,
}

impl Plane {
    /// Begins to connect. What stands in until there is a configuration comes from the document; what workers use, by
    /// `told`. Needs a tokio runtime.
    ///
    /// # Errors
    /// Why there is no bootstrap, for people.
    pub fn open(
        settings: &ControlPlane,
        document: &Source,
        told: mpsc::UnboundedReceiver<Usage>,
    ) -> Result<Self, String> {
        let (demand, listeners, clusters) = match &settings.scope {
            Scope::Everything => (None, Listeners::Wildcard, Clusters::Wildcard),
            Scope::OnDemand(on_demand) => {
                let ordinary = ORDINARY.map(str::to_owned).to_vec();
                (
                    Some(Demand::new(on_demand)),
                    Listeners::Named(ordinary),
                    Clusters::Referenced,
                )
            }
        };
        let options = Options {
            listeners,
            clusters,
            mode: if settings.delta { Mode::Delta } else { Mode::Sotw },
            ..Options::default()
        };
        let client = Client::start(bootstrap(&settings.at, |name| env::var(name).ok())?, options);
        Ok(Self {
            subscriptions: client.subscriptions(),
            client,
            publisher: document.publisher().successor(),
            stand_in: stand_in(settings.startup, document),
            demand,
            names: Names::of_system(Dice::seeded(seed())),
            told,
        })
    }

    /// What is in force, now and from now on.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.publisher.subscribe()
    }

    /// What goes on with the control plane, for pages and metrics.
    pub fn view(&self) -> ads::Status {
        self.client.status()
    }

    /// Follows the control plane. `applied` is the newest configuration that all workers have. Never ends.
    pub async fn follow(mut self, mut applied: watch::Receiver<u64>) {
        let mut expire = interval(EXPIRE);
        expire.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ready = self.client.ready();
        let mut pace = Instant::now();
        loop {
            let (generation, waits) = (self.publisher.generation(), self.publisher.waits());
            let late = self.stand_in.as_ref().map(|(late, _)| *late).filter(|_| waits);
            tokio::select! {
                // In this order: when the first configuration is complete, it is there to be taken.
                biased;
                change = taken(&self.client, pace, generation, &mut applied) => {
                    self.put(&change);
                    // Workers wait for the first configuration, and it for nothing.
                    if !self.publisher.waits() {
                        pace = Instant::now() + PACE;
                    }
                }
                resolved = self.names.changed() => self.resolved(&resolved),
                Some(usage) = self.told.recv() => self.tell(usage),
                now = expire.tick() => self.expire(now),
                // A control plane that has nothing for this proxy is an answer, too.
                Ok(_) = ready.wait_for(|ready| *ready), if waits => {
                    let rest = timeout(Duration::ZERO, self.client.changed()).await;
                    self.put(&rest.unwrap_or_default());
                }
                () = sleep_until(late.unwrap_or(pace)), if late.is_some() => self.stand_in(),
            }
        }
    }

    fn put(&mut self, change: &Change) {
        self.names.watch(&change.update);
        for (name, answer) in &change.answers {
            if let Ok(destination) = name.parse() {
                self.publisher.answer(destination, known(*answer));
            }
        }
        for closed in &change.doors.closed {
            self.publisher.answer(*closed, Some(snapshot::Answer::Refused));
        }
        for open in &change.doors.open {
            self.publisher.answer(*open, None);
        }
        if self.is_incomplete() {
            return self.publisher.prepare(&change.update);
        }
        if self.publisher.waits() && self.publisher.generation() > 0 {
            tracing::info!("the control plane has delivered a configuration: traffic does not pass through any more");
        }
        self.publisher.publish(&change.update);
        tracing::debug!(
            generation = self.publisher.generation(),
            set = change.update.set.len(),
            removed = change.update.removed.len(),
            "what the control plane says is in force"
        );
    }

    /// Workers begin with a configuration that is complete.
    fn is_incomplete(&self) -> bool {
        self.publisher.waits() && !*self.client.ready().borrow()
    }

    fn resolved(&mut self, update: &Update) {
        if self.is_incomplete() {
            self.publisher.prepare(update);
        } else {
            self.publisher.publish(update);
        }
    }

    fn stand_in(&mut self) {
        if let Some((_, snapshot)) = self.stand_in.take() {
            tracing::warn!(
                "the control plane has delivered no configuration in time: until it does, all traffic passes through"
            );
            self.publisher.stand_in(&snapshot);
        }
    }

    fn tell(&mut self, usage: Usage) {
        let Some(demand) = &mut self.demand else { return };
        let steps = demand.told(usage, Instant::now());
        self.step(steps);
    }

    fn expire(&mut self, now: Instant) {
        let Some(demand) = &mut self.demand else { return };
        let steps = demand.expire(now);
        self.step(steps);
    }

    fn step(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Want(destination) => self.subscriptions.want_listener(&destination.to_string()),
                Step::Forget(destination) => {
                    self.subscriptions.forget_listener(&destination.to_string());
                    self.publisher.answer(destination, None);
                }
            }
        }
    }
}

/// What the document says, which is that everything passes through.
fn stand_in(startup: Startup, document: &Source) -> Option<(Instant, Arc<Snapshot>)> {
    let Startup::PassThrough(wait) = startup else {
        return None;
    };
    let snapshot = document.subscribe().borrow().snapshot.clone()?;
    Some((Instant::now() + wait, snapshot))
}

/// What changed next, once workers have what changed before: while they have not, changes are joined by the client.
async fn taken(client: &Client, pace: Instant, generation: u64, applied: &mut watch::Receiver<u64>) -> Change {
    sleep_until(pace).await;
    // Without a sender the process is about to end.
    let _ = applied.wait_for(|applied| *applied >= generation).await;
    client.changed().await
}

fn known(answer: Answer) -> Option<snapshot::Answer> {
    match answer {
        Answer::Found | Answer::Pending => None,
        Answer::DoesNotExist => Some(snapshot::Answer::Nothing),
        Answer::Refused => Some(snapshot::Answer::Refused),
    }
}

fn bootstrap(at: &ControlPlaneAt, variable: impl Fn(&str) -> Option<String>) -> Result<Bootstrap, String> {
    let read = match at {
        ControlPlaneAt::Bootstrap(path) => Bootstrap::read(path),
        ControlPlaneAt::Environment => Bootstrap::from_environment(variable).ok_or_else(|| {
            format!("control_plane names no servers and no bootstrap, and neither {FILE_VARIABLE} nor {TEXT_VARIABLE} is set")
        })?,
        ControlPlaneAt::Servers { servers, id, cluster } => {
            let node = Node {
                id: id.clone().unwrap_or_else(host_name),
                cluster: cluster.clone(),
                ..Node::default()
            };
            let servers = servers.clone();
            return Ok(Bootstrap { servers, node });
        }
    };
    let (bootstrap, notes) = read.map_err(|error| error.to_string())?;
    for note in notes {
        tracing::info!("bootstrap: {}: {}", note.path, note.reason);
    }
    Ok(bootstrap)
}

fn seed() -> u64 {
    RandomState::new().hash_one(Instant::now())
}

/// The pod's name, where nobody has set another.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "evenkeel".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::mesh;

    #[test]
    fn a_proxy_without_a_name_has_its_host_s() {
        let at = ControlPlaneAt::Servers {
            servers: Vec::new(),
            id: None,
            cluster: String::new(),
        };
        let node = bootstrap(&at, |_| None).unwrap().node;
        assert!(!node.id.is_empty() && !node.id.contains('\n'));
    }

    #[test]
    fn a_document_that_names_nothing_leaves_it_to_the_environment() {
        let document = "control_plane: {subscribe: everything}\n";
        let at = mesh::load(document).unwrap().settings.control_plane.unwrap().at;
        let text = r#"{"xds_servers": [{"server_uri": "127.0.0.1:1", "channel_creds": [{"type": "insecure"}]}], "node": {"id": "me"}}"#;
        let found = bootstrap(&at, |name| (name == TEXT_VARIABLE).then(|| text.to_owned()));
        assert_eq!(found.unwrap().node.id, "me");
        let missing = bootstrap(&at, |_| None).unwrap_err();
        assert!(missing.contains("GRPC_XDS_BOOTSTRAP"), "{missing}");
    }
}
