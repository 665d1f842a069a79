//! Stories of one client, told in responses and requests.

mod conversation;
mod demand;
mod refusals;
mod warming;

use super::*;
use crate::ads::intake;
use crate::ads::message::Introduction;
use crate::ads::message::RequestBody;
use crate::ads::message::Wrapped;
use crate::ads::resources::assignment;
use crate::ads::resources::bad_cluster;
use crate::ads::resources::cluster;
use crate::ads::resources::http_listener;
use crate::ads::resources::routes;
use crate::ads::resources::tcp_listener;
use crate::ads::store::Entry;
use crate::xds::Packed;
use envoy_types::pb::google::protobuf::Any;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A client, its clock, and what it said last.
struct Client {
    machine: Machine,
    mode: Mode,
    now: Instant,
    nonce: u32,
}

impl Client {
    fn new(mode: Mode, listeners: &Listeners, clusters: Clusters) -> Self {
        let now = Instant::now();
        let mut machine = Machine::new(listeners, clusters, 1000, now);
        machine.connected(mode, Versions::Shared);
        Self {
            machine,
            mode,
            now,
            nonce: 0,
        }
    }

    fn wildcard(mode: Mode) -> Self {
        Self::new(mode, &Listeners::Wildcard, Clusters::Wildcard)
    }

    fn on_demand(mode: Mode) -> Self {
        Self::new(mode, &Listeners::Named(Vec::new()), Clusters::Referenced)
    }

    /// Everything that is to be written now, in the short form of [`told`].
    fn requests(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.machine.next_request(self.now))
            .map(|request| told(&request))
            .collect()
    }

    fn receive(&mut self, kind: Kind, resources: Vec<Any>) -> Option<String> {
        self.receive_wrapped(
            kind,
            resources
                .into_iter()
                .map(|any| wrapped(self.mode, kind, any, None))
                .collect(),
            &[],
        )
    }

    fn remove(&mut self, kind: Kind, names: &[&str]) {
        self.receive_wrapped(kind, Vec::new(), names);
    }

    /// Delivers resources, and leaves what follows from them for later.
    fn deliver(&mut self, kind: Kind, resources: Vec<Any>) {
        let resources = resources
            .into_iter()
            .map(|any| wrapped(self.mode, kind, any, None))
            .collect();
        let delivery = self.delivery(kind, resources, &[]);
        let outcome = self
            .machine
            .store
            .accept(delivery, &self.machine.interest.names[kind], self.now);
        for changed in outcome.changed {
            self.machine.candidate(changed, self.now);
        }
    }

    fn receive_wrapped(&mut self, kind: Kind, resources: Vec<Wrapped>, removed: &[&str]) -> Option<String> {
        let delivery = self.delivery(kind, resources, removed);
        self.machine.receive(delivery, self.now).refusal
    }

    fn delivery(&mut self, kind: Kind, resources: Vec<Wrapped>, removed: &[&str]) -> Delivery {
        self.nonce += 1;
        let examine = |wrapped| {
            intake::examine(kind, wrapped, 1 << 20, |name| {
                self.machine.store().fingerprint(kind, name)
            })
        };
        Delivery {
            mode: self.mode,
            kind,
            source: Text::from("control:1"),
            version: Text::from(format!("v{}", self.nonce)),
            nonce: Text::from(format!("n{}", self.nonce)),
            resources: resources.into_iter().map(examine).collect(),
            removed: removed.iter().map(|name| Text::from(*name)).collect(),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.machine.tick(self.now);
    }

    /// What has changed: `+cds/a` is set, `-cds/a` is gone.
    fn changes(&mut self) -> Vec<String> {
        let Some(Change { update, answers, doors }) = self.machine.take_change() else {
            return Vec::new();
        };
        let set = update.set.iter().map(|one| format!("+{}/{}", one.kind(), one.name()));
        let removed = update.removed.iter().map(|(kind, name)| format!("-{kind}/{name}"));
        let answers = answers.iter().map(|(name, answer)| format!("{name}={answer:?}"));
        let closed = doors.closed.iter().map(|address| format!("closed {address}"));
        let open = doors.open.iter().map(|address| format!("open {address}"));
        set.chain(removed).chain(answers).chain(closed).chain(open).collect()
    }

    fn want(&mut self, name: &str) {
        self.machine.want_listener(&name.into(), self.now);
    }

    fn forget(&mut self, name: &str) {
        self.machine.forget_listener(&name.into(), self.now);
    }

    fn state(&self, kind: Kind, name: &str) -> Option<State> {
        self.machine.store().entry(kind, name).map(Entry::state)
    }

    /// A cluster with its endpoints and a listener that leads there, all in force.
    fn with_web(mut self) -> Self {
        self.requests();
        self.receive(Kind::Cluster, vec![cluster("web", "web")]);
        self.requests();
        self.receive(Kind::Assignment, vec![assignment("web", 80)]);
        self.requests();
        self.receive(Kind::Listener, vec![tcp_listener("l", "web")]);
        self.requests();
        assert_eq!(self.changes(), ["+cds/web", "+eds/web", "+lds/l"]);
        self
    }
}

fn wrapped(mode: Mode, kind: Kind, any: Any, ttl: Option<Duration>) -> Wrapped {
    let body = Packed {
        type_url: any.type_url,
        value: any.value,
    };
    let name = match intake::examine(
        kind,
        Wrapped {
            body: Some(body.clone()),
            ..Wrapped::default()
        },
        1 << 20,
        |_| None,
    ) {
        intake::Delivered { name: Some(name), .. } => name.to_string(),
        nameless @ intake::Delivered { .. } => panic!("{nameless:?}"),
    };
    Wrapped {
        name: (mode == Mode::Delta).then_some(name),
        version: (mode == Mode::Delta).then(|| "1".to_owned()),
        ttl,
        body: Some(body),
    }
}

/// `eds +a -b ={c:1} ack n1`: subscribes, unsubscribes, initial versions, answer. State of the world: `eds [a,b] v1 ack n1`.
fn told(request: &Request) -> String {
    let kind = Kind::of_type_url(&request.type_url);
    let mut words = vec![kind.map_or_else(|| request.type_url.clone(), |kind| kind.to_string())];
    if request.node == Introduction::First {
        words.push("node".to_owned());
    }
    match &request.body {
        RequestBody::Delta {
            subscribe,
            unsubscribe,
            initial_versions,
        } => {
            words.extend(subscribe.iter().map(|name| format!("+{name}")));
            words.extend(unsubscribe.iter().map(|name| format!("-{name}")));
            words.extend(
                initial_versions
                    .iter()
                    .map(|(name, version)| format!("{name}={version}")),
            );
        }
        RequestBody::Sotw { version, names } => words.push(format!("[{}]{version}", names.join(","))),
    }
    match (&request.refusal, request.nonce.is_empty()) {
        (None, true) => {}
        (None, false) => words.push(format!("ack {}", request.nonce)),
        (Some(_), _) => words.push(format!("nack {}", request.nonce)),
    }
    words.join(" ")
}
