//! What is said to a server, and in which order.

use super::*;

#[test]
fn a_new_stream_asks_for_clusters_then_endpoints_then_listeners_then_routes() {
    let mut client = Client::wildcard(Mode::Delta);
    assert_eq!(client.requests(), ["cds node"]);
    client.receive(Kind::Cluster, vec![cluster("a", "a"), cluster("b", "x")]);
    // The acknowledgement comes after the request for endpoints that the clusters caused.
    assert_eq!(client.requests(), ["eds +a +x", "cds ack n1"]);
    client.receive(Kind::Assignment, vec![assignment("a", 1)]);
    assert_eq!(client.requests(), ["eds ack n2"]);
    client.receive(Kind::Assignment, vec![assignment("x", 1)]);
    assert_eq!(client.requests(), ["lds", "eds ack n3"]);
    client.receive(Kind::Listener, vec![http_listener("l", "r")]);
    assert_eq!(client.requests(), ["rds +r", "lds ack n4"]);
    assert_eq!(client.changes(), ["+cds/a", "+cds/b", "+eds/a", "+eds/x"]);
    assert!(!client.machine.is_ready());
    client.receive(Kind::Route, vec![routes("r", "a")]);
    assert_eq!(client.requests(), ["rds ack n5"]);
    assert_eq!(client.changes(), ["+lds/l", "+rds/r"]);
    assert!(client.machine.is_ready());
}

#[test]
fn the_state_of_the_world_repeats_every_name_and_the_last_good_version() {
    let mut client = Client::wildcard(Mode::Sotw);
    assert_eq!(client.requests(), ["cds node []"]);
    client.receive(Kind::Cluster, vec![cluster("a", "a"), cluster("b", "b")]);
    assert_eq!(client.requests(), ["eds [a,b]", "cds []v1 ack n1"]);
    client.receive(Kind::Assignment, vec![assignment("a", 1), assignment("b", 1)]);
    assert_eq!(client.requests(), ["lds []", "eds [a,b]v2 ack n2"]);
    let refusal = client.receive(
        Kind::Cluster,
        vec![cluster("a", "a"), bad_cluster("b"), cluster("c", "c")],
    );
    assert!(refusal.is_some_and(|text| text.starts_with("1 resource refused: b: ")));
    // What is good holds, and the version is that of the response before.
    assert_eq!(
        client.requests(),
        ["eds [a,b,c]v2 n2", "cds []v1 nack n3"].map(|text| text.replace("v2 n2", "v2 ack n2"))
    );
    assert_eq!(client.state(Kind::Cluster, "b"), Some(State::Nacked));
    assert!(client.machine.store().resource(Kind::Cluster, "b").is_some());
}

#[test]
fn listeners_are_asked_for_when_endpoints_were_waited_for_in_vain() {
    let mut client = Client::wildcard(Mode::Delta);
    client.requests();
    client.receive(Kind::Cluster, vec![cluster("a", "a")]);
    client.requests();
    client.wait(14 * SECOND);
    assert_eq!(client.requests(), Vec::<String>::new());
    client.wait(SECOND);
    assert_eq!(client.requests(), ["lds"]);
    assert_eq!(client.state(Kind::Assignment, "a"), Some(State::Timeout));
    assert_eq!(client.changes(), ["+cds/a"]);
    client.receive(Kind::Assignment, vec![assignment("a", 1)]);
    assert_eq!(client.changes(), ["+eds/a"]);
}

#[test]
fn a_new_delta_stream_says_which_versions_are_here() {
    let mut client = Client::wildcard(Mode::Delta).with_web();
    client.receive(Kind::Cluster, vec![bad_cluster("web")]);
    client.machine.disconnected(client.now);
    client.machine.connected(Mode::Delta, Versions::Shared);
    assert_eq!(client.requests(), ["cds node web=1", "eds +web web=1", "lds l=1"]);
    // Versions of another server say nothing: everything is sent again, and what is gone is removed.
    client.machine.disconnected(client.now);
    client.machine.connected(Mode::Delta, Versions::Foreign);
    assert_eq!(client.requests(), ["cds node web=", "eds +web web=", "lds l="]);
    assert_eq!(client.changes(), Vec::<String>::new());
}

#[test]
fn a_new_stream_for_the_state_of_the_world_says_the_last_version() {
    let mut client = Client::wildcard(Mode::Sotw).with_web();
    client.machine.disconnected(client.now);
    client.machine.connected(Mode::Sotw, Versions::Shared);
    assert_eq!(client.requests(), ["cds node []v1", "eds [web]v2", "lds []v3"]);
    client.machine.disconnected(client.now);
    client.machine.connected(Mode::Sotw, Versions::Foreign);
    assert_eq!(client.requests(), ["cds node []", "eds [web]", "lds []"]);
}

#[test]
fn what_nobody_asked_for_is_not_kept() {
    let mut client = Client::on_demand(Mode::Delta);
    client.want("a");
    client.requests();
    client.receive(Kind::Listener, vec![tcp_listener("x", "y")]);
    client.receive(Kind::Route, vec![routes("x", "y")]);
    assert_eq!(client.changes(), Vec::<String>::new());
    assert_eq!(client.requests(), ["lds ack n1", "rds ack n2"]);
    assert_eq!(client.state(Kind::Listener, "x"), None);
}

#[test]
fn a_response_without_a_nonce_is_taken_and_cannot_be_answered() {
    let mut client = Client::wildcard(Mode::Sotw);
    client.requests();
    let delivery = Delivery {
        mode: Mode::Sotw,
        kind: Kind::Listener,
        source: Text::default(),
        version: Text::default(),
        nonce: Text::default(),
        resources: Vec::new(),
        removed: Vec::new(),
    };
    client.machine.receive(delivery, client.now);
    assert!(!client.machine.has_request());
    client.machine.refuse("type.googleapis.com/x.Y".to_owned(), "n".into());
    assert_eq!(client.requests(), ["type.googleapis.com/x.Y [] nack n"]);
}
