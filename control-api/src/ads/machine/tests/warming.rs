//! What is in force, and when it changes.

use super::*;

#[test]
fn neither_a_silent_server_nor_an_absent_one_makes_a_client_ready() {
    let mut client = Client::wildcard(Mode::Delta);
    client.requests();
    client.wait(15 * SECOND);
    assert_eq!(client.requests(), ["lds"]);
    assert!(!client.machine.is_ready());
    client.machine.disconnected(client.now);
    client.wait(3600 * SECOND);
    assert!(!client.machine.is_ready());
    client.machine.connected(Mode::Delta, Versions::Shared);
    assert_eq!(client.requests(), ["cds node", "lds"]);
    client.wait(15 * SECOND);
    assert!(!client.machine.is_ready());
}

#[test]
fn a_cluster_waits_for_its_endpoints_and_the_old_one_serves_until_then() {
    let mut client = Client::wildcard(Mode::Delta).with_web();
    client.receive(Kind::Cluster, vec![cluster("web", "web-2")]);
    assert_eq!(client.requests(), ["eds +web-2", "cds ack n4"]);
    assert_eq!(client.changes(), Vec::<String>::new());
    // Endpoints of the old one still change.
    client.receive(Kind::Assignment, vec![assignment("web", 81)]);
    assert_eq!(client.changes(), ["+eds/web"]);
    client.receive(Kind::Assignment, vec![assignment("web-2", 82)]);
    assert_eq!(client.changes(), ["+cds/web", "+eds/web-2", "-eds/web"]);
    assert_eq!(client.requests(), ["eds ack n5", "eds ack n6", "eds -web"]);
}

#[test]
fn routes_wait_for_the_clusters_that_they_name_and_not_for_what_is_missing() {
    let mut client = Client::wildcard(Mode::Delta).with_web();
    client.receive(Kind::Listener, vec![http_listener("h", "r")]);
    client.receive(Kind::Cluster, vec![cluster("new", "new")]);
    client.receive(Kind::Route, vec![routes("r", "new")]);
    assert_eq!(client.changes(), Vec::<String>::new());
    client.receive(Kind::Assignment, vec![assignment("new", 1)]);
    assert_eq!(client.changes(), ["+cds/new", "+eds/new", "+lds/h", "+rds/r"]);
    client.receive(Kind::Route, vec![routes("r", "nowhere")]);
    assert_eq!(client.changes(), ["+rds/r"]);
}

#[test]
fn a_removed_cluster_stays_while_something_names_it_and_no_longer_than_ten_seconds() {
    let mut client = Client::wildcard(Mode::Delta).with_web();
    client.remove(Kind::Cluster, &["web"]);
    assert_eq!(client.changes(), Vec::<String>::new());
    client.wait(9 * SECOND);
    assert_eq!(client.changes(), Vec::<String>::new());
    client.wait(SECOND);
    assert_eq!(client.changes(), ["-cds/web", "-eds/web"]);

    let mut client = Client::wildcard(Mode::Delta).with_web();
    client.remove(Kind::Cluster, &["web"]);
    client.receive(Kind::Listener, vec![tcp_listener("l", "other")]);
    assert_eq!(client.changes(), ["+lds/l", "-cds/web", "-eds/web"]);
}

#[test]
fn a_removed_listener_goes_at_once_with_its_routes() {
    let mut client = Client::wildcard(Mode::Delta).with_web();
    client.receive(Kind::Listener, vec![http_listener("h", "r")]);
    client.receive(Kind::Route, vec![routes("r", "web")]);
    client.requests();
    assert_eq!(client.changes(), ["+lds/h", "+rds/r"]);
    client.remove(Kind::Listener, &["h"]);
    assert_eq!(client.changes(), ["-lds/h", "-rds/r"]);
    assert_eq!(client.requests(), ["rds -r", "lds ack n6"]);
}

#[test]
fn endpoints_and_routes_that_are_removed_keep_their_last_good_version() {
    let mut client = Client::wildcard(Mode::Delta).with_web();
    client.remove(Kind::Assignment, &["web"]);
    assert_eq!(client.changes(), Vec::<String>::new());
    assert_eq!(client.state(Kind::Assignment, "web"), Some(State::DoesNotExist));
    client.receive(Kind::Assignment, vec![assignment("web", 80)]);
    assert_eq!(client.state(Kind::Assignment, "web"), Some(State::Acked));
    assert_eq!(client.changes(), Vec::<String>::new());
}

#[test]
fn in_the_state_of_the_world_absence_removes_clusters_and_listeners_and_nothing_else() {
    let mut client = Client::wildcard(Mode::Sotw).with_web();
    client.receive(Kind::Assignment, Vec::new());
    assert_eq!(client.state(Kind::Assignment, "web"), Some(State::Acked));
    client.receive(Kind::Listener, Vec::new());
    assert_eq!(client.changes(), ["-lds/l"]);
    client.receive(Kind::Cluster, Vec::new());
    assert_eq!(client.changes(), ["-cds/web", "-eds/web"]);
    // Nothing needs endpoints any more: the answer says so.
    assert_eq!(
        client.requests(),
        ["eds []v4 ack n4", "lds []v5 ack n5", "cds []v6 ack n6"]
    );
}

#[test]
fn a_heartbeat_alone_removes_nothing_and_a_resource_without_one_expires() {
    for mode in [Mode::Delta, Mode::Sotw] {
        let mut client = Client::wildcard(mode).with_web();
        let listeners = vec![
            wrapped(mode, Kind::Listener, tcp_listener("l", "web"), None),
            wrapped(mode, Kind::Listener, tcp_listener("t", "web"), Some(5 * SECOND)),
        ];
        client.receive_wrapped(Kind::Listener, listeners, &[]);
        assert_eq!(client.changes(), ["+lds/t"]);
        client.wait(4 * SECOND);
        let heartbeat = Wrapped {
            name: Some("t".to_owned()),
            version: Some("1".to_owned()),
            ttl: Some(5 * SECOND),
            body: None,
        };
        client.receive_wrapped(Kind::Listener, vec![heartbeat], &[]);
        client.wait(4 * SECOND);
        assert_eq!(client.changes(), Vec::<String>::new());
        client.wait(SECOND);
        assert_eq!(client.changes(), ["-lds/t"]);
    }
}

#[test]
fn one_endpoint_of_ten_thousand_clusters_costs_one_decision() {
    let mut client = Client::new(Mode::Delta, &Listeners::Wildcard, Clusters::Wildcard);
    client.machine = Machine::new(&Listeners::Wildcard, Clusters::Wildcard, 20_000, client.now);
    client.machine.connected(Mode::Delta, Versions::Shared);
    client.requests();
    let name = |number: u32| format!("c{number}");
    client.receive(
        Kind::Cluster,
        (0..10_000).map(|n| cluster(&name(n), &name(n))).collect(),
    );
    client.receive(
        Kind::Assignment,
        (0..10_000).map(|n| assignment(&name(n), 80)).collect(),
    );
    client.requests();
    assert_eq!(client.changes().len(), 20_000);
    client.deliver(Kind::Assignment, vec![assignment("c77", 81)]);
    assert_eq!(client.machine.dirty.len(), 1);
    client.machine.settle(client.now);
    assert_eq!(client.changes(), ["+eds/c77"]);
}
