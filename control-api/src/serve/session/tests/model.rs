//! Whatever happens, both protocols end with a client that has what its view has.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// What may happen to a stream.
#[derive(Clone, Debug)]
enum Event {
    Set(Kind, usize, u32),
    Remove(Kind, usize),
    /// The server sends what it has.
    Send,
    /// The client answers the oldest response of a type.
    Answer(Kind, bool),
    Want(Kind, usize),
    Forget(Kind, usize),
    Stale(Kind),
    Reconnect,
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "*"];

fn event() -> impl Strategy<Value = Event> {
    let kind = || (0..4_usize).prop_map(|kind| Kind::ALL[kind]);
    prop_oneof![
        4 => (kind(), 0..5_usize, 0..4_u32).prop_map(|(kind, name, content)| Event::Set(kind, name, content)),
        2 => (kind(), 0..5_usize).prop_map(|(kind, name)| Event::Remove(kind, name)),
        4 => Just(Event::Send),
        4 => (kind(), any::<bool>()).prop_map(|(kind, refuses)| Event::Answer(kind, refuses)),
        3 => (kind(), 0..6_usize).prop_map(|(kind, name)| Event::Want(kind, name)),
        2 => (kind(), 0..6_usize).prop_map(|(kind, name)| Event::Forget(kind, name)),
        1 => kind().prop_map(Event::Stale),
        1 => Just(Event::Reconnect),
    ]
}

/// A client that keeps to the protocol.
#[derive(Debug)]
struct Client {
    session: Session,
    kinds: [Held; 4],
    view: Arc<View>,
}

#[derive(Debug, Default)]
struct Held {
    begun: bool,
    names: BTreeSet<&'static str>,
    has: BTreeMap<String, (String, u32)>,
    /// The nonce that waits for an answer, and the last one.
    unanswered: Option<String>,
    last: String,
}

impl Client {
    fn new(protocol: Protocol) -> Self {
        Self {
            session: Session::new(protocol, Arc::default()),
            kinds: Default::default(),
            view: Arc::default(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Set(kind, name, content) => self.change(|view| drop(view.set(&packed(kind, NAMES[name], content)))),
            Event::Remove(kind, name) => self.change(|view| view.remove(kind, NAMES[name])),
            Event::Send => while self.receive() {},
            Event::Answer(kind, refuses) => self.answer(kind, refuses),
            Event::Want(kind, name) => self.want(kind, NAMES[name]),
            Event::Forget(kind, name) => self.forget(kind, NAMES[name]),
            Event::Stale(kind) => {
                let request = match self.session.protocol {
                    Protocol::Delta => delta(kind, "999999", &[], &[]),
                    Protocol::Sotw => sotw(kind, "999999", &["a"]),
                };
                if self.kinds[kind as usize].begun {
                    assert_eq!(self.session.request(request), Ok(Heard::Stale(kind)));
                }
            }
            Event::Reconnect => self.reconnect(),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut View)) {
        let mut view = (*self.view).clone();
        change(&mut view);
        self.view = Arc::new(view);
        self.session.view(Arc::clone(&self.view));
    }

    fn receive(&mut self) -> bool {
        let Some(said) = next(&mut self.session) else {
            return false;
        };
        let wildcard = self.wildcard(said.kind);
        let held = &mut self.kinds[said.kind as usize];
        assert_eq!(held.unanswered, None, "one response at a time");
        held.unanswered = Some(said.nonce.clone());
        held.last.clone_from(&said.nonce);
        if self.session.protocol == Protocol::Sotw && said.kind.allows_wildcard() {
            held.has.clear();
        }
        for name in said.removed {
            held.has.remove(&name);
        }
        for (name, resource) in said.resources {
            // It may have been forgotten while the response was on its way.
            if wildcard || held.names.contains(&*name) {
                held.has.insert(name, resource);
            }
        }
        true
    }

    fn answer(&mut self, kind: Kind, refuses: bool) {
        let Some(nonce) = self.kinds[kind as usize].unanswered.take() else {
            return;
        };
        let wanted: Vec<&str> = self.kinds[kind as usize].names.iter().copied().collect();
        let request = match self.session.protocol {
            Protocol::Delta => delta(kind, &nonce, &[], &[]),
            Protocol::Sotw => sotw(kind, &nonce, &wanted),
        };
        let error = refuses.then(|| "no".to_owned());
        let expected = if refuses {
            Heard::Refused(kind, "no".to_owned())
        } else {
            Heard::Accepted(kind)
        };
        assert_eq!(self.session.request(Request { error, ..request }), Ok(expected));
    }

    fn want(&mut self, kind: Kind, name: &'static str) {
        if name == "*" && !kind.allows_wildcard() {
            return;
        }
        self.kinds[kind as usize].names.insert(name);
        self.subscribe(kind, &[name], &[]);
    }

    fn forget(&mut self, kind: Kind, name: &'static str) {
        if !self.kinds[kind as usize].names.remove(name) {
            return;
        }
        let wildcard = self.wildcard(kind);
        let held = &mut self.kinds[kind as usize];
        let names = &held.names;
        held.has
            .retain(|held, _| wildcard && *held != name || names.contains(&**held));
        self.subscribe(kind, &[], &[name]);
    }

    fn subscribe(&mut self, kind: Kind, subscribe: &[&str], unsubscribe: &[&str]) {
        let held = &mut self.kinds[kind as usize];
        held.begun = true;
        let wanted: Vec<&str> = held.names.iter().copied().collect();
        let nonce = held.last.clone();
        held.unanswered = held
            .unanswered
            .take()
            .filter(|_| self.session.protocol == Protocol::Delta);
        let request = match self.session.protocol {
            Protocol::Delta => delta(kind, "", subscribe, unsubscribe),
            Protocol::Sotw => sotw(kind, &nonce, &wanted),
        };
        self.session.request(request).unwrap();
    }

    fn wildcard(&self, kind: Kind) -> bool {
        self.kinds[kind as usize].names.contains("*")
    }

    fn reconnect(&mut self) {
        self.session = Session::new(self.session.protocol, Arc::clone(&self.view));
        for kind in Kind::ALL {
            let held = &mut self.kinds[kind as usize];
            held.unanswered = None;
            held.last.clear();
            if !held.begun {
                continue;
            }
            if held.names.is_empty() {
                // Nothing is wanted, and a first request that names nothing would mean everything.
                held.begun = false;
                held.has.clear();
                continue;
            }
            let wanted: Vec<&str> = held.names.iter().copied().collect();
            let request = match self.session.protocol {
                Protocol::Sotw => sotw(kind, "", &wanted),
                Protocol::Delta => {
                    let mut request = delta(kind, "", &wanted, &[]);
                    if let Wanted::Delta { initial, .. } = &mut request.wanted {
                        *initial = held
                            .has
                            .iter()
                            .map(|(name, (version, _))| (name.clone(), version.clone()))
                            .collect();
                    }
                    request
                }
            };
            self.session.request(request).unwrap();
        }
    }

    /// Everything is sent and answered.
    fn settle(&mut self) {
        for _ in 0..100 {
            while self.receive() {}
            if Kind::ALL
                .iter()
                .all(|kind| self.kinds[*kind as usize].unanswered.is_none())
            {
                assert!(!self.session.has_response());
                return;
            }
            for kind in Kind::ALL {
                self.answer(kind, false);
            }
        }
        panic!("it does not come to rest");
    }

    fn check(&self) {
        for kind in Kind::ALL {
            let held = &self.kinds[kind as usize];
            let wildcard = self.wildcard(kind);
            for name in held.has.keys() {
                // Of these, the state of the world cannot say that they are gone.
                let cannot_know = self.session.protocol == Protocol::Sotw && !kind.allows_wildcard();
                assert!(
                    cannot_know || self.view.version(kind, name).is_some(),
                    "{kind} {name} is gone"
                );
            }
            for entry in self.view.stock(kind).entries() {
                if held.begun && (wildcard || held.names.contains(&*entry.name)) {
                    let has = held.has.get(&*entry.name).map(|(_, content)| *content);
                    let expected = packed(kind, &entry.name, has.unwrap_or(u32::MAX));
                    assert_eq!(
                        crate::serve::wire::version_of(&expected),
                        entry.version,
                        "{kind} {}",
                        entry.name
                    );
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_a_client_ends_with_what_its_view_has(
        protocol in prop_oneof![Just(Protocol::Delta), Just(Protocol::Sotw)],
        events in vec(event(), 0..60),
    ) {
        let mut client = Client::new(protocol);
        for event in &events {
            client.happen(event);
        }
        client.settle();
        client.check();
    }
}
