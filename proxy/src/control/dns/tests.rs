//! Names are asked for when they are due, and changes of their addresses are told.

use super::{Lookup, Names};
use crate::balance::Dice;
use crate::snapshot::{Compiler, Discovery};
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::cluster::{
    Answers, Discovery as Source, Dns, FailureBackoff, Host, LookupFamily, RESOLVED, Timing,
};
use evenkeel_control_api::resource::endpoint::{Endpoint, HealthStatus, Policy};
use evenkeel_control_api::resource::{Cluster, ClusterLoadAssignment, Kind, Resource, Update};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What names lead to.
#[derive(Clone, Default)]
struct World(Arc<Mutex<HashMap<String, Name>>>);

#[derive(Default)]
struct Name {
    addresses: Vec<IpAddr>,
    asked: u32,
}

impl World {
    fn say(&self, name: &str, addresses: &str) {
        let addresses = addresses.split_whitespace().map(|ip| ip.parse().unwrap()).collect();
        self.0.lock().unwrap().entry(name.to_owned()).or_default().addresses = addresses;
    }

    fn asked(&self, name: &str) -> u32 {
        self.0.lock().unwrap().get(name).map_or(0, |name| name.asked)
    }

    fn lookup(&self) -> Lookup {
        let world = self.clone();
        Box::new(move |name| {
            let mut names = world.0.lock().unwrap();
            let name = names.entry(name.to_string()).or_default();
            name.asked += 1;
            let found = name.addresses.clone();
            Box::pin(async move {
                if found.is_empty() {
                    return Err(io::Error::other("no such name"));
                }
                Ok(found)
            })
        })
    }

    fn names(&self) -> Names {
        Names::new(self.lookup(), Dice::seeded(1))
    }
}

fn cluster(name: &str, answers: Answers, hosts: &[&str]) -> Cluster {
    let resources = mesh::load("").unwrap().resources;
    let any = resources.clusters.into_iter().next().unwrap();
    let endpoint = |host: &&str| Endpoint {
        address: Host {
            name: Arc::from(*host),
            port: 80,
        },
        weight: NonZeroU32::MIN,
        health: HealthStatus::Healthy,
        place: Arc::default(),
    };
    let dns = Dns {
        assignment: format!("{RESOLVED}{name}"),
        answers,
        family: LookupFamily::All,
        timing: Timing {
            refresh: Duration::from_secs(5),
            jitter: Duration::ZERO,
            failure: Some(FailureBackoff {
                first: Duration::from_secs(1),
                most: Duration::from_secs(4),
            }),
        },
        hosts: ClusterLoadAssignment {
            cluster: name.to_owned(),
            endpoints: hosts.iter().map(endpoint).collect(),
            policy: Policy::default(),
        },
    };
    Cluster {
        name: name.to_owned(),
        discovery: Source::Dns(Arc::new(dns)),
        ..any
    }
}

fn set(cluster: Cluster) -> Update {
    Update {
        set: vec![Resource::Cluster(Arc::new(cluster))],
        removed: Vec::new(),
    }
}

fn strict(hosts: &[&str]) -> Update {
    set(cluster("web", Answers::Every, hosts))
}

/// The addresses that an update holds, and no more than that.
fn told(update: &Update) -> Vec<String> {
    let [Resource::Assignment(assignment)] = update.set.as_slice() else {
        panic!("{update:?}")
    };
    assert_eq!(assignment.cluster, "dns|web");
    let addresses = assignment.endpoints.iter().map(|endpoint| endpoint.address.to_string());
    addresses.collect()
}

/// Lets the names do what they do for so long; nothing must change meanwhile.
async fn quiet(names: &mut Names, seconds: u64) {
    let changed = timeout(Duration::from_secs(seconds), names.changed()).await;
    assert!(changed.is_err(), "{changed:?}");
}

#[tokio::test(start_paused = true)]
async fn every_name_is_asked_for_at_once_and_told_together() {
    let world = World::default();
    world.say("one", "10.0.0.2 10.0.0.1");
    world.say("two", "fd00::1");
    let mut names = world.names();
    let began = Instant::now();
    names.watch(&strict(&["one", "two"]));
    assert_eq!(
        told(&names.changed().await),
        ["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"]
    );
    assert_eq!(began.elapsed(), Duration::ZERO);
    quiet(&mut names, 11).await;
    assert_eq!(world.asked("one"), 3, "at 0, 5 and 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_at_the_next_refresh_and_another_order_is_none() {
    let world = World::default();
    world.say("one", "10.0.0.1 10.0.0.2");
    let mut names = world.names();
    names.watch(&strict(&["one"]));
    names.changed().await;
    world.say("one", "10.0.0.2 10.0.0.1");
    quiet(&mut names, 7).await;
    world.say("one", "10.0.0.3");
    assert_eq!(told(&names.changed().await), ["10.0.0.3:80"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_addresses_stay_and_failures_back_off() {
    let world = World::default();
    world.say("one", "10.0.0.1");
    world.say("two", "10.0.0.2");
    let mut names = world.names();
    names.watch(&strict(&["one", "two"]));
    names.changed().await;
    world.say("one", "");
    quiet(&mut names, 60).await;
    // Pauses of up to 1, 2, and then 4 s, half of each by chance.
    let asked = world.asked("one");
    assert!((15..=31).contains(&asked), "{asked}");
    assert_eq!(world.asked("two"), 13, "each 5 s");
    world.say("one", "10.0.0.9");
    assert_eq!(told(&names.changed().await), ["10.0.0.9:80", "10.0.0.2:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_cannot_be_resolved_does_not_keep_the_others_back() {
    let world = World::default();
    world.say("two", "10.0.0.2");
    let mut names = world.names();
    names.watch(&strict(&["one", "two"]));
    assert_eq!(told(&names.changed().await), ["10.0.0.2:80"]);
}

#[tokio::test(start_paused = true)]
async fn other_names_take_over_when_they_are_known_and_not_before() {
    let world = World::default();
    world.say("one", "10.0.0.1");
    world.say("two", "10.0.0.2");
    world.say("three", "10.0.0.3");
    let mut names = world.names();
    names.watch(&strict(&["one", "two"]));
    names.changed().await;
    names.watch(&strict(&["two", "three"]));
    assert!(names.untold.is_empty(), "nothing is taken away yet");
    assert_eq!(told(&names.changed().await), ["10.0.0.2:80", "10.0.0.3:80"]);
    // The same again is no change.
    let before = world.asked("two");
    names.watch(&strict(&["two", "three"]));
    quiet(&mut names, 1).await;
    assert_eq!(world.asked("two"), before);
    assert_eq!(world.asked("one"), 1, "nobody asks for it any more");
}

#[tokio::test(start_paused = true)]
async fn of_a_logical_name_the_first_address_is_told() {
    let world = World::default();
    world.say("one", "10.0.0.2 10.0.0.1");
    let mut names = world.names();
    names.watch(&set(cluster("web", Answers::First, &["one"])));
    assert_eq!(told(&names.changed().await), ["10.0.0.2:80"]);
    world.say("one", "10.0.0.1 10.0.0.2");
    assert_eq!(told(&names.changed().await), ["10.0.0.1:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_gone_takes_its_assignment_along_and_is_asked_for_no_more() {
    let world = World::default();
    world.say("one", "10.0.0.1");
    let mut names = world.names();
    names.watch(&strict(&["one"]));
    names.changed().await;
    names.watch(&Update {
        set: Vec::new(),
        removed: vec![(Kind::Cluster, Arc::from("web"))],
    });
    let update = names.changed().await;
    assert_eq!(update.removed, [(Kind::Assignment, Arc::from("dns|web"))]);
    quiet(&mut names, 60).await;
    assert_eq!(world.asked("one"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_names_are_all_asked_for() {
    let world = World::default();
    let hosts: Vec<String> = (0..1_000).map(|number| format!("host{number}")).collect();
    for (number, host) in hosts.iter().enumerate() {
        world.say(host, &format!("10.0.{}.{}", number / 250, number % 250));
    }
    let mut names = world.names();
    names.watch(&strict(&hosts.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(told(&names.changed().await).len(), 1_000);
}

#[tokio::test]
async fn the_system_knows_the_names_of_its_hosts_file_and_the_snapshot_has_the_endpoints() {
    let update = strict(&["localhost"]);
    let (mut names, mut compiler) = (Names::of_system(Dice::seeded(1)), Compiler::default());
    compiler.apply(&update);
    names.watch(&update);
    compiler.apply(&names.changed().await);
    let snapshot = compiler.snapshot(1);
    let (_, cluster) = snapshot.clusters().next().unwrap();
    let Discovery::Endpoints(assignment) = &cluster.discovery else {
        panic!("{cluster:?}")
    };
    assert!(!assignment.endpoints.is_empty());
    for endpoint in &assignment.endpoints {
        assert!(endpoint.address.ip().is_loopback() && endpoint.address.port() == 80);
    }
}
