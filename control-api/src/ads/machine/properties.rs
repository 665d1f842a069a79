//! Whatever happens, and in whichever order: both protocols say nothing wrong, and end with the same.

use super::model::Extent;
use super::model::Server;
use super::*;
use crate::ads::intake;
use crate::ads::message::Response;
use crate::ads::resources::assignment;
use crate::ads::resources::bad_cluster;
use crate::ads::resources::cluster;
use crate::ads::resources::http_listener;
use crate::ads::resources::routes;
use crate::ads::resources::tcp_listener;
use crate::resource::Catalog;
use crate::resource::cluster::Discovery;
use envoy_types::pb::google::protobuf::Any;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

/// How many names each type has.
const NAMES: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// The server has another version.
    Set(Kind, usize, usize),
    /// The server has a version that cannot be used.
    Spoil(Kind, usize),
    /// The server has it no more.
    Remove(Kind, usize),
    /// The server sends what it has to say of a type.
    Push(Kind),
    /// So many requests arrive.
    Requests(usize),
    /// So many responses arrive.
    Responses(usize),
    /// The application needs a listener.
    Want(usize),
    /// The application needs it no more.
    Forget(usize),
    /// Seconds pass.
    Wait(u64),
    /// The stream ends, with what is on its way, and another one begins.
    Reconnect,
}

fn name(kind: Kind, index: usize) -> String {
    format!("{}{index}", kind.label())
}

fn resource(kind: Kind, index: usize, variant: usize) -> Any {
    let own = name(kind, index);
    match kind {
        Kind::Cluster => cluster(&own, &name(Kind::Assignment, variant)),
        Kind::Assignment => assignment(&own, 1000 + variant as u16),
        Kind::Listener if variant.is_multiple_of(2) => tcp_listener(&own, &name(Kind::Cluster, variant / 2)),
        Kind::Listener => http_listener(&own, &name(Kind::Route, variant / 2)),
        Kind::Route => routes(&own, &name(Kind::Cluster, variant)),
    }
}

/// Its name can be read, and the rest cannot be used.
fn spoilt(kind: Kind, index: usize) -> Any {
    if kind == Kind::Cluster {
        return bad_cluster(&name(kind, index));
    }
    let mut any = resource(kind, index, 0);
    any.value.extend([0xf8, 0x7f, 1]);
    any
}

struct Run {
    machine: Machine,
    server: Server,
    mode: Mode,
    now: Instant,
    on_the_way: VecDeque<Response>,
    catalog: Catalog,
}

impl Run {
    fn new((mode, extent): (Mode, Extent), listeners: &Listeners, clusters: Clusters, now: Instant) -> Self {
        let mut machine = Machine::new(listeners, clusters, 100, now);
        machine.connected(mode, Versions::Shared);
        Self {
            machine,
            server: Server::new(mode, extent),
            mode,
            now,
            on_the_way: VecDeque::new(),
            catalog: Catalog::default(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Set(kind, index, variant) => {
                self.server
                    .set(kind, &name(kind, index), resource(kind, index, variant));
            }
            Step::Spoil(kind, index) => self.server.set(kind, &name(kind, index), spoilt(kind, index)),
            Step::Remove(kind, index) => self.server.remove(kind, &name(kind, index)),
            Step::Push(kind) => self.on_the_way.extend(self.server.push(kind)),
            Step::Requests(count) => {
                for _ in 0..count {
                    self.request();
                }
            }
            Step::Responses(count) => {
                for _ in 0..count {
                    self.response();
                }
            }
            Step::Want(index) => {
                let name = name(Kind::Listener, index);
                self.machine.want_listener(&name.as_str().into(), self.now);
            }
            Step::Forget(index) => {
                let name = name(Kind::Listener, index);
                self.machine.forget_listener(&name.as_str().into(), self.now);
            }
            Step::Wait(seconds) => self.wait(seconds),
            Step::Reconnect => {
                self.on_the_way.clear();
                self.server.reconnect();
                self.machine.disconnected(self.now);
                self.machine.connected(self.mode, Versions::Shared);
            }
        }
        self.check();
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.machine.tick(self.now);
    }

    fn request(&mut self) -> bool {
        assert_eq!(
            self.machine.has_request(),
            self.machine.clone().next_request(self.now).is_some()
        );
        let request = self.machine.next_request(self.now);
        if let Some(request) = &request {
            self.server.request(request);
        }
        request.is_some()
    }

    fn response(&mut self) -> bool {
        let Some(response) = self.on_the_way.pop_front() else {
            return false;
        };
        let kind = response.kind().expect("a type of ours");
        let examine = |wrapped| {
            let known = |name: &str| self.machine.store().fingerprint(kind, name);
            intake::examine(kind, wrapped, 1 << 20, known)
        };
        let delivery = Delivery {
            mode: self.mode,
            kind,
            source: Text::default(),
            version: response.version,
            nonce: response.nonce,
            resources: response.resources.into_iter().map(examine).collect(),
            removed: response.removed,
        };
        let version = Text::clone(&delivery.version);
        if self.machine.receive(delivery, self.now).refusal.is_none() {
            self.server.accepted(kind, &version);
        }
        true
    }

    /// Takes what has changed, and looks whether it hangs together.
    fn check(&mut self) {
        if let Some(change) = self.machine.take_change() {
            assert!(change.answers.values().all(|answer| *answer != Answer::Pending));
            self.catalog.apply(&change.update);
            for (listener, answer) in &change.answers {
                let found = self.catalog.listeners.contains_key(listener);
                assert_eq!(found, *answer == Answer::Found, "{listener}: {answer:?}");
            }
        }
        for cluster in self.catalog.clusters.values() {
            if let Discovery::Eds(name) = &cluster.discovery {
                let missing = self.machine.store().resource(Kind::Assignment, name).is_none();
                assert!(
                    missing || self.catalog.assignments.contains_key(name.as_str()),
                    "{name} of {cluster:?}"
                );
            }
        }
        let used = |name: &str| {
            self.catalog
                .clusters
                .values()
                .any(|one| one.discovery == Discovery::Eds(name.to_owned()))
        };
        assert!(
            self.catalog.assignments.keys().all(|name| used(name)),
            "endpoints of nothing"
        );
    }

    /// Lets everything be said that there is to say.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            while self.request() {
                moved = true;
            }
            for kind in Kind::ALL {
                self.on_the_way.extend(self.server.push(kind));
            }
            while self.response() {
                moved = true;
            }
            self.check();
            if !moved {
                break;
            }
        }
        self.server.assert_answered();
    }

    /// In the end everything that is left can be used, and endpoints and routes are there. (Of those that are removed the
    /// last good version stays, and which that is depends on what was on its way.)
    fn end(mut self) -> Self {
        for kind in Kind::ALL {
            for index in 0..NAMES {
                let own = name(kind, index);
                let stays = matches!(kind, Kind::Assignment | Kind::Route);
                if stays || self.server.world[kind].contains_key(&own) {
                    self.server.set(kind, &own, resource(kind, index, index));
                }
            }
        }
        self.settle();
        for _ in 0..4 {
            // Who does not exist is waited for; who was removed lingers.
            self.wait(16);
            self.settle();
        }
        self
    }

    fn assert_complete(&self, wanted: &BTreeSet<usize>, wildcard: bool) {
        let there = |kind, index| self.server.world[kind].contains_key(&name(kind, index));
        let expected: Vec<_> = (0..NAMES)
            .filter(|index| (wildcard || wanted.contains(index)) && there(Kind::Listener, *index))
            .map(|index| name(Kind::Listener, index))
            .collect();
        let live: Vec<_> = self.catalog.listeners.keys().map(ToString::to_string).collect();
        assert_eq!(live, expected);
        assert!(self.machine.is_ready());
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (kind(), 0..NAMES, 0..NAMES).prop_map(|(kind, index, variant)| Step::Set(kind, index, variant)),
        1 => (kind(), 0..NAMES).prop_map(|(kind, index)| Step::Spoil(kind, index)),
        2 => (kind(), 0..NAMES).prop_map(|(kind, index)| Step::Remove(kind, index)),
        6 => kind().prop_map(Step::Push),
        6 => (1_usize..4).prop_map(Step::Requests),
        6 => (1_usize..4).prop_map(Step::Responses),
        3 => (0..NAMES).prop_map(Step::Want),
        1 => (0..NAMES).prop_map(Step::Forget),
        1 => (0_u64..20).prop_map(Step::Wait),
        1 => Just(Step::Reconnect),
    ]
}

fn wanted(steps: &[Step]) -> BTreeSet<usize> {
    steps.iter().fold(BTreeSet::new(), |mut wanted, step| {
        match step {
            Step::Want(index) => drop(wanted.insert(*index)),
            Step::Forget(index) => drop(wanted.remove(index)),
            _ => {}
        }
        wanted
    })
}

fn both_agree(steps: &[Step], listeners: &Listeners, clusters: Clusters) {
    let now = Instant::now();
    let ways = [
        (Mode::Delta, Extent::Changes),
        (Mode::Sotw, Extent::All),
        (Mode::Sotw, Extent::Changes),
    ];
    let ends = ways.map(|way| {
        let mut run = Run::new(way, listeners, clusters, now);
        for step in steps {
            run.step(step);
        }
        let run = run.end();
        run.assert_complete(&wanted(steps), *listeners == Listeners::Wildcard);
        run
    });
    let [delta, rest @ ..] = &ends;
    for sotw in rest {
        assert_eq!(delta.catalog, sotw.catalog);
        for kind in Kind::ALL {
            let contents = |run: &Run| {
                let entries = run.machine.store().table(kind).entries();
                let good =
                    entries.filter_map(|(name, entry)| Some((name.clone(), entry.resource()?.clone(), entry.state())));
                good.collect::<Vec<_>>()
            };
            assert_eq!(contents(delta), contents(sotw), "{kind}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn both_protocols_end_with_the_same_when_everything_is_wanted(steps in vec(step(), 0..80)) {
        both_agree(&steps, &Listeners::Wildcard, Clusters::Wildcard);
    }

    #[test]
    fn both_protocols_end_with_the_same_on_demand(steps in vec(step(), 0..80)) {
        both_agree(&steps, &Listeners::Named(Vec::new()), Clusters::Referenced);
    }
}

/// A list that gives endpoints up crosses a response, and is dropped by the server; the answer to that response already wants
/// them again, so that for the server nothing has happened.
#[test]
fn endpoints_that_a_lost_list_gave_up_are_there_when_they_are_wanted_again() {
    let listeners = Listeners::Named(Vec::new());
    let mut run = Run::new(
        (Mode::Sotw, Extent::Changes),
        &listeners,
        Clusters::Referenced,
        Instant::now(),
    );
    for index in [0, 1] {
        for (kind, variant) in [
            (Kind::Listener, 2 * index),
            (Kind::Cluster, index),
            (Kind::Assignment, 0),
        ] {
            run.step(&Step::Set(kind, index, variant));
        }
        run.step(&Step::Want(index));
    }
    run.settle();
    let crossing = [
        Step::Set(Kind::Assignment, 1, 1),
        Step::Push(Kind::Assignment),
        Step::Forget(0),
        Step::Requests(9),
    ];
    let meanwhile = [
        Step::Want(0),
        Step::Requests(9),
        Step::Push(Kind::Listener),
        Step::Responses(2),
        Step::Requests(1),
        Step::Push(Kind::Cluster),
        Step::Responses(1),
    ];
    let endpoints = name(Kind::Assignment, 0);
    for step in &crossing {
        run.step(step);
    }
    assert!(!run.machine.names(Kind::Assignment).is_asked(&endpoints));
    for step in &meanwhile {
        run.step(step);
    }
    assert!(run.machine.names(Kind::Assignment).is_asked(&endpoints));
    run.settle();
    assert!(
        run.catalog.assignments.contains_key(endpoints.as_str()),
        "they are waited for"
    );
    assert!(run.catalog.listeners.contains_key(name(Kind::Listener, 0).as_str()));
}
