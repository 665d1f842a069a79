//! However a configuration came about, it is the same.

use super::{Answer, Compiler, Detection, Discovery, Handling, Snapshot, compile};
use crate::balance::Dice;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::{Catalog, Resources};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;

fn resources(text: &str) -> Resources {
    mesh::load(text)
        .unwrap_or_else(|faults| panic!("{faults}\n{text}"))
        .resources
}

/// Everything that a snapshot says, with the names of clusters instead of their places.
fn told(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for (_, cluster) in snapshot.clusters() {
        told.insert(format!("cluster {}", cluster.name), format!("{cluster:?}"));
    }
    for (address, all) in snapshot.services() {
        told.insert(format!("service {address}"), say_all(snapshot, &all));
    }
    for (address, handling) in snapshot.endpoints.iter() {
        told.insert(format!("endpoint {address}"), say(snapshot, handling));
    }
    for (port, all) in snapshot.inbound_ports() {
        told.insert(format!("inbound {port:?}"), say_all(snapshot, &all));
    }
    told.insert("unknown".to_owned(), say_all(snapshot, &snapshot.unknown()));
    told
}

fn say_all(snapshot: &Snapshot, all: &[&Arc<Handling>]) -> String {
    all.iter().map(|one| say(snapshot, one)).collect()
}

fn say(snapshot: &Snapshot, handling: &Handling) -> String {
    assert!(snapshot.knows(handling.direction, &handling.service));
    let name = |place: usize| snapshot.cluster(place).map(|cluster| &cluster.name);
    let routes = handling.http.iter().flat_map(|http| http.routes.clusters());
    let routes: Vec<_> = routes.map(name).collect();
    let tcp = handling.tcp.iter().flat_map(|tcp| tcp.clusters.places());
    let tcp: Vec<_> = tcp.map(name).collect();
    format!("{} {:?} {routes:?} {tcp:?}", handling.service, handling.detection)
}

fn below(dice: &mut Dice, sides: u64) -> usize {
    dice.below(NonZeroU64::new(sides).unwrap()) as usize
}

/// A mesh of up to five services that may share addresses of endpoints, and be headless.
fn drawn(dice: &mut Dice) -> String {
    let mut text = format!(
        "unknown: {}\ninbound:\n  ports:\n  - {{port: {}, protocol: http}}\nservices:\n",
        ["passthrough", "refuse"][below(dice, 2)],
        8080 + below(dice, 2)
    );
    let mut some = false;
    for service in 0..5 {
        if below(dice, 3) == 0 {
            continue;
        }
        some = true;
        let vips = ["[]".to_owned(), format!("[10.96.0.{service}, \"fd00::{service}\"]")];
        let _ = write!(
            text,
            "- name: web{service}\n  vips: {}\n  ports:\n  - port: 80\n",
            vips[below(dice, 2)]
        );
        let _ = writeln!(text, "    protocol: {}", ["auto", "http", "tcp"][below(dice, 3)]);
        text.push_str("    endpoints:\n");
        for _ in 0..=below(dice, 3) {
            let _ = writeln!(
                text,
                "    - {{address: \"10.0.{}.{}:80\"}}",
                service % 2,
                below(dice, 4)
            );
        }
    }
    if some { text } else { text.replace("services:\n", "") }
}

#[test]
fn a_configuration_of_many_changes_is_that_of_one() {
    let mut dice = Dice::seeded(3);
    let mut compiler = Compiler::default();
    let mut compared = 0;
    for step in 0..400 {
        let text = drawn(&mut dice);
        // Two endpoints at one address are a fault; such a mesh is not drawn to be one.
        let Ok(loaded) = mesh::load(&text) else { continue };
        let update = compiler.catalog().difference(&loaded.resources.clone().into());
        compiler.apply(&update);
        assert_eq!(
            told(&compiler.snapshot(1)),
            told(&compile(loaded.resources, 1)),
            "step {step}:\n{text}"
        );
        compared += 1;
    }
    assert!(compared > 100, "{compared} meshes were good");
}

#[test]
fn a_service_that_is_gone_is_not_known() {
    let mut compiler = Compiler::default();
    let with = resources(
        "services:\n- name: web\n  vips: [10.96.0.1]\n  ports:\n  - port: 80\n    endpoints: [{address: 10.0.0.1:80}]\n",
    );
    compiler.apply(&Catalog::default().difference(&with.into()));
    let knows = |compiler: &Compiler| {
        let direction = evenkeel_control_api::resource::listener::Direction::Outbound;
        compiler.snapshot(1).knows(direction, "web:80")
    };
    assert!(knows(&compiler));
    let update = compiler.catalog().difference(&resources("{}").into());
    compiler.apply(&update);
    assert!(!knows(&compiler));
    assert!(
        compiler
            .snapshot(1)
            .outbound("10.96.0.1:80".parse().unwrap(), None)
            .is_some_and(|target| target.pinned.is_some())
    );
}

#[test]
fn connections_to_a_service_that_names_alone_lead_into_are_looked_at() {
    for hostname in ["a.example.com", "\"*.example.com\""] {
        let document = resources(&format!(
            "services:\n- name: web\n  vips: [10.96.0.1]\n  ports:\n  - port: 80\n    protocol: tls\n    endpoints: []\n    \
             routes: {{tls: [{{hostnames: [{hostname}], backends: [{{service: web, port: 80}}]}}]}}\n"
        ));
        let snapshot = compile(document, 1);
        let target = snapshot.outbound("10.96.0.1:80".parse().unwrap(), None).unwrap();
        assert_eq!(target.handling.detection, Detection::Tls, "{hostname}");
        assert!(target.handling.tcp.is_none() && target.handling.narrows(), "{hostname}");
    }
}

#[test]
fn what_did_not_change_is_shared() {
    let document = |last: u8| {
        let mut text = "services:\n".to_owned();
        for service in 0..200 {
            let address = if service == 0 { last } else { 1 };
            let _ = write!(
                text,
                "- name: web{service}\n  vips: [10.96.0.{service}]\n  ports:\n  - port: 80\n    endpoints: [{{address: 10.0.{service}.{address}:80}}]\n",
            );
        }
        resources(&text)
    };
    let mut compiler = Compiler::default();
    compiler.apply(&Catalog::default().difference(&document(1).into()));
    let before = compiler.snapshot(1);
    let update = compiler.catalog().difference(&document(2).into());
    assert_eq!(update.set.len(), 1);
    compiler.apply(&update);
    let after = compiler.snapshot(2);
    let shared = before.clusters().zip(after.clusters());
    assert_eq!(
        shared.filter(|((_, one), (_, other))| !Arc::ptr_eq(one, other)).count(),
        1
    );
    let places = |snapshot: &Snapshot| {
        snapshot
            .clusters()
            .map(|(place, cluster)| {
                (
                    place,
                    matches!(&cluster.discovery, Discovery::Endpoints(all) if all.endpoints.len() == 1),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(places(&before), places(&after), "a cluster keeps its place");
}

#[test]
fn nothing_less_specific_takes_the_place_of_a_listener_that_was_refused() {
    let mut compiler = Compiler::default();
    let with = resources(
        "services:\n- name: web\n  vips: [10.96.0.1]\n  ports: [{port: 80, endpoints: [{address: 10.0.0.1:80}]}]\n",
    );
    compiler.apply(&Catalog::default().difference(&with.into()));
    let mut snapshot = compiler.snapshot(1);
    let at = |address: &str| address.parse::<SocketAddr>().unwrap();
    let web = snapshot.services.get(&at("10.96.0.1:80")).unwrap().clone();
    snapshot.services.insert(at("0.0.0.0:90"), web);
    let all = ["10.96.0.1:80", "10.96.0.9:80", "10.96.0.9:90", "10.96.0.8:90"];
    let passes = |snapshot: &Snapshot| all.map(|to| snapshot.outbound(at(to), None).is_some());
    assert_eq!(passes(&snapshot), [true; 4]);
    for refused in ["0.0.0.0:80", "10.96.0.9:90"] {
        snapshot.asked.insert(at(refused), Answer::Refused);
    }
    assert_eq!(passes(&snapshot), [true, false, false, true]);
    for good in ["0.0.0.0:80", "10.96.0.9:90"] {
        snapshot.asked.remove(&at(good));
    }
    assert_eq!(passes(&snapshot), [true; 4]);
}
