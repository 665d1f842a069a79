//! The handle of a test: what there is, what goes wrong, and what was asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use hyper::StatusCode;
use serde_json::Value;

use super::admission;
use super::admission::Admitted;
use super::kind::Kind;
use super::server::Server;
use super::store::Key;
use super::world::Request;
use super::world::Shared;
use super::world::World;
use crate::cluster::Family;
use crate::identity::Identity;
use crate::pod::Pod;
use crate::rbac::Rights;
use crate::wait;

/// Where API servers listen.
const PORT: u16 = 6443;
/// What a test waits for happens sooner, also on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// A running API server; it stops when it is dropped.
#[derive(Debug)]
pub struct ApiServer {
    pod: Pod,
    at: SocketAddr,
    identity: Identity,
    shared: Arc<Shared>,
    server: Mutex<Option<Server>>,
}

// === impl ApiServer: what there is ===

impl ApiServer {
    /// Starts one on the pod's address of this family, with nothing in it.
    pub fn start(pod: &Pod, family: Family) -> Result<Self> {
        let shared = Arc::new(Shared::new());
        let identity = Identity::of(&pod.ip(family).to_string())?;
        let (server, at) = Server::start(pod, pod.at(family, PORT), &identity.tls, &shared)?;
        Ok(Self {
            pod: pod.clone(),
            at,
            identity,
            shared,
            server: Mutex::new(Some(server)),
        })
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// By which clients that speak TLS know it, in PEM.
    pub fn authority(&self) -> &str {
        &self.identity.authority
    }

    /// What a client needs, as a kubeconfig; requests carry the token, by which they can be told apart.
    pub fn kubeconfig(&self, token: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Config, current-context: test, \
             clusters: [{{name: test, cluster: {{server: \"http://{}\"}}}}], \
             users: [{{name: test, user: {{token: \"{token}\"}}}}], \
             contexts: [{{name: test, context: {{cluster: test, user: test, namespace: default}}}}]}}\n",
            self.at
        )
    }

    /// Stores objects, all at once, in place of those that are there. A status stays where none is given.
    pub fn put(&self, objects: impl IntoIterator<Item = Value>) {
        let objects: Vec<_> = objects.into_iter().collect();
        self.shared.change(|world| {
            for object in objects {
                put(world, object);
            }
        });
    }

    /// Removes an object, if it is there; the namespace is empty for kinds that have none.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) {
        let key = key(plural, namespace, name);
        self.shared.change(|world| world.store.remove(&key));
    }

    /// An object, as it is now.
    pub fn find(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.shared.lock().store.find(&key(plural, namespace, name)).cloned()
    }

    /// All objects of a kind.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        let world = self.shared.lock();
        let objects = world.store.objects().filter(|(key, _)| key.kind.plural == plural);
        objects.map(|(_, object)| object.clone()).collect()
    }

    /// Changes an object, which must be there.
    pub fn edit(&self, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let key = key(plural, namespace, name);
        self.shared.change(|world| {
            let mut object = world.store.find(&key).cloned().expect("what is edited is there");
            change(&mut object);
            world.store.write(key, object);
        });
    }

    /// Waits until an object is as `enough` wants it.
    pub fn wait_for(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        enough: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let found = wait::until(DEADLINE, || self.find(plural, namespace, name).filter(&enough));
        found.with_context(|| format!("{plural} {namespace}/{name}: {:#?}", self.find(plural, namespace, name)))
    }

    /// A token of a pod, which is stored already.
    pub fn token(&self, pod: &Value, audiences: &[&str]) -> String {
        self.shared.lock().tokens.issue(pod, audiences)
    }

    /// What this user asks for is served as far as these rights go: `system:serviceaccount:NAMESPACE:NAME`, or the token of a
    /// kubeconfig. What goes beyond is refused, and fails the test. Whoever has no rights bound may do everything.
    pub fn bind(&self, user: &str, rights: Rights) {
        self.shared.lock().rights.insert(user.to_owned(), rights);
    }

    /// A pod on its way in: every webhook that is configured for it is called, at its Service's address. A refusal is an error
    /// with the webhook's words.
    pub fn admit(&self, pod: Value) -> Result<Admitted> {
        admission::admit(self, &self.pod, pod)
    }

    /// A token is good no more.
    pub fn revoke(&self, token: &str) {
        self.shared.lock().tokens.revoke(token);
    }

    /// It says that it is Kubernetes 1.`minor`.
    pub fn set_version(&self, minor: u32) {
        self.shared.lock().minor = minor;
    }

    /// The kinds of a group are served, or not: definitions of custom resources come and go.
    pub fn install(&self, group: &str, installed: Installed) {
        self.shared.change(|world| {
            match installed {
                Installed::Yes => world.missing.remove(group),
                Installed::No => world.missing.insert(group.to_owned()),
            };
            world.watches.cut += 1;
        });
    }
}

/// Whether a group is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// It is.
    Yes,
    /// Its paths lead nowhere.
    No,
}

// === impl ApiServer: what goes wrong ===

impl ApiServer {
    /// Nothing is answered, and no event is sent.
    pub fn hold(&self) {
        self.shared.change(|world| world.faults.held = true);
    }

    /// What was held goes on.
    pub fn release(&self) {
        self.shared.change(|world| world.faults.held = false);
    }

    /// Every answer takes this long, from now on.
    pub fn slow(&self, delay: Duration) {
        self.shared.change(|world| world.faults.delay = delay);
    }

    /// From now on this is refused; `*` is every verb, or every resource.
    pub fn refuse(&self, verb: &str, resource: &str, code: StatusCode) {
        self.shared
            .change(|world| world.faults.refuse(verb, resource, code, None));
    }

    /// As [`ApiServer::refuse`] with 429, to be tried again after these seconds.
    pub fn throttle(&self, verb: &str, resource: &str, seconds: u32) {
        let code = StatusCode::TOO_MANY_REQUESTS;
        self.shared
            .change(|world| world.faults.refuse(verb, resource, code, Some(seconds)));
    }

    /// Nothing is refused any more.
    pub fn allow(&self) {
        self.shared.change(|world| world.faults.allow());
    }

    /// Breaks every open watch off.
    pub fn cut_watches(&self) {
        self.shared.change(|world| world.watches.cut += 1);
    }

    /// The time of every open watch is over: it ends after what it has to say.
    pub fn end_watches(&self) {
        self.shared.change(|world| world.watches.over += 1);
    }

    /// Forgets how things came to be as they are: who has not seen it all by now will have to list anew.
    pub fn compact(&self) {
        self.shared.change(|world| {
            world.store.compact();
            world.pages.forget();
        });
    }

    /// As [`ApiServer::compact`], but what happened after this version is known still.
    pub fn compact_until(&self, version: u64) {
        self.shared.change(|world| {
            world.store.compact_until(version);
            world.pages.forget();
        });
    }

    /// Tells every open watch that what it has seen last is gone (410).
    pub fn expire_watches(&self) {
        self.shared.change(|world| world.watches.expired += 1);
    }

    /// Sends a bookmark to every watch that wants them. Returns the version that it says at least.
    pub fn bookmark(&self) -> u64 {
        self.shared.change(|world| {
            world.watches.bookmarks += 1;
            world.store.version()
        })
    }

    /// Tells watches of an object again, though nothing of it has changed.
    pub fn repeat(&self, plural: &str, namespace: &str, name: &str) {
        let key = key(plural, namespace, name);
        self.shared.change(|world| world.store.repeat(&key));
    }

    /// Breaks every watch off, stores and removes objects that nobody sees, and forgets how they came to be so: whoever returns
    /// is told that what it has seen last is gone, and must list anew.
    pub fn unseen(&self, objects: impl IntoIterator<Item = Value>, removed: &[(&str, &str, &str)]) {
        let objects: Vec<_> = objects.into_iter().collect();
        self.shared.change(|world| {
            world.watches.cut += 1;
            for object in objects {
                put(world, object);
            }
            for (plural, namespace, name) in removed {
                world.store.remove(&key(plural, namespace, name));
            }
            world.store.compact();
            world.pages.forget();
        });
    }

    /// Ends the server: connections break, and new ones are refused. What it stores stays.
    pub fn die(&self) {
        if let Some(server) = self.server().take() {
            server.stop();
        }
    }

    /// It serves again, on the same address.
    pub fn revive(&self) -> Result<()> {
        let (server, _) = Server::start(&self.pod, self.at, &self.identity.tls, &self.shared)?;
        *self.server() = Some(server);
        Ok(())
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl ApiServer: what was asked ===

impl ApiServer {
    /// Every request so far, answered or not: whoever sees what one did finds it here.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How many requests of this verb and resource were answered so far; `*` is every one.
    pub fn count(&self, verb: &str, resource: &str) -> usize {
        let fits = |request: &&Request| {
            let asked = (verb == "*" || request.verb == verb) && (resource == "*" || request.resource == resource);
            asked && request.code.is_some()
        };
        self.shared.lock().requests.iter().filter(fits).count()
    }

    /// What was asked for beyond the rights of who asked; from now on the test answers for it.
    pub fn take_forbidden(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.lock().forbidden)
    }

    /// How many watches of a kind are open.
    pub fn watches(&self, plural: &str) -> usize {
        self.shared.lock().watches.open.get(plural).copied().unwrap_or_default()
    }

    /// Waits until this many watches of a kind are open.
    pub fn wait_for_watches(&self, plural: &str, count: usize) -> Result<()> {
        let found = wait::until(DEADLINE, || Some(()).filter(|()| self.watches(plural) == count));
        found.with_context(|| format!("{} watches of {plural}", self.watches(plural)))
    }
}

impl Drop for ApiServer {
    /// Rights that are missing fail every test that needs them, whatever came of the refusal.
    fn drop(&mut self) {
        self.die();
        let forbidden = self.take_forbidden();
        assert!(
            forbidden.is_empty() || std::thread::panicking(),
            "the chart does not allow it: {forbidden:#?}"
        );
    }
}

// === helpers ===

fn put(world: &mut World, mut object: Value) {
    let key = Key::of(&object).expect("an object of a test says what it is and has a name");
    let status = world.store.find(&key).and_then(|before| before.get("status"));
    if let (Some(status), None) = (status, object.get("status")) {
        object["status"] = status.clone();
    }
    world.store.write(key, object);
}

fn key(plural: &str, namespace: &str, name: &str) -> Key {
    Key {
        kind: Kind::named(plural).expect("a kind that the server knows"),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}
