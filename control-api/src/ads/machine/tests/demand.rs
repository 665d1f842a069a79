//! Listeners that are asked for by name.

use super::*;

#[test]
fn a_listener_on_demand_brings_what_it_needs_and_takes_it_away_again() {
    let mut client = Client::on_demand(Mode::Delta);
    assert!(!client.machine.has_request());
    client.want("10.0.0.1:80");
    assert_eq!(client.requests(), ["lds node +10.0.0.1:80"]);
    client.receive(Kind::Listener, vec![http_listener("10.0.0.1:80", "r")]);
    assert_eq!(client.requests(), ["rds +r", "lds ack n1"]);
    client.receive(Kind::Route, vec![routes("r", "web")]);
    assert_eq!(client.requests(), ["cds +web", "rds ack n2"]);
    client.receive(Kind::Cluster, vec![cluster("web", "web")]);
    assert_eq!(client.requests(), ["eds +web", "cds ack n3"]);
    assert_eq!(client.changes(), Vec::<String>::new());
    client.receive(Kind::Assignment, vec![assignment("web", 80)]);
    assert_eq!(
        client.changes(),
        [
            "+cds/web",
            "+eds/web",
            "+lds/10.0.0.1:80",
            "+rds/r",
            "10.0.0.1:80=Found"
        ]
    );
    client.requests();
    client.forget("10.0.0.1:80");
    assert_eq!(
        client.requests(),
        ["lds -10.0.0.1:80", "rds -r", "cds -web", "eds -web"]
    );
    assert_eq!(client.changes(), ["-cds/web", "-eds/web", "-lds/10.0.0.1:80", "-rds/r"]);
    for kind in Kind::ALL {
        assert_eq!(client.machine.store().table(kind).entries().count(), 0, "{kind}");
    }
}

#[test]
fn a_listener_that_does_not_exist_or_is_refused_is_answered_so() {
    let mut client = Client::on_demand(Mode::Delta);
    client.want("a");
    client.want("b");
    client.want("c");
    client.requests();
    client.remove(Kind::Listener, &["a"]);
    assert_eq!(client.changes(), ["a=DoesNotExist"]);
    let mut bad = wrapped(Mode::Delta, Kind::Listener, tcp_listener("b", "x"), None);
    bad.body.as_mut().expect("a body").value.extend([0xf8, 0x7f, 1]);
    client.receive_wrapped(Kind::Listener, vec![bad], &[]);
    assert_eq!(client.changes(), ["b=Refused"]);
    client.wait(15 * SECOND);
    assert_eq!(client.changes(), ["c=DoesNotExist"]);
    // Asked again, it is answered at once.
    client.want("a");
    assert_eq!(client.changes(), ["a=DoesNotExist"]);
}

#[test]
fn readiness_waits_for_the_ordinary_listeners_alone() {
    let ordinary = Listeners::Named(vec!["inbound".to_owned()]);
    let mut client = Client::new(Mode::Delta, &ordinary, Clusters::Referenced);
    client.want("other");
    assert_eq!(client.requests(), ["lds node +inbound +other"]);
    client.receive(Kind::Listener, vec![tcp_listener("inbound", "app")]);
    client.requests();
    assert!(!client.machine.is_ready());
    client.remove(Kind::Cluster, &["app"]);
    assert!(client.machine.is_ready());
    client.forget("inbound");
    assert_eq!(client.requests(), ["cds ack n2"]);
}
