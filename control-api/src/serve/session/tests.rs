//! A session by hand; in `model`, by chance.

mod model;

use super::*;
use crate::xds::Packed;
use bytes::Bytes;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A resource of any type; only its name and that it differs from others matter here.
fn packed(kind: Kind, name: &str, content: u32) -> Packed {
    // Every type has its name in field 1; what else a listener has may stand for what others have.
    let message = Listener {
        name: name.to_owned(),
        stat_prefix: content.to_string(),
        ..Listener::default()
    };
    Packed {
        type_url: kind.type_url(),
        value: message.encode_to_vec(),
    }
}

fn content(value: &[u8]) -> (String, u32) {
    let Listener { name, stat_prefix, .. } = Listener::decode(value).unwrap();
    (name, stat_prefix.parse().unwrap())
}

fn view(resources: &[(Kind, &str, u32)]) -> Arc<View> {
    let mut view = View::default();
    for (kind, name, content) in resources {
        view.set(&packed(*kind, name, *content)).unwrap();
    }
    Arc::new(view)
}

/// What a response says, read by the generated types.
#[derive(Debug, PartialEq)]
struct Said {
    kind: Kind,
    nonce: String,
    resources: BTreeMap<String, (String, u32)>,
    removed: BTreeSet<String>,
}

fn bytes(mut message: Message) -> Bytes {
    let mut bytes = Vec::new();
    while let Some(chunk) = message.chunk() {
        bytes.extend_from_slice(&chunk);
    }
    Bytes::from(bytes).slice(5..)
}

fn said(protocol: Protocol, Response { kind, message }: Response) -> Said {
    let bytes = bytes(message);
    match protocol {
        Protocol::Delta => {
            let read = DeltaDiscoveryResponse::decode(bytes).unwrap();
            assert_eq!(read.type_url, kind.type_url());
            let resources = read.resources.into_iter().map(|resource| {
                let (name, content) = content(&resource.resource.unwrap().value);
                assert_eq!(name, resource.name);
                (name, (resource.version, content))
            });
            Said {
                kind,
                nonce: read.nonce,
                resources: resources.collect(),
                removed: read.removed_resources.into_iter().collect(),
            }
        }
        Protocol::Sotw => {
            let read = DiscoveryResponse::decode(bytes).unwrap();
            assert_eq!(read.type_url, kind.type_url());
            let resources = read.resources.into_iter().map(|any| {
                let (name, content) = content(&any.value);
                (name, (read.version_info.clone(), content))
            });
            Said {
                kind,
                resources: resources.collect(),
                nonce: read.nonce,
                removed: BTreeSet::new(),
            }
        }
    }
}

fn next(session: &mut Session) -> Option<Said> {
    let protocol = session.protocol;
    session.response().map(|response| said(protocol, response))
}

fn delta(kind: Kind, nonce: &str, subscribe: &[&str], unsubscribe: &[&str]) -> Request {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Request {
        type_url: kind.type_url(),
        nonce: nonce.to_owned(),
        wanted: Wanted::Delta {
            subscribe: owned(subscribe),
            unsubscribe: owned(unsubscribe),
            initial: HashMap::new(),
        },
        ..Request::default()
    }
}

fn sotw(kind: Kind, nonce: &str, names: &[&str]) -> Request {
    Request {
        type_url: kind.type_url(),
        nonce: nonce.to_owned(),
        wanted: Wanted::Sotw(names.iter().map(|name| (*name).to_owned()).collect()),
        ..Request::default()
    }
}

fn names(said: &Said) -> Vec<&str> {
    said.resources.keys().map(String::as_str).collect()
}

fn removed(said: &Said) -> Vec<&str> {
    said.removed.iter().map(String::as_str).collect()
}

/// A session that wants everything, and whose client has answered everything.
fn settled(protocol: Protocol, view: &Arc<View>, assignments: &[&str], routes: &[&str]) -> Session {
    let mut session = Session::new(protocol, Arc::clone(view));
    for (kind, names) in [
        (Kind::Cluster, &[][..]),
        (Kind::Assignment, assignments),
        (Kind::Listener, &[]),
        (Kind::Route, routes),
    ] {
        let ask = |nonce: &str, first: bool| match protocol {
            Protocol::Delta => delta(kind, nonce, if first { names } else { &[] }, &[]),
            Protocol::Sotw => sotw(kind, nonce, names),
        };
        session.request(ask("", true)).unwrap();
        while let Some(said) = next(&mut session) {
            assert_eq!(session.request(ask(&said.nonce, false)), Ok(Heard::Accepted(kind)));
        }
    }
    session
}

#[test]
fn an_unknown_name_is_answered_at_once_and_found_when_it_comes() {
    let before = view(&[(Kind::Listener, "inbound", 1)]);
    let mut session = settled(Protocol::Delta, &before, &[], &[]);
    session
        .request(delta(Kind::Listener, "", &["10.0.0.1:80"], &[]))
        .unwrap();
    let said = next(&mut session).unwrap();
    assert_eq!((names(&said), removed(&said)), (vec![], vec!["10.0.0.1:80"]));
    session.request(delta(Kind::Listener, &said.nonce, &[], &[])).unwrap();
    session.view(view(&[
        (Kind::Listener, "inbound", 1),
        (Kind::Listener, "10.0.0.1:80", 1),
    ]));
    assert_eq!(names(&next(&mut session).unwrap()), ["10.0.0.1:80"]);
}

#[test]
fn who_wants_names_gets_those_and_no_others() {
    let before = view(&[
        (Kind::Listener, "a", 1),
        (Kind::Listener, "b", 1),
        (Kind::Listener, "c", 1),
    ]);
    let mut session = Session::new(Protocol::Delta, before);
    session.request(delta(Kind::Listener, "", &["a"], &[])).unwrap();
    let said = next(&mut session).unwrap();
    assert_eq!(names(&said), ["a"]);
    session.request(delta(Kind::Listener, &said.nonce, &[], &[])).unwrap();
    session.request(delta(Kind::Listener, "", &["b"], &["a"])).unwrap();
    let said = next(&mut session).unwrap();
    assert_eq!(names(&said), ["b"]);
    session.request(delta(Kind::Listener, &said.nonce, &[], &[])).unwrap();
    session.view(view(&[
        (Kind::Listener, "a", 2),
        (Kind::Listener, "b", 2),
        (Kind::Listener, "c", 2),
    ]));
    assert_eq!(names(&next(&mut session).unwrap()), ["b"]);
}

#[test]
fn a_name_beside_all_is_told_again_when_the_client_drops_it() {
    let mut session = settled(Protocol::Delta, &view(&[(Kind::Cluster, "a", 1)]), &[], &[]);
    session.request(delta(Kind::Cluster, "", &["a"], &[])).unwrap();
    let said = next(&mut session).unwrap();
    session.request(delta(Kind::Cluster, &said.nonce, &[], &[])).unwrap();
    session.request(delta(Kind::Cluster, "", &[], &["a", "b"])).unwrap();
    let said = next(&mut session).unwrap();
    assert_eq!((names(&said), removed(&said)), (vec!["a"], vec!["b"]));
}

#[test]
fn a_name_beside_all_is_told_again_in_the_state_of_the_world_too() {
    let mut session = Session::new(Protocol::Sotw, view(&[(Kind::Cluster, "a", 1)]));
    session.request(sotw(Kind::Cluster, "", &["*", "a"])).unwrap();
    let said = next(&mut session).unwrap();
    session.request(sotw(Kind::Cluster, &said.nonce, &["*"])).unwrap();
    assert_eq!(names(&next(&mut session).unwrap()), ["a"]);
}

#[test]
fn what_a_client_has_from_before_is_not_sent_again() {
    let now = view(&[
        (Kind::Cluster, "same", 1),
        (Kind::Cluster, "other", 2),
        (Kind::Cluster, "new", 1),
    ]);
    let mut session = Session::new(Protocol::Delta, Arc::clone(&now));
    let mut request = delta(Kind::Cluster, "", &[], &[]);
    if let Wanted::Delta { initial, .. } = &mut request.wanted {
        let old = view(&[(Kind::Cluster, "other", 1), (Kind::Cluster, "gone", 1)]);
        for (name, version) in [
            ("same", now.version(Kind::Cluster, "same")),
            ("other", old.version(Kind::Cluster, "other")),
            ("gone", old.version(Kind::Cluster, "gone")),
        ] {
            initial.insert(name.to_owned(), version.unwrap());
        }
    }
    session.request(request).unwrap();
    let said = next(&mut session).unwrap();
    assert_eq!((names(&said), removed(&said)), (vec!["new", "other"], vec![]));
    assert_eq!(next(&mut session), None, "what is gone waits for the answer");
    session.request(delta(Kind::Cluster, &said.nonce, &[], &[])).unwrap();
    assert_eq!(removed(&next(&mut session).unwrap()), ["gone"]);
}

#[test]
fn a_first_request_is_answered_even_if_there_is_nothing() {
    let mut session = Session::new(Protocol::Delta, Arc::default());
    session.request(delta(Kind::Listener, "", &[], &[])).unwrap();
    assert_eq!(names(&next(&mut session).unwrap()), [""; 0]);
    let mut session = Session::new(Protocol::Sotw, Arc::default());
    session.request(sotw(Kind::Listener, "", &[])).unwrap();
    assert_eq!(names(&next(&mut session).unwrap()), [""; 0]);
}

#[test]
fn new_things_go_out_before_what_names_them_and_old_ones_go_after() {
    for protocol in [Protocol::Delta, Protocol::Sotw] {
        let old = [
            (Kind::Cluster, "old", 1),
            (Kind::Assignment, "old", 1),
            (Kind::Listener, "old", 1),
            (Kind::Route, "old", 1),
        ];
        let new = old.map(|(kind, _, content)| (kind, "new", content));
        let mut session = settled(protocol, &view(&old), &["old", "new"], &["old", "new"]);
        session.view(view(&new));
        let mut said: Vec<_> = std::iter::from_fn(|| next(&mut session)).collect();
        let kinds: Vec<_> = said.iter().map(|said| said.kind).collect();
        assert_eq!(kinds, Kind::ALL, "{protocol:?}");
        assert!(
            said.iter()
                .all(|said| said.removed.is_empty() && said.resources.contains_key("new"))
        );
        if protocol == Protocol::Sotw {
            assert_eq!(names(&said[0]), ["new", "old"], "what is leaving stays until it may go");
        }
        let answer = |kind: Kind, nonce: &str| match (protocol, kind) {
            (Protocol::Delta, _) => delta(kind, nonce, &[], &[]),
            (Protocol::Sotw, Kind::Cluster | Kind::Listener) => sotw(kind, nonce, &[]),
            (Protocol::Sotw, _) => sotw(kind, nonce, &["old", "new"]),
        };
        let mut gone = Vec::new();
        while let Some(said_last) = said.pop() {
            session.request(answer(said_last.kind, &said_last.nonce)).unwrap();
            while let Some(more) = next(&mut session) {
                gone.push(more.kind);
                assert!(
                    said.is_empty() || more.kind > said[said.len() - 1].kind,
                    "{protocol:?}: {more:?}"
                );
                session.request(answer(more.kind, &more.nonce)).unwrap();
            }
        }
        let expected: &[Kind] = match protocol {
            Protocol::Delta => &[Kind::Route, Kind::Listener, Kind::Assignment, Kind::Cluster],
            Protocol::Sotw => &[Kind::Listener, Kind::Cluster],
        };
        assert_eq!(gone, expected, "{protocol:?}");
    }
}

#[test]
fn while_a_client_is_slow_changes_become_one() {
    let resources = |content| view(&[(Kind::Cluster, "a", content), (Kind::Cluster, "b", 1)]);
    let mut session = settled(Protocol::Delta, &resources(1), &[], &[]);
    session.view(resources(2));
    let first = next(&mut session).unwrap();
    for content in 3..1_000 {
        session.view(resources(content));
        assert!(next(&mut session).is_none());
    }
    session.request(delta(Kind::Cluster, &first.nonce, &[], &[])).unwrap();
    let last = next(&mut session).unwrap();
    assert_eq!((names(&last), last.resources["a"].1), (vec!["a"], 999));
    assert!(next(&mut session).is_none());
}

#[test]
fn what_came_and_went_while_a_client_was_slow_is_not_told() {
    let (with, without) = (view(&[(Kind::Cluster, "a", 1)]), view(&[]));
    let mut session = settled(Protocol::Delta, &without, &[], &[]);
    session.view(Arc::clone(&with));
    let first = next(&mut session).unwrap();
    session.view(Arc::clone(&without));
    session.view(Arc::clone(&with));
    session.view(without);
    session.request(delta(Kind::Cluster, &first.nonce, &[], &[])).unwrap();
    let last = next(&mut session).unwrap();
    assert_eq!((names(&last), removed(&last)), (vec![], vec!["a"]));
}

#[test]
fn who_asked_by_name_is_answered_though_it_has_gone_meanwhile() {
    let mut session = settled(Protocol::Delta, &view(&[]), &[], &[]);
    session.view(view(&[(Kind::Cluster, "a", 1)]));
    let first = next(&mut session).unwrap();
    session.view(view(&[(Kind::Cluster, "a", 1), (Kind::Cluster, "b", 1)]));
    session.request(delta(Kind::Cluster, "", &["b"], &[])).unwrap();
    session.view(view(&[(Kind::Cluster, "a", 1)]));
    session.request(delta(Kind::Cluster, &first.nonce, &[], &[])).unwrap();
    let said = next(&mut session).unwrap();
    assert_eq!((names(&said), removed(&said)), (vec![], vec!["b"]));
}

#[test]
fn answers_are_told_apart() {
    let mut session = Session::new(Protocol::Sotw, view(&[(Kind::Listener, "a", 1)]));
    session.request(sotw(Kind::Listener, "", &[])).unwrap();
    let said = next(&mut session).unwrap();
    assert_eq!(
        session.request(sotw(Kind::Listener, "77", &[])),
        Ok(Heard::Stale(Kind::Listener))
    );
    let refusal = Request {
        error: Some("no".to_owned()),
        ..sotw(Kind::Listener, &said.nonce, &[])
    };
    let heard = Heard::Refused(Kind::Listener, "no".to_owned());
    assert_eq!(session.request(refusal.clone()), Ok(heard));
    assert_eq!(session.request(refusal), Ok(Heard::Nothing), "it was counted");
    assert_eq!(next(&mut session), None, "the same is not sent again");
    let unserved = Request {
        type_url: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret".to_owned(),
        ..Request::default()
    };
    assert_eq!(session.request(unserved), Ok(Heard::Unserved));
}

#[test]
fn who_wants_too_much_is_told() {
    let mut session = Session::new(Protocol::Delta, Arc::default());
    let long = "x".repeat(2_000);
    assert_eq!(
        session.request(delta(Kind::Listener, "", &[&long], &[])),
        Err(TooMuch::Length)
    );
    let many: Vec<String> = (0..70_000).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        session.request(delta(Kind::Listener, "", &many, &[])),
        Err(TooMuch::Names)
    );
}

#[test]
fn a_large_answer_comes_in_parts() {
    let mut large = View::default();
    for number in 0..5_000 {
        large
            .set(&packed(Kind::Cluster, &format!("{number}{}", "x".repeat(1_000)), 1))
            .unwrap();
    }
    let mut session = Session::new(Protocol::Delta, Arc::new(large));
    session.request(delta(Kind::Cluster, "", &[], &[])).unwrap();
    let (mut parts, mut resources) = (0, 0);
    while let Some(said) = next(&mut session) {
        assert!(next(&mut session).is_none(), "one response at a time");
        (parts, resources) = (parts + 1, resources + said.resources.len());
        session.request(delta(Kind::Cluster, &said.nonce, &[], &[])).unwrap();
    }
    assert_eq!((parts, resources), (4, 5_000));
}
