//! The cluster as a source: every event goes into the world, and what it touches is translated and told. Endpoints are told at
//! once; a configuration, which is often several objects changed one after the other, a moment later.

use super::key::Key;
use super::kind::{Kind, Need};
use super::translate;
use super::verdict::Board;
use super::watch::{self, Watches};
use super::world::{Event, Touched, World};
use crate::source::EndpointSource;
use crate::views::{Changes, Served, Views};
use kube::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How long a change of a configuration waits for others.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How long kinds that come with a CRD are waited for at the start, once everything else is known. An API server may fail to list
/// one of them for ever (its conversion webhook is broken), and there must be a mesh all the same. Longer than the longest pause between attempts.
const PATIENCE: Duration = Duration::from_secs(20);
/// Events on the way; a watch waits when there are more.
const EVENTS: usize = 1_024;

/// What is known of a cluster. Cloning one makes another handle.
#[derive(Clone, Debug)]
pub struct Cluster {
    domain: Arc<str>,
    world: Arc<Mutex<World>>,
    watches: Arc<Watches>,
    board: Arc<Board>,
    complete: tokio::sync::watch::Sender<bool>,
    without: tokio::sync::watch::Sender<BTreeSet<Kind>>,
}

/// The source: a cluster, and who asks its API server.
pub struct Watched {
    cluster: Cluster,
    client: Client,
}

/// What is to be told, and since when.
#[derive(Debug, Default)]
struct Due {
    services: BTreeSet<Key>,
    since: Option<Instant>,
}

impl Cluster {
    /// One of which nothing is known yet. `domain` is that of its DNS, such as `cluster.local`.
    pub fn new(domain: &str) -> Self {
        Self {
            domain: domain.into(),
            world: Arc::default(),
            watches: Arc::default(),
            board: Arc::default(),
            complete: tokio::sync::watch::Sender::new(false),
            without: tokio::sync::watch::Sender::default(),
        }
    }

    /// The source that keeps it up to date.
    pub fn watched(&self, client: Client) -> Watched {
        Watched {
            cluster: self.clone(),
            client,
        }
    }

    /// All objects, as of this moment. Not to be held: the source waits for it.
    pub fn world(&self) -> MutexGuard<'_, World> {
        // Each change is whole before the next begins.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How its watches are doing.
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// What is to be told of its objects.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Becomes true when everything there is has been listed and told, and stays so.
    pub fn complete(&self) -> tokio::sync::watch::Receiver<bool> {
        self.complete.subscribe()
    }

    /// Kinds that could not be listed in time at the start, and are served without until they can be.
    pub fn without(&self) -> tokio::sync::watch::Receiver<BTreeSet<Kind>> {
        self.without.subscribe()
    }

    /// Takes note of kinds that are known now.
    fn have(&self, events: &[Event]) {
        for event in events {
            if let Event::Listed(kind, _) | Event::Unavailable(kind) = event
                && self.without.send_if_modified(|without| without.remove(kind))
            {
                tracing::info!(%kind, "a kind that was served without is known now");
            }
        }
    }

    /// Takes events in; what is to be translated anew.
    fn take(&self, events: &mut Vec<Event>) -> Touched {
        self.have(events);
        let mut world = self.world();
        let mut touched = Touched::default();
        for event in events.drain(..) {
            touched.join(world.apply(event));
        }
        for subject in &touched.faults {
            let faults = world.faults(subject);
            for fault in &faults {
                let (kind, object) = (subject.kind, &subject.key);
                tracing::warn!(%kind, %object, fault = fault.message, "an object is not as it should be");
            }
            self.board.post((subject.clone(), subject.key.clone()), faults);
        }
        touched
    }

    /// Translates services, and tells what became of them.
    fn tell(&self, views: &Views, services: &BTreeSet<Key>, since: Instant) {
        let translated = {
            let world = self.world();
            let translate = |key: &Key| {
                let (served, found): (Option<Served>, _) = translate::service(&world, key, &self.domain);
                self.board.replace(key, found);
                (translate::name(key, &self.domain), served)
            };
            services.iter().map(translate).collect::<BTreeMap<_, _>>()
        };
        views.apply(Changes {
            services: translated,
            pod: None,
            since,
        });
    }
}

impl EndpointSource for Watched {
    async fn run(self, views: Arc<Views>) {
        let Self { cluster, client } = self;
        let (sender, mut seen) = mpsc::channel(EVENTS);
        // They end with this.
        let _watches = watch::begin(&client, &cluster.watches, &sender);
        drop(sender);
        cluster.begin(&views, &mut seen).await;
        cluster.follow(&views, &mut seen).await;
    }
}

impl Cluster {
    /// Takes the first lists in, and tells them as one: a part of a cluster would be told as services that are gone.
    async fn begin(&self, views: &Views, seen: &mut mpsc::Receiver<Event>) {
        let since = Instant::now();
        let mut waiting: BTreeSet<Kind> = Kind::ALL.into_iter().collect();
        let mut events = Vec::with_capacity(EVENTS);
        let mut patience = None;
        while !waiting.is_empty() {
            let needed = waiting.iter().any(|kind| kind.need() == Need::Always);
            if !needed {
                patience.get_or_insert_with(|| Instant::now() + PATIENCE);
            }
            tokio::select! {
                count = seen.recv_many(&mut events, EVENTS) => if count == 0 {
                    return;
                },
                () = sleep_until(patience.unwrap_or(since)), if patience.is_some() => {
                    self.do_without(waiting);
                    break;
                }
            }
            for event in &events {
                match event {
                    Event::Listed(kind, _) => waiting.remove(kind),
                    Event::Unavailable(kind) if kind.need() == Need::IfInstalled => waiting.remove(kind),
                    _ => false,
                };
            }
            self.take(&mut events);
        }
        let all = self.world().services();
        self.tell(views, &all, since);
        let (took, counts) = (since.elapsed(), views.counts());
        tracing::info!(
            ?took,
            services = counts.services,
            endpoints = counts.endpoints,
            "the cluster is known"
        );
        self.complete.send_replace(true);
    }

    /// Says aloud what is missing.
    fn do_without(&self, kinds: BTreeSet<Kind>) {
        let status = self.watches.status();
        for kind in &kinds {
            let condition = status.get(kind).map(|status| &status.condition);
            tracing::error!(
                %kind, ?condition,
                "a kind cannot be listed: the mesh is served without it until it can be"
            );
        }
        self.without.send_replace(kinds);
    }

    async fn follow(&self, views: &Views, seen: &mut mpsc::Receiver<Event>) {
        let mut events = Vec::with_capacity(EVENTS);
        let mut due = Due::default();
        loop {
            let wait = due.since.map(|since| since + DEBOUNCE);
            tokio::select! {
                count = seen.recv_many(&mut events, EVENTS) => {
                    if count == 0 {
                        return;
                    }
                    let now = Instant::now();
                    let touched = self.take(&mut events);
                    if !touched.endpoints.is_empty() {
                        self.tell(views, &touched.endpoints, now);
                    }
                    due.add(touched.configuration, now);
                }
                () = sleep_until(wait.unwrap_or_else(Instant::now)), if wait.is_some() => {
                    let Due { services, since } = std::mem::take(&mut due);
                    self.tell(views, &services, since.unwrap_or_else(Instant::now));
                }
            }
        }
    }
}

impl Due {
    fn add(&mut self, services: BTreeSet<Key>, now: Instant) {
        if !services.is_empty() {
            self.services.extend(services);
            self.since.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::objects::{self, Kept, Object};
    use crate::views::Class;
    use evenkeel_control_api::mesh::Reader;
    use evenkeel_control_api::resource;
    use serde_json::{Value, from_value, json};
    use tokio::time::advance;

    fn applied(kind: Kind, name: &str, object: Option<Object>) -> Event {
        let kept = Kept {
            uid: String::new(),
            generation: None,
            object,
            faults: Vec::new(),
        };
        Event::Applied(kind, Key::new("shop", name), kept)
    }

    fn service(name: &str, vip: &str) -> Event {
        let metadata = json!({"name": name, "namespace": "shop"});
        let service: Value = json!({"metadata": metadata, "spec": {"clusterIPs": [vip], "ports": [{"port": 80}]}});
        let service = objects::service::keep(from_value(service).unwrap(), &mut Vec::new());
        applied(Kind::Service, name, Some(service))
    }

    fn slice(service: &str, address: &str) -> Event {
        let labels = json!({"kubernetes.io/service-name": service});
        let metadata = json!({"name": service, "namespace": "shop", "labels": labels});
        let mut slice = json!({"metadata": metadata, "addressType": "IPv4", "ports": [{"port": 8080}]});
        slice["endpoints"] = json!([{"addresses": [address]}]);
        let slice = objects::endpoint_slice::keep(from_value(slice).unwrap(), &mut Vec::new());
        applied(Kind::EndpointSlice, service, slice)
    }

    #[tokio::test(start_paused = true)]
    async fn endpoints_are_told_at_once_and_what_is_configured_together_a_moment_later() {
        let (cluster, views) = (Cluster::new("cluster.local"), Views::default());
        let mut view = views.subscribe(&Class {
            reader: Reader::Other,
            zone: None,
            pod: None,
        });
        let (sender, mut seen) = mpsc::channel(EVENTS);
        let began = Instant::now();
        let script = async {
            sender.send(service("web", "10.96.0.1")).await.unwrap();
            view.changed().await.unwrap();
            assert_eq!(began.elapsed(), DEBOUNCE);
            view.mark_unchanged();

            let began = Instant::now();
            sender.send(service("web", "10.96.0.2")).await.unwrap();
            sender.send(slice("web", "10.1.0.1")).await.unwrap();
            view.changed().await.unwrap();
            assert_eq!(began.elapsed(), Duration::ZERO);
            assert_eq!(views.counts().endpoints, 1);
            view.mark_unchanged();

            advance(DEBOUNCE / 2).await;
            sender.send(service("db", "10.96.0.3")).await.unwrap();
            view.changed().await.unwrap();
            assert_eq!(began.elapsed(), DEBOUNCE);
            for listener in ["10.96.0.2:80", "10.96.0.3:80"] {
                let told = view.borrow_and_update().version(resource::Kind::Listener, listener);
                assert!(told.is_some(), "{listener}");
            }
            // They were told as one, and nothing is left to be told.
            drop(sender);
        };
        tokio::join!(cluster.follow(&views, &mut seen), script);
        assert!(!view.has_changed().unwrap());
        assert_eq!(views.counts().latencies.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_cannot_be_listed_is_waited_for_and_then_done_without() {
        let (cluster, views) = (Cluster::new("cluster.local"), Views::default());
        let (sender, mut seen) = mpsc::channel(EVENTS);
        let listed = |kind| Event::Listed(kind, std::collections::HashSet::new());
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::TlsRoute) {
            sender.send(listed(kind)).await.unwrap();
        }
        let began = Instant::now();
        cluster.begin(&views, &mut seen).await;
        assert_eq!(began.elapsed(), PATIENCE);
        assert!(*cluster.complete().borrow());
        assert_eq!(*cluster.without().borrow(), BTreeSet::from([Kind::TlsRoute]));
        cluster.take(&mut vec![listed(Kind::TlsRoute)]);
        assert_eq!(*cluster.without().borrow(), BTreeSet::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_every_cluster_has_is_waited_for_as_long_as_it_takes() {
        let (cluster, views) = (Cluster::new("cluster.local"), Views::default());
        let (sender, mut seen) = mpsc::channel(EVENTS);
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Node) {
            sender
                .send(Event::Listed(kind, std::collections::HashSet::new()))
                .await
                .unwrap();
        }
        let begun = tokio::time::timeout(PATIENCE * 100, cluster.begin(&views, &mut seen)).await;
        assert!(begun.is_err() && !*cluster.complete().borrow());
    }

    #[test]
    fn a_configuration_waits_from_its_first_change_on_and_no_longer() {
        let (now, mut due) = (Instant::now(), Due::default());
        due.add(BTreeSet::new(), now);
        assert_eq!(due.since, None);
        due.add(BTreeSet::from([Key::new("shop", "web")]), now);
        due.add(BTreeSet::from([Key::new("shop", "db")]), now + DEBOUNCE);
        assert_eq!((due.since, due.services.len()), (Some(now), 2));
    }
}
