//! Everything that the server knows, behind one lock; whoever follows it is woken by a change.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use hyper::StatusCode;
use serde_json::Value;
use tokio::sync::watch;

use super::fault::Faults;
use super::kind::Kind;
use super::list::Pages;
use super::review::Tokens;
use super::status::Refusal;
use super::store::Store;
use super::watch::Watches;
use super::write::Applied;
use crate::rbac::Rights;

/// What there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) faults: Faults,
    pub(super) tokens: Tokens,
    pub(super) pages: Pages,
    pub(super) applied: Applied,
    pub(super) watches: Watches,
    pub(super) requests: Vec<Request>,
    /// What those may do who may not do everything, by their user.
    pub(super) rights: BTreeMap<String, Rights>,
    /// What was asked for by somebody who may not.
    pub(super) forbidden: Vec<Request>,
    /// Groups that are not served.
    pub(super) missing: BTreeSet<String>,
    /// The minor version that the server says it has.
    pub(super) minor: u32,
}

/// A request, booked before it has any effect; a watch is answered when it begins.
#[derive(Debug, Clone)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    pub verb: &'static str,
    /// The group of the resource; empty for the core's.
    pub group: String,
    /// As rules of a Role spell it, such as `pods` and `services/status`; the path, where it is no resource.
    pub resource: String,
    /// The namespace, where the path has one.
    pub namespace: Option<String>,
    /// The name of the object, where the path has one.
    pub name: Option<String>,
    /// The query, as it was sent.
    pub query: String,
    /// The pod whose token it came with; the token itself where it is no pod's.
    pub who: Option<String>,
    /// What was sent; null where nothing was.
    pub body: Value,
    /// The status of the answer; none is known while one is on its way.
    pub code: Option<u16>,
}

/// The world and those who follow it.
#[derive(Debug)]
pub(super) struct Shared {
    world: Mutex<World>,
    changed: watch::Sender<()>,
}

// === impl World ===

impl World {
    /// Books a request. Returns its place.
    pub(super) fn note(&mut self, request: Request) -> usize {
        self.requests.push(request);
        self.requests.len() - 1
    }

    /// Refuses a request that its user may not make; `user` is whoever sent it.
    pub(super) fn judge(&mut self, user: &str, number: usize) -> Option<Refusal> {
        let request = &self.requests[number];
        if self.rights.get(user).is_none_or(|rights| rights.allow(request)) {
            return None;
        }
        let message = format!(
            "{} is forbidden: User {user:?} cannot {} resource {:?} in API group {:?}",
            request.resource, request.verb, request.resource, request.group
        );
        self.forbidden.push(request.clone());
        Some(Refusal::new(StatusCode::FORBIDDEN, message))
    }

    /// Whether the group of a kind is installed.
    pub(super) fn serves(&self, kind: &Kind) -> bool {
        !self.missing.contains(kind.group)
    }
}

impl Default for World {
    fn default() -> Self {
        Self {
            store: Store::default(),
            faults: Faults::default(),
            tokens: Tokens::default(),
            pages: Pages::default(),
            applied: Applied::default(),
            watches: Watches::default(),
            requests: Vec::new(),
            rights: BTreeMap::new(),
            forbidden: Vec::new(),
            missing: BTreeSet::new(),
            minor: 32,
        }
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            world: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Looks, or books what concerns nobody else.
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, at once for all who follow.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.send_replace(());
        changed
    }

    /// Tells of changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// How many there are of each word.
pub(super) type Counts = BTreeMap<&'static str, usize>;
