//! A stream of events that follows the log, until its time is over, its client is gone, or the test ends it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use http_body_util::channel::SendError;
use http_body_util::channel::Sender;
use http_body_util::combinators::BoxBody;
use hyper::body::Body;
use hyper::body::Frame;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use super::list::matching;
use super::list::only_metadata;
use super::path::Query;
use super::path::Target;
use super::selector::Selector;
use super::status::Refusal;
use super::store::Change;
use super::store::Entry;
use super::world::Counts;
use super::world::Shared;
use super::world::World;

/// Events that wait for a client that does not read.
const WAITING: usize = 64;

/// What concerns all watches.
#[derive(Debug, Default)]
pub(super) struct Watches {
    /// How many are open, by kind.
    pub(super) open: Counts,
    /// Those that were begun before are broken off.
    pub(super) cut: u64,
    /// The time of those that were begun before is over.
    pub(super) over: u64,
    /// Those that were begun before are told that what they want is gone.
    pub(super) expired: u64,
    /// How many bookmarks everyone has got who wants them.
    pub(super) bookmarks: u64,
}

/// A watch.
struct Follower {
    target: Target,
    selector: Selector,
    metadata_only: bool,
    wants_bookmarks: bool,
    until: Instant,
    seen: u64,
    cut: u64,
    over: u64,
    expired: u64,
    bookmarks: u64,
}

/// What a look at the world brings.
enum Step {
    Lines(Vec<Bytes>),
    Last(Vec<Bytes>),
    BrokenOff,
}

// === impl Follower ===

impl Follower {
    /// And the lines that it begins with: what there is, where the client has seen nothing yet.
    fn begin(world: &World, target: &Target, query: &Query, metadata_only: bool) -> (Self, Vec<Bytes>) {
        let seen = query.number("resourceVersion").filter(|&version| version > 0);
        let mut follower = Self {
            selector: Selector::parse(query.value("labelSelector"), query.value("fieldSelector")),
            target: target.clone(),
            metadata_only,
            wants_bookmarks: query.says("allowWatchBookmarks"),
            until: Instant::now() + Duration::from_secs(query.number("timeoutSeconds").unwrap_or(1800)),
            seen: seen.unwrap_or(world.store.version()),
            cut: world.watches.cut,
            over: world.watches.over,
            expired: world.watches.expired,
            bookmarks: world.watches.bookmarks,
        };
        let all = query.says("sendInitialEvents");
        if seen.is_some() && !all {
            return (follower, Vec::new());
        }
        follower.seen = world.store.version();
        let objects = matching(world, target, query);
        let mut lines: Vec<_> = objects
            .map(|object| follower.line(Change::Added.word(), object))
            .collect();
        if all {
            lines.push(follower.bookmark(world, &json!({"k8s.io/initial-events-end": "true"})));
        }
        (follower, lines)
    }

    fn look(&mut self, world: &World) -> Step {
        if self.cut < world.watches.cut {
            return Step::BrokenOff;
        }
        if world.faults.held {
            return Step::Lines(Vec::new());
        }
        if self.expired < world.watches.expired {
            return gone();
        }
        let Ok(entries) = world.store.since(self.seen) else {
            return gone();
        };
        let mut lines: Vec<_> = entries.iter().filter_map(|entry| self.event(entry)).collect();
        self.seen = world.store.version();
        if self.bookmarks < world.watches.bookmarks {
            self.bookmarks = world.watches.bookmarks;
            lines.extend(self.wants_bookmarks.then(|| self.bookmark(world, &json!({}))));
        }
        if self.over < world.watches.over {
            return Step::Last(lines);
        }
        Step::Lines(lines)
    }

    /// What an entry of the log is for this watch: an object that fits the selector no more is gone for it.
    fn event(&self, entry: &Entry) -> Option<Bytes> {
        let namespace = entry.object["metadata"]["namespace"].as_str();
        if entry.kind != self.target.kind
            || self.target.namespace.is_some() && self.target.namespace.as_deref() != namespace
        {
            return None;
        }
        let fitted = entry.before.as_ref().is_some_and(|before| self.selector.fits(before));
        let fits = entry.change != Change::Deleted && self.selector.fits(&entry.object);
        let change = match (fitted, fits) {
            (false, false) => return None,
            (false, true) => Change::Added,
            (true, true) => Change::Modified,
            (true, false) => Change::Deleted,
        };
        Some(self.line(change.word(), &entry.object))
    }

    fn line(&self, word: &str, object: &Value) -> Bytes {
        if self.metadata_only {
            return line(word, &only_metadata(object));
        }
        line(word, object)
    }

    fn bookmark(&self, world: &World, annotations: &Value) -> Bytes {
        let version = world.store.version().to_string();
        let object = json!({
            "apiVersion": self.target.kind.api_version(), "kind": self.target.kind.name,
            "metadata": {"resourceVersion": version, "annotations": annotations},
        });
        line("BOOKMARK", &object)
    }
}

/// Begins a watch; the body goes on by itself.
pub(super) fn watch(
    shared: &Arc<Shared>,
    target: &Target,
    query: &Query,
    metadata_only: bool,
) -> BoxBody<Bytes, io::Error> {
    let (out, body) = Channel::new(WAITING);
    let (follower, lines) = Follower::begin(&shared.lock(), target, query, metadata_only);
    tokio::spawn(follow(Arc::clone(shared), follower, lines, out));
    Counted::new(shared, target.kind.plural, body).boxed()
}

async fn follow(shared: Arc<Shared>, mut follower: Follower, lines: Vec<Bytes>, mut out: Sender<Bytes, io::Error>) {
    let mut changes = shared.changes();
    let mut step = Step::Lines(lines);
    loop {
        match step {
            Step::Lines(lines) => {
                if send(&mut out, lines).await.is_err() {
                    return;
                }
            }
            Step::Last(lines) => return drop(send(&mut out, lines).await),
            Step::BrokenOff => return out.abort(io::ErrorKind::ConnectionReset.into()),
        }
        changes.borrow_and_update();
        step = follower.look(&shared.lock());
        if !matches!(&step, Step::Lines(lines) if lines.is_empty()) {
            continue;
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep_until(follower.until) => return,
        }
    }
}

async fn send(out: &mut Sender<Bytes, io::Error>, lines: Vec<Bytes>) -> Result<(), SendError> {
    for line in lines {
        out.send_data(line).await?;
    }
    Ok(())
}

fn gone() -> Step {
    Step::Last(vec![line("ERROR", &Refusal::gone().status())])
}

fn line(word: &str, object: &Value) -> Bytes {
    format!("{}\n", json!({"type": word, "object": object})).into()
}

/// A body that counts as an open watch for as long as somebody has it.
struct Counted {
    shared: Arc<Shared>,
    plural: &'static str,
    body: Channel<Bytes, io::Error>,
}

// === impl Counted ===

impl Counted {
    fn new(shared: &Arc<Shared>, plural: &'static str, body: Channel<Bytes, io::Error>) -> Self {
        *shared.lock().watches.open.entry(plural).or_default() += 1;
        Self {
            shared: Arc::clone(shared),
            plural,
            body,
        }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(open) = self.shared.lock().watches.open.get_mut(self.plural) {
            *open -= 1;
        }
    }
}
