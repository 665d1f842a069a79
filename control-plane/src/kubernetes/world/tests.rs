use super::*;
use crate::kubernetes::objects::{Endpoint, Reach, Readiness, ServicePort};
use evenkeel_control_api::mesh::model::Family;
use evenkeel_control_api::mesh::model::Protocol;
use std::num::NonZeroU16;

fn key(name: &str) -> Key {
    Key::new("shop", name)
}

fn kept(object: Object) -> Kept {
    Kept {
        uid: "u".to_owned(),
        generation: Some(1),
        object: Some(object),
        faults: Vec::new(),
    }
}

fn unreadable(fault: &str) -> Kept {
    Kept {
        uid: "u".to_owned(),
        generation: Some(2),
        object: None,
        faults: vec![fault.to_owned()],
    }
}

fn service(port: u16) -> Kept {
    kept(Object::Service(Service {
        reach: Reach::Headless,
        ports: vec![ServicePort {
            name: "".into(),
            number: NonZeroU16::new(port).unwrap(),
            protocol: Protocol::Auto,
        }],
        affinity: false,
        publishes_not_ready: false,
        annotations: BTreeMap::new(),
    }))
}

fn slice(service: &str, addresses: &[&str]) -> Kept {
    let endpoint = |address: &&str| Endpoint {
        address: address.parse().unwrap(),
        readiness: Readiness::Ready,
        zone: None,
        node: Some("n1".into()),
        pod: None,
        for_zones: Vec::new(),
    };
    kept(Object::EndpointSlice(EndpointSlice {
        service: key(service),
        family: Family::V4,
        ports: Vec::new(),
        endpoints: addresses.iter().map(endpoint).collect(),
    }))
}

fn node(zone: &str) -> Kept {
    let zone = Some(zone.into());
    kept(Object::Node(Node { zone }))
}

fn addresses(world: &World, service: &str) -> Vec<String> {
    let service = key(service);
    let endpoints = world.slices(&service).flat_map(|slice| &slice.endpoints);
    endpoints.map(|endpoint| endpoint.address.to_string()).collect()
}

fn endpoints_of(services: &[&str]) -> Touched {
    Touched {
        endpoints: services.iter().map(|name| key(name)).collect(),
        ..Touched::default()
    }
}

#[test]
fn what_comes_in_any_order_and_twice_is_the_same_in_the_end() {
    let events = [
        Event::Applied(Kind::EndpointSlice, key("web-b"), slice("web", &["10.1.0.2"])),
        Event::Applied(Kind::Service, key("web"), service(80)),
        Event::Applied(Kind::EndpointSlice, key("web-a"), slice("web", &["10.1.0.1"])),
        Event::Applied(Kind::EndpointSlice, key("db-a"), slice("db", &["10.1.0.9"])),
    ];
    // Every rotation, each event twice: a store that depended on the order would differ in one of them.
    for start in 0..events.len() {
        let mut world = World::default();
        for event in events.iter().cycle().skip(start).take(events.len() * 2) {
            world.apply(event.clone());
        }
        assert_eq!(addresses(&world, "web"), ["10.1.0.1", "10.1.0.2"]);
        assert_eq!(addresses(&world, "db"), ["10.1.0.9"]);
        assert_eq!(world.services(), BTreeSet::from([key("web"), key("db")]));
    }
}

#[test]
fn what_is_the_same_touches_nobody() {
    let mut world = World::default();
    let event = Event::Applied(Kind::EndpointSlice, key("web-a"), slice("web", &["10.1.0.1"]));
    assert_eq!(world.apply(event.clone()), endpoints_of(&["web"]));
    assert_eq!(world.apply(event), Touched::default());
    let listed = HashSet::from([key("web-a")]);
    assert_eq!(
        world.apply(Event::Listed(Kind::EndpointSlice, listed)),
        Touched::default()
    );
}

#[test]
fn a_slice_that_changes_its_service_touches_both() {
    let mut world = World::default();
    world.apply(Event::Applied(
        Kind::EndpointSlice,
        key("a"),
        slice("web", &["10.1.0.1"]),
    ));
    let moved = Event::Applied(Kind::EndpointSlice, key("a"), slice("db", &["10.1.0.1"]));
    assert_eq!(world.apply(moved), endpoints_of(&["db", "web"]));
    assert_eq!(addresses(&world, "web"), Vec::<String>::new());
}

#[test]
fn what_a_new_list_does_not_have_is_gone() {
    let mut world = World::default();
    world.apply(Event::Applied(
        Kind::EndpointSlice,
        key("a"),
        slice("web", &["10.1.0.1"]),
    ));
    world.apply(Event::Applied(
        Kind::EndpointSlice,
        key("b"),
        slice("db", &["10.1.0.2"]),
    ));
    let listed = Event::Listed(Kind::EndpointSlice, HashSet::from([key("b")]));
    assert_eq!(world.apply(listed), endpoints_of(&["web"]));
    assert_eq!(
        world.apply(Event::Gone(Kind::EndpointSlice, key("a"))),
        Touched::default()
    );
    assert_eq!(
        world.apply(Event::Gone(Kind::EndpointSlice, key("b"))),
        endpoints_of(&["db"])
    );
    assert_eq!(world.services(), BTreeSet::new());
}

#[test]
fn what_cannot_be_read_leaves_the_last_good_one_in_force_and_hurts_nobody_else() {
    let mut world = World::default();
    world.apply(Event::Applied(Kind::Service, key("web"), service(80)));
    let touched = world.apply(Event::Applied(Kind::Service, key("web"), unreadable("it is broken")));
    let web = Subject {
        kind: Kind::Service,
        key: key("web"),
    };
    let expected = Touched {
        faults: BTreeSet::from([web.clone()]),
        ..Touched::default()
    };
    assert_eq!(touched, expected);
    assert!(world.service(&key("web")).is_some());
    let verdicts = world.faults(&web);
    assert_eq!((verdicts.len(), verdicts[0].generation), (1, Some(2)));
    assert_eq!(
        world.apply(Event::Applied(Kind::Service, key("web"), service(80))),
        expected
    );
    assert_eq!(world.faults(&web), []);
}

#[test]
fn the_zone_of_a_node_concerns_the_endpoints_that_have_none_of_their_own() {
    let mut world = World::default();
    world.apply(Event::Applied(
        Kind::EndpointSlice,
        key("a"),
        slice("web", &["10.1.0.1"]),
    ));
    let event = |zone| Event::Applied(Kind::Node, Key::new("", "n1"), node(zone));
    assert_eq!(world.apply(event("a")), endpoints_of(&["web"]));
    assert_eq!(world.apply(event("a")), Touched::default());
    assert_eq!(world.apply(event("b")), endpoints_of(&["web"]));
    let other = Event::Applied(Kind::Node, Key::new("", "n2"), node("a"));
    assert_eq!(world.apply(other), Touched::default());
}

/// A slice of this service with an endpoint of this Pod.
fn slice_of(service: &str, pod: &str) -> Kept {
    let mut kept = slice(service, &["10.1.0.1"]);
    if let Some(Object::EndpointSlice(slice)) = &mut kept.object {
        slice.endpoints[0].pod = Some(pod.into());
    }
    kept
}

fn pod(name: &str, workload: &str) -> Event {
    let pod = Pod {
        uid: "u".into(),
        node: None,
        workload: Some(workload.into()),
        inbound: None,
    };
    Event::Applied(Kind::Pod, key(name), kept(Object::Pod(pod)))
}

#[test]
fn a_pod_that_is_seen_after_its_slice_touches_its_service() {
    let mut world = World::default();
    let of_pod = Event::Applied(Kind::EndpointSlice, key("web-a"), slice_of("web", "web-0"));
    world.apply(of_pod.clone());
    assert_eq!(world.apply(pod("db-0", "db")), Touched::default());
    assert_eq!(world.apply(pod("web-0", "web")), endpoints_of(&["web"]));
    assert_eq!(world.apply(pod("web-0", "web")), Touched::default());
    assert_eq!(world.apply(pod("web-0", "canary")), endpoints_of(&["web"]));
    world.apply(Event::Gone(Kind::EndpointSlice, key("web-a")));
    world.apply(Event::Gone(Kind::Pod, key("web-0")));
    assert_eq!(world.apply(pod("web-0", "web")), Touched::default());
    assert_eq!(world.apply(of_pod), endpoints_of(&["web"]));
}

#[test]
fn a_pod_that_goes_and_comes_back_touches_its_service_again() {
    let mut world = World::default();
    world.apply(pod("web-0", "web"));
    world.apply(Event::Applied(
        Kind::EndpointSlice,
        key("web-a"),
        slice_of("web", "web-0"),
    ));
    // The endpoint goes with its slice; until then it is as it was.
    assert_eq!(world.apply(Event::Gone(Kind::Pod, key("web-0"))), Touched::default());
    assert_eq!(world.apply(pod("web-0", "web")), endpoints_of(&["web"]));
}

#[test]
fn a_pod_that_one_slice_of_a_service_does_not_name_any_more_is_still_that_of_another() {
    let mut world = World::default();
    for name in ["web-a", "web-b"] {
        world.apply(Event::Applied(Kind::EndpointSlice, key(name), slice_of("web", "web-0")));
    }
    world.apply(Event::Gone(Kind::EndpointSlice, key("web-a")));
    assert_eq!(world.apply(pod("web-0", "web")), endpoints_of(&["web"]));
}
