//! A server that is as strict as the strictest: every request that a real one might drop or misread is a failed test.

use crate::ads::message::Introduction;
use crate::ads::message::Mode;
use crate::ads::message::Request;
use crate::ads::message::RequestBody;
use crate::ads::message::Response;
use crate::ads::message::Text;
use crate::ads::message::Wrapped;
use crate::ads::per_kind::PerKind;
use crate::resource::Kind;
use crate::xds::Packed;
use envoy_types::pb::google::protobuf::Any;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Everything that the server has, each with its version.
pub(super) type World = PerKind<BTreeMap<String, (u64, Any)>>;

/// What a server of the state of the world sends of endpoints and routes. Of clusters and listeners it sends all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    /// What is new to the client, as Istiod does.
    Changes,
}

/// A server and its one stream.
pub(super) struct Server {
    mode: Mode,
    extent: Extent,
    pub(super) world: World,
    clock: u64,
    introduced: bool,
    watches: PerKind<Watch>,
}

/// What the stream has of one type.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not exclude each other")]
struct Watch {
    begun: bool,
    wildcard: bool,
    named: bool,
    names: BTreeSet<String>,
    /// What the client has, as far as the server knows; version 0: the client knows that it does not exist.
    sent: BTreeMap<String, u64>,
    /// Names that were given up beside a wildcard.
    ambiguous: BTreeSet<String>,
    /// Nonces that were not answered.
    open: BTreeSet<String>,
    last_nonce: String,
    /// Something is to be sent, even if it is nothing.
    due: bool,
    /// The version that the client has accepted in whole, and those that were sent.
    accepted: String,
    versions: BTreeMap<String, String>,
}

impl Server {
    pub(super) fn new(mode: Mode, extent: Extent) -> Self {
        Self {
            mode,
            extent,
            world: World::default(),
            clock: 0,
            introduced: false,
            watches: PerKind::default(),
        }
    }

    /// A new stream: what was said on the last one is forgotten.
    pub(super) fn reconnect(&mut self) {
        self.introduced = false;
        for kind in Kind::ALL {
            // The version that was accepted outlives the stream.
            let accepted = std::mem::take(&mut self.watches[kind].accepted);
            self.watches[kind] = Watch {
                accepted,
                ..Watch::default()
            };
        }
    }

    pub(super) fn set(&mut self, kind: Kind, name: &str, resource: Any) {
        self.clock += 1;
        self.world[kind].insert(name.to_owned(), (self.clock, resource));
        self.watches[kind].due = true;
    }

    pub(super) fn remove(&mut self, kind: Kind, name: &str) {
        self.world[kind].remove(name);
        self.watches[kind].due = true;
    }

    /// The client has accepted a version in whole, said or not.
    pub(super) fn accepted(&mut self, kind: Kind, version: &str) {
        version.clone_into(&mut self.watches[kind].accepted);
    }

    /// Every response was answered.
    pub(super) fn assert_answered(&self) {
        for kind in Kind::ALL {
            assert_eq!(self.watches[kind].open, BTreeSet::new(), "{kind}: not answered");
        }
    }

    pub(super) fn request(&mut self, request: &Request) {
        let first = request.node == Introduction::First;
        assert_eq!(
            first, !self.introduced,
            "the node belongs to the first request: {request:?}"
        );
        self.introduced = true;
        let kind = Kind::of_type_url(&request.type_url).expect("a type of ours");
        match &request.body {
            RequestBody::Delta {
                subscribe,
                unsubscribe,
                initial_versions,
            } => {
                assert_eq!(self.mode, Mode::Delta);
                self.delta(kind, request, subscribe, unsubscribe, initial_versions);
            }
            RequestBody::Sotw { version, names } => {
                assert_eq!(self.mode, Mode::Sotw);
                self.sotw(kind, request, version, names);
            }
        }
    }

    fn delta(
        &mut self,
        kind: Kind,
        request: &Request,
        subscribe: &[Text],
        unsubscribe: &[Text],
        initial_versions: &[(Text, Text)],
    ) {
        let watch = &mut self.watches[kind];
        let changes = !subscribe.is_empty() || !unsubscribe.is_empty();
        if !request.nonce.is_empty() {
            assert!(!changes, "an answer changes no subscription: {request:?}");
            assert!(initial_versions.is_empty(), "{request:?}");
            assert!(watch.open.remove(&*request.nonce), "answered once: {request:?}");
            return;
        }
        assert!(request.refusal.is_none(), "{request:?}");
        let begins = !std::mem::replace(&mut watch.begun, true);
        assert!(begins || changes, "a request that says nothing: {request:?}");
        assert!(begins || initial_versions.is_empty(), "{request:?}");
        watch.wildcard |= begins && subscribe.is_empty();
        for (name, version) in initial_versions {
            let version = version.parse().unwrap_or(u64::MAX);
            watch.sent.insert(name.to_string(), version);
        }
        for name in subscribe {
            if &**name == "*" {
                watch.wildcard = true;
            } else {
                watch.names.insert(name.to_string());
                if !begins {
                    watch.sent.remove(&**name);
                }
            }
        }
        for name in unsubscribe {
            assert!(watch.names.remove(&**name), "never subscribed: {request:?}");
            watch.sent.remove(&**name);
            // The client has dropped what "everything" may still have: it is told either way.
            if watch.wildcard {
                watch.ambiguous.insert(name.to_string());
            }
        }
        watch.due = true;
    }

    fn sotw(&mut self, kind: Kind, request: &Request, version: &Text, names: &[Text]) {
        let watch = &mut self.watches[kind];
        if request.nonce.is_empty() {
            assert!(
                watch.last_nonce.is_empty() || watch.open.contains(&watch.last_nonce),
                "{request:?}"
            );
        } else {
            let answered = watch.versions.get(&*request.nonce).expect("a nonce of this stream");
            if watch.open.remove(&*request.nonce) {
                assert_eq!(**version == **answered, request.refusal.is_none(), "{request:?}");
            } else {
                assert_eq!(&**version, watch.accepted, "the version accepted last: {request:?}");
            }
        }
        let begins = !std::mem::replace(&mut watch.begun, true);
        // As go-control-plane and Istiod do: what answers an older response says nothing of the present.
        if *request.nonce != *watch.last_nonce {
            return;
        }
        let listed: BTreeSet<_> = names
            .iter()
            .map(ToString::to_string)
            .filter(|name| name != "*")
            .collect();
        let star = names.iter().any(|name| &**name == "*");
        let everything = names.is_empty() && kind.allows_wildcard() && !watch.named;
        assert!(
            !begins || !names.is_empty() || everything,
            "a request for nothing: {request:?}"
        );
        watch.named |= !names.is_empty();
        let wildcard = star || everything;
        watch.due |= begins || listed != watch.names || wildcard != watch.wildcard;
        watch.sent.retain(|name, _| wildcard || listed.contains(name));
        (watch.names, watch.wildcard) = (listed, wildcard);
    }

    /// What the server has to say of a type, if anything.
    pub(super) fn push(&mut self, kind: Kind) -> Option<Response> {
        let watch = &mut self.watches[kind];
        if !watch.begun || !std::mem::take(&mut watch.due) {
            return None;
        }
        self.clock += 1;
        let mut response = Response {
            type_url: kind.type_url(),
            version: format!("v{}", self.clock).into(),
            nonce: format!("n{}", self.clock).into(),
            ..Response::default()
        };
        let wanted = |name: &String| watch.wildcard || watch.names.contains(name);
        let whole = self.mode == Mode::Sotw && (self.extent == Extent::All || kind.allows_wildcard());
        for (name, (version, any)) in self.world[kind].iter().filter(|(name, _)| wanted(name)) {
            if whole || watch.sent.get(name) != Some(version) {
                response.resources.push(wrap(self.mode, name, *version, any));
            }
        }
        if self.mode == Mode::Sotw && !whole && response.resources.is_empty() {
            return None;
        }
        if self.mode == Mode::Delta {
            let here = watch
                .sent
                .iter()
                .filter(|(_, version)| **version != 0)
                .map(|(name, _)| name);
            let named = watch.names.iter().filter(|name| watch.sent.get(*name) != Some(&0));
            let ambiguous = std::mem::take(&mut watch.ambiguous);
            let gone: BTreeSet<_> = here
                .chain(named)
                .chain(&ambiguous)
                .filter(|name| !self.world[kind].contains_key(*name))
                .collect();
            response.removed = gone.into_iter().map(|name| Text::from(name.as_str())).collect();
        }
        for (name, (version, _)) in &self.world[kind] {
            if watch.wildcard || watch.names.contains(name) {
                watch.sent.insert(name.clone(), *version);
            }
        }
        for name in &response.removed {
            watch.sent.insert(name.to_string(), 0);
        }
        watch.last_nonce = response.nonce.to_string();
        watch.open.insert(response.nonce.to_string());
        watch
            .versions
            .insert(response.nonce.to_string(), response.version.to_string());
        Some(response)
    }
}

fn wrap(mode: Mode, name: &str, version: u64, any: &Any) -> Wrapped {
    let delta = mode == Mode::Delta;
    Wrapped {
        name: delta.then(|| name.to_owned()),
        version: delta.then(|| version.to_string()),
        ttl: None,
        body: Some(Packed {
            type_url: any.type_url.clone(),
            value: any.value.clone(),
        }),
    }
}
