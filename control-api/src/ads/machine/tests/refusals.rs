//! Resources that cannot be used.

use super::*;

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
