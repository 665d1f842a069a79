//! One kind of objects, listed and watched for ever.
//!
//! A list in pages, then a watch from there; when the API server has forgotten where that was (410 Gone), a list again.
//! Whatever fails, what was seen last stays in force, and the next attempt waits a little longer. `kube`'s own watcher is not
//! used: it tells neither that a watch works again nor when a bookmark came, and one list that hangs would stop it.

mod failure;
mod status;

use super::key::Key;
use super::kind::{Kind, Need};
use super::objects::{self, Kept, Object, Written, route};
use super::world::Event as Seen;
use failure::{Failure, Pauses};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
pub use status::{Condition, Status, Watches};
use std::collections::HashSet;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::StreamExt;

/// Objects in a page of a list: what is decoded at the same time.
const PAGE: u32 = 500;
/// The API server ends a watch after this time, and it is begun again where it was.
const WATCH_SECONDS: u32 = 120;
/// An API server that has not ended it by then has vanished.
const WATCH_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 10);
/// For a page of a list, and for the beginning of a watch.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Between questions for a kind that the cluster does not have.
const MISSING_PAUSE: Duration = Duration::from_mins(1);

/// Begins to watch every kind. The watches end with the receiver of `seen`, and with what is returned.
pub fn begin(client: &Client, watches: &Arc<Watches>, seen: &mpsc::Sender<Seen>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let watch = |kind| Watch {
        kind,
        client: client.clone(),
        watches: Arc::clone(watches),
        seen: seen.clone(),
    };
    tasks.spawn(watch(Kind::Service).core::<core::Service>(|it, faults| Some(objects::service::keep(it, faults))));
    tasks.spawn(watch(Kind::EndpointSlice).core::<discovery::EndpointSlice>(objects::endpoint_slice::keep));
    tasks.spawn(watch(Kind::Pod).core::<core::Pod>(|it, faults| Some(objects::pod::keep(it, faults))));
    tasks.spawn(watch(Kind::Node).core::<core::Node>(|it, _| Some(objects::node::keep(it))));
    tasks.spawn(watch(Kind::Namespace).core::<core::Namespace>(|it, _| Some(objects::namespace::keep(it))));
    tasks.spawn(watch(Kind::HttpRoute).written(|it, _| Some(route::keep(Kind::HttpRoute, &it))));
    tasks.spawn(watch(Kind::GrpcRoute).written(|it, _| Some(route::keep(Kind::GrpcRoute, &it))));
    tasks.spawn(watch(Kind::TlsRoute).written(|it, _| Some(route::keep(Kind::TlsRoute, &it))));
    tasks.spawn(watch(Kind::TcpRoute).written(|it, _| Some(route::keep(Kind::TcpRoute, &it))));
    tasks.spawn(watch(Kind::ReferenceGrant).written(|it, faults| Some(objects::grant::keep(&it, faults))));
    tasks.spawn(watch(Kind::TrafficPolicy).written(|it, _| Some(objects::policy::keep(&it))));
    tasks
}

/// The watch of one kind.
struct Watch {
    kind: Kind,
    client: Client,
    watches: Arc<Watches>,
    seen: mpsc::Sender<Seen>,
}

/// Takes of an object what is used, and says what is wrong with it.
type Keep<K> = fn(K, &mut Vec<String>) -> Option<Object>;

impl Watch {
    /// A kind that every cluster has, in the version of its type.
    async fn core<K>(self, keep: Keep<K>)
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + 'static,
    {
        self.follow(&[()], keep).await;
    }

    /// A kind that comes with a CRD, in the best version that the cluster has.
    async fn written(self, keep: Keep<Written>) {
        let versions: Vec<_> = self.kind.api_resources().collect();
        self.follow(&versions, keep).await;
    }

    /// Ends when nobody takes what is seen any more.
    async fn follow<K>(self, versions: &[K::DynamicType], keep: Keep<K>)
    where
        K: Resource + DeserializeOwned + Clone + Debug + Send + 'static,
    {
        let api = |version| Api::<DeserializeGuard<K>>::all_with(self.client.clone(), version);
        let apis: Vec<_> = versions.iter().map(api).collect();
        // Which one, and how many were not there since one was.
        let (mut current, mut missing) = (0, 0);
        let mut pauses = Pauses::default();
        // Where the watch is to go on; `None`: nothing was listed yet, or the API server has forgotten where we were.
        let mut version = None;
        while !self.seen.is_closed() {
            let done = match &mut version {
                None => self
                    .list(&apis[current], keep)
                    .await
                    .map(|listed| version = Some(listed)),
                Some(version) => self.watch(&apis[current], keep, version).await,
            };
            match done {
                Ok(()) => {
                    pauses.reset();
                    missing = 0;
                }
                Err(Failure::Closed) => return,
                Err(Failure::Missing) if missing + 1 < apis.len() => {
                    // Another version may be there; also where a CRD was changed and serves others.
                    (current, missing, version) = ((current + 1) % apis.len(), missing + 1, None);
                }
                Err(failure) => {
                    if matches!(failure, Failure::Gone) {
                        version = None;
                    }
                    if matches!(failure, Failure::Missing) {
                        (current, missing, version) = (0, 0, None);
                    }
                    let pause = match (&failure, self.kind.need()) {
                        (Failure::Missing, Need::IfInstalled) => MISSING_PAUSE,
                        _ => pauses.next(dice()),
                    };
                    // An API server that is away says nothing of what it has: that is waited for.
                    let unavailable = matches!(failure, Failure::Missing | Failure::Forbidden(_));
                    self.watches.failed(self.kind, failure);
                    // Told again and again: whoever waits needs it once, and has room for it.
                    if unavailable
                        && self.kind.need() == Need::IfInstalled
                        && self.tell(Seen::Unavailable(self.kind)).await.is_err()
                    {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Lists all pages; where a watch can go on.
    async fn list<K>(&self, api: &Api<DeserializeGuard<K>>, keep: Keep<K>) -> Result<String, Failure>
    where
        K: Resource + DeserializeOwned + Clone + Debug + Send + 'static,
    {
        let mut there = HashSet::new();
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = timeout(ANSWER_TIMEOUT, api.list(&page)).await;
            let list = list.map_err(|_| Failure::slow("list"))?;
            let list = list.map_err(|error| Failure::of(self.kind, "list", error))?;
            for object in list.items {
                let key = Key::of(&object);
                there.insert(key.clone());
                self.tell(Seen::Applied(self.kind, key, kept(object, keep))).await?;
            }
            if let Some(token) = list.metadata.continue_.filter(|token| !token.is_empty()) {
                page = page.continue_token(&token);
                continue;
            }
            self.tell(Seen::Listed(self.kind, there)).await?;
            self.watches.listed(self.kind);
            let version = list.metadata.resource_version.filter(|version| !version.is_empty());
            return version.ok_or_else(|| Failure::other("the list has no resourceVersion".to_owned()));
        }
    }

    /// Watches from `version` on, and keeps that up to date. `Ok`: the API server has ended it, as it does from time to time.
    async fn watch<K>(&self, api: &Api<DeserializeGuard<K>>, keep: Keep<K>, version: &mut String) -> Result<(), Failure>
    where
        K: Resource + DeserializeOwned + Clone + Debug + Send + 'static,
    {
        // Bookmarks are asked for by default.
        let parameters = WatchParams::default().timeout(WATCH_SECONDS);
        let events = timeout(ANSWER_TIMEOUT, api.watch(&parameters, version)).await;
        let events = events.map_err(|_| Failure::slow("watch"))?;
        let mut events = pin!(events.map_err(|error| Failure::of(self.kind, "watch", error))?);
        self.watches.watching(self.kind);
        let mut any = false;
        loop {
            let event = timeout(WATCH_TIMEOUT, events.next()).await;
            let Some(event) = event.map_err(|_| Failure::slow("watch"))? else {
                // One that ends before it has said anything must not be begun again at once, for ever.
                return if any { Ok(()) } else { Err(Failure::Ended) };
            };
            any = true;
            let object = match event.map_err(|error| Failure::of(self.kind, "watch", error))? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    let at = object.resource_version();
                    let seen = Seen::Applied(self.kind, Key::of(&object), kept(object, keep));
                    (at, Some(seen))
                }
                WatchEvent::Deleted(object) => {
                    let at = object.resource_version();
                    (at, Some(Seen::Gone(self.kind, Key::of(&object))))
                }
                WatchEvent::Bookmark(bookmark) => (Some(bookmark.metadata.resource_version), None),
                WatchEvent::Error(status) => {
                    return Err(Failure::of(self.kind, "watch", kube::Error::Api(status)));
                }
            };
            let (at, seen) = object;
            if let Some(seen) = seen {
                self.tell(seen).await?;
            }
            if let Some(at) = at.filter(|at| !at.is_empty()) {
                *version = at;
            }
            self.watches.heard(self.kind);
        }
    }

    async fn tell(&self, seen: Seen) -> Result<(), Failure> {
        self.seen.send(seen).await.map_err(|_| Failure::Closed)
    }
}

fn kept<K: Resource>(DeserializeGuard(object): DeserializeGuard<K>, keep: Keep<K>) -> Kept {
    let mut faults = Vec::new();
    match object {
        Ok(object) => {
            let meta = object.meta();
            let (uid, generation) = (meta.uid.clone().unwrap_or_default(), meta.generation);
            let object = keep(object, &mut faults);
            Kept {
                uid,
                generation,
                object,
                faults,
            }
        }
        Err(unreadable) => Kept {
            uid: unreadable.metadata.uid.unwrap_or_default(),
            generation: unreadable.metadata.generation,
            object: None,
            faults: vec![format!("it cannot be read: {}", unreadable.error)],
        },
    }
}

fn dice() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}
