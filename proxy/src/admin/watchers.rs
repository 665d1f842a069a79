//! `/events`: who watches is told once a second what goes on, as server-sent events. While nobody does, nothing is done.

use super::Door;
use super::overview::Observer;
use super::patience::Patience;
use bytes::Bytes;
use hyper::body::Body;
use hyper::body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;

/// At once. Each holds a connection of the door's for as long as it watches.
pub(super) const MOST: usize = 8;
/// From one look to the next.
const EVERY: Duration = Duration::from_secs(1);
/// Events that a watcher may be behind. One that is slower misses some: what it wants to know is how things are now.
const BEHIND: usize = 2;

/// Everybody who watches.
#[derive(Debug, Default)]
pub struct Watchers(Mutex<Watching>);

#[derive(Debug, Default)]
struct Watching {
    watchers: Vec<mpsc::Sender<Bytes>>,
    /// Somebody looks for them.
    looked_for: bool,
    /// The event that was told last.
    newest: Option<Bytes>,
}

/// More than [`MOST`] watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} watch already, and none of them has to go for another")]
pub(super) struct Crowded;

/// What one watcher is told: a body without an end.
#[derive(Debug)]
pub(super) struct Events {
    told: mpsc::Receiver<Bytes>,
    patience: Arc<Patience>,
}

impl Watchers {
    /// Whether there is a place.
    pub(super) fn has_place(&self) -> Result<(), Crowded> {
        self.lock().has_place()
    }

    /// Whether nobody looks for anybody.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        !self.lock().looked_for
    }

    fn lock(&self) -> MutexGuard<'_, Watching> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    fn has_place(&mut self) -> Result<(), Crowded> {
        self.watchers.retain(|watcher| !watcher.is_closed());
        if self.watchers.len() < MOST {
            Ok(())
        } else {
            Err(Crowded)
        }
    }
}

/// Watches from now on, until the result is dropped. Every event that is taken shows that whoever asked still reads.
pub(super) fn watch(door: &Arc<Door>, patience: Arc<Patience>) -> Result<Events, Crowded> {
    let mut watching = door.watchers.lock();
    watching.has_place()?;
    let (tell, told) = mpsc::channel(BEHIND);
    // It has room, and who has just come waits for nothing.
    if let Some(newest) = watching.newest.clone() {
        let _ = tell.try_send(newest);
    }
    watching.watchers.push(tell);
    if !watching.looked_for {
        watching.looked_for = true;
        tokio::spawn(look(Arc::clone(door)));
    }
    drop(watching);
    Ok(Events { told, patience })
}

/// Looks and tells, until nobody watches.
async fn look(door: Arc<Door>) {
    let mut moments = interval(EVERY);
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut observer = Observer::default();
    loop {
        moments.tick().await;
        // Of a large mesh it takes longer than others on this thread should wait.
        let looking = {
            let door = Arc::clone(&door);
            tokio::task::spawn_blocking(move || {
                let event = event(&mut observer, &door);
                (observer, event)
            })
        };
        let Ok((looked, event)) = looking.await else {
            // The process ends, or it has failed: with the next watcher it begins anew.
            return door.watchers.lock().end();
        };
        observer = looked;
        let mut watching = door.watchers.lock();
        watching.watchers.retain(|watcher| !watcher.is_closed());
        if watching.watchers.is_empty() {
            return watching.end();
        }
        for watcher in &watching.watchers {
            // One that is behind misses it.
            let _ = watcher.try_send(event.clone());
        }
        watching.newest = Some(event);
    }
}

impl Watching {
    fn end(&mut self) {
        *self = Self::default();
    }
}

fn event(observer: &mut Observer, door: &Door) -> Bytes {
    match serde_json::to_string(&observer.look(door)) {
        // JSON has no line ends of its own, so that a line is an event.
        Ok(overview) => Bytes::from(format!("data: {overview}\n\n")),
        Err(error) => Bytes::from(format!(": {error}\n\n")),
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = ready!(self.told.poll_recv(cx));
        // It is asked for only when what was written before has found room.
        self.patience.renew();
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}
