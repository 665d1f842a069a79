//! Resources that cannot be used.

use super::*;
use envoy_types::pb::envoy::config::cluster::v3::Cluster as ProtoCluster;
use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection;
use prost::Message;

#[test]
fn what_comes_twice_in_one_response_is_refused_by_name() {
    for mode in [Mode::Delta, Mode::Sotw] {
        let mut client = Client::wildcard(mode).with_web();
        let twice = vec![cluster("web", "web"), cluster("web", "other"), cluster("b", "b")];
        let refusal = client.receive(Kind::Cluster, twice).expect("a refusal");
        assert!(refusal.contains("web: is there twice"), "{refusal}");
        assert_eq!(client.state(Kind::Cluster, "web"), Some(State::Nacked));
        assert_eq!(client.state(Kind::Cluster, "b"), Some(State::Acked));
        assert_eq!(client.changes(), Vec::<String>::new());
    }
}

#[test]
fn a_resource_of_another_type_or_without_a_legible_name_is_refused_and_nothing_is_removed() {
    for mode in [Mode::Delta, Mode::Sotw] {
        let mut client = Client::wildcard(mode).with_web();
        let misplaced = wrapped(mode, Kind::Cluster, assignment("web", 80), None);
        let refusal = client
            .receive_wrapped(Kind::Cluster, vec![misplaced], &[])
            .expect("a refusal");
        assert!(refusal.contains("ClusterLoadAssignment"), "{refusal}");
        let packed = Packed {
            type_url: Kind::Cluster.type_url(),
            value: vec![0xff; 9],
        };
        let body = Some(packed);
        let refusal = client.receive_wrapped(
            Kind::Cluster,
            vec![Wrapped {
                body,
                ..Wrapped::default()
            }],
            &[],
        );
        assert!(refusal.is_some_and(|text| text.starts_with("1 resource refused: resources[0]: ")));
        assert_eq!(client.changes(), Vec::<String>::new());
        assert!(client.machine.store().resource(Kind::Cluster, "web").is_some());
    }
}

#[test]
fn more_resources_of_a_type_than_there_may_be_are_refused() {
    let mut client = Client::wildcard(Mode::Delta);
    client.requests();
    let clusters = (0..1001).map(|number| cluster(&format!("c{number:04}"), "e")).collect();
    let refusal = client.receive(Kind::Cluster, clusters).expect("a refusal");
    assert_eq!(
        refusal,
        "1 resource refused: c1000: is one too many: 1000 are kept of a type"
    );
}

#[test]
fn where_a_listener_was_never_good_nothing_passes_until_it_is_good_or_gone() {
    for mode in [Mode::Delta, Mode::Sotw] {
        let mut client = Client::wildcard(mode).with_web();
        let mut bad = tcp_listener("bad", "web");
        bad.value.extend([0xf8, 0x3f, 1]); // field 1023, a number
        let listeners = |more: Option<Any>| [tcp_listener("l", "web")].into_iter().chain(more).collect::<Vec<_>>();
        client
            .receive(Kind::Listener, listeners(Some(bad.clone())))
            .expect("a refusal");
        let closed = client.changes().concat();
        let address = closed.strip_prefix("closed ").expect("an address that is closed");
        assert!(address.starts_with("10.0.0.1:"), "{address}");
        client.receive(Kind::Listener, listeners(Some(tcp_listener("bad", "web"))));
        assert_eq!(client.changes(), ["+lds/bad".to_owned(), format!("open {address}")]);
        // Now there is a good version, which stays.
        client.receive(Kind::Listener, listeners(Some(bad))).expect("a refusal");
        assert_eq!(client.changes(), Vec::<String>::new());
    }
}

#[test]
fn a_field_without_effect_is_told_of_once() {
    let mut client = Client::wildcard(Mode::Delta);
    client.requests();
    let delivery = |client: &mut Client, name: &str| {
        let cluster = noted_cluster(name);
        let wrapped = wrapped(Mode::Delta, Kind::Cluster, cluster, None);
        let delivery = client.delivery(Kind::Cluster, vec![wrapped], &[]);
        let received = client.machine.receive(delivery, client.now);
        received
            .noted
            .iter()
            .map(|(name, note)| format!("{name}: {}", note.path))
            .collect::<Vec<_>>()
    };
    assert_eq!(delivery(&mut client, "a"), ["a: outlier_detection"]);
    assert_eq!(delivery(&mut client, "b"), Vec::<String>::new());
}

/// A cluster with a field that has no effect.
fn noted_cluster(name: &str) -> Any {
    let mut any = cluster(name, name);
    let noted = ProtoCluster {
        outlier_detection: Some(OutlierDetection::default()),
        ..ProtoCluster::default()
    };
    // Messages are joined by putting one behind the other.
    any.value.extend(noted.encode_to_vec());
    any
}
