//! One worker's side of asking on demand: which destinations its connections use, and who waits for an answer.

use super::demand::Usage;
use crate::snapshot::Snapshot;
use evenkeel_control_api::mesh::settings::{Anywhere, OnDemand};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout_at};

/// How long a destination counts as used after its last connection: a client with a connection for each request does not
/// ask each time.
const LINGER: Duration = Duration::from_secs(30);

/// The destinations that the connections of one worker use.
#[derive(Debug)]
pub struct Asking {
    settings: OnDemand,
    orders: mpsc::UnboundedSender<Usage>,
    used: RefCell<HashMap<SocketAddr, Used>>,
    /// A new configuration is in force.
    news: Notify,
}

#[derive(Debug)]
struct Used {
    connections: usize,
    /// Nobody waits longer than this for the first answer.
    patience: Instant,
    /// When its last connection ended.
    since: Instant,
}

/// Keeps a destination in use until it is dropped.
#[derive(Debug)]
pub struct Lease {
    asking: Rc<Asking>,
    destination: SocketAddr,
}

/// What is known when the wait is over.
#[derive(Debug)]
pub enum Asked {
    /// Nothing has to be asked: look it up.
    Beyond,
    /// Look it up, as long as this is held.
    Known(Lease),
    /// No answer came in time, and without one it is refused.
    Refuse,
}

impl Asking {
    /// Tells what is used to `orders`.
    pub fn new(settings: OnDemand, orders: mpsc::UnboundedSender<Usage>) -> Self {
        Self {
            settings,
            orders,
            used: RefCell::default(),
            news: Notify::new(),
        }
    }

    /// Before a connection to `destination` is handled: asks, once for all connections, and waits for the answer.
    pub async fn ask(self: &Rc<Self>, destination: SocketAddr, snapshot: impl Fn() -> Option<Arc<Snapshot>>) -> Asked {
        let ip = destination.ip();
        if !self.settings.ranges.iter().any(|range| range.contains(ip)) {
            return Asked::Beyond;
        }
        if snapshot().is_some_and(|snapshot| snapshot.stands_in()) {
            // Nobody is there to be asked.
            return Asked::Beyond;
        }
        let Some(lease) = self.lease(destination) else {
            return self.without_answer(None);
        };
        loop {
            // Before the look, so that no news between both is missed.
            let news = self.news.notified();
            if snapshot().is_some_and(|snapshot| snapshot.answers(destination)) {
                return Asked::Known(lease);
            }
            let patience = self.used.borrow().get(&destination).map(|used| used.patience);
            let Some(patience) = patience else {
                return self.without_answer(Some(lease));
            };
            if timeout_at(patience, news).await.is_err() {
                return self.without_answer(Some(lease));
            }
        }
    }

    fn without_answer(&self, lease: Option<Lease>) -> Asked {
        match self.settings.without_answer {
            Anywhere::Refuse => Asked::Refuse,
            Anywhere::PassThrough => lease.map_or(Asked::Beyond, Asked::Known),
        }
    }

    /// A configuration is in force that was not before.
    pub fn news(&self) {
        self.news.notify_waiters();
    }

    /// Says of destinations that nobody has used for a while that they are not used. To be called about once a second.
    pub fn sweep(&self, now: Instant) {
        self.used.borrow_mut().retain(|destination, used| {
            let idle = used.connections == 0 && now.saturating_duration_since(used.since) >= LINGER;
            if idle {
                // The control thread ends with the process.
                let _ = self.orders.send(Usage::Ends(*destination));
            }
            !idle
        });
    }

    /// `None`: too many are in use.
    fn lease(self: &Rc<Self>, destination: SocketAddr) -> Option<Lease> {
        let mut used = self.used.borrow_mut();
        let now = Instant::now();
        if used.len() >= self.settings.most && !used.contains_key(&destination) {
            return None;
        }
        let entry = used.entry(destination).or_insert_with(|| {
            let _ = self.orders.send(Usage::Begins(destination));
            Used {
                connections: 0,
                patience: now + self.settings.wait,
                since: now,
            }
        });
        entry.connections += 1;
        Some(Lease {
            asking: Rc::clone(self),
            destination,
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(used) = self.asking.used.borrow_mut().get_mut(&self.destination) {
            used.connections = used.connections.saturating_sub(1);
            used.since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Answer, Compiler};
    use evenkeel_control_api::resource::Update;

    fn asking(without_answer: Anywhere) -> (Rc<Asking>, mpsc::UnboundedReceiver<Usage>) {
        let settings = OnDemand {
            without_answer,
            most: 2,
            ..OnDemand::default()
        };
        let (orders, told) = mpsc::unbounded_channel();
        (Rc::new(Asking::new(settings, orders)), told)
    }

    fn at(number: u8) -> SocketAddr {
        SocketAddr::from(([10, 96, 0, number], 80))
    }

    fn answered(destination: SocketAddr) -> Arc<Snapshot> {
        let mut compiler = Compiler::default();
        compiler.apply(&Update::default());
        compiler.answer(destination, Some(Answer::Nothing));
        Arc::new(compiler.snapshot(1))
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_what_is_not_asked_for_or_known() {
        let (asking, mut told) = asking(Anywhere::Refuse);
        assert!(matches!(
            asking.ask("192.0.2.1:80".parse().unwrap(), || None).await,
            Asked::Beyond
        ));
        assert!(told.try_recv().is_err());
        let known = answered(at(1));
        assert!(matches!(
            asking.ask(at(1), || Some(Arc::clone(&known))).await,
            Asked::Known(_)
        ));
        assert_eq!(told.try_recv().unwrap(), Usage::Begins(at(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_the_wait_of_all_who_asked_once() {
        let (asking, mut told) = asking(Anywhere::Refuse);
        let snapshot = Rc::new(RefCell::new(None));
        let look = || snapshot.borrow().clone();
        let tell = async {
            tokio::task::yield_now().await;
            *snapshot.borrow_mut() = Some(answered(at(1)));
            asking.news();
        };
        let (one, other, ()) = tokio::join!(asking.ask(at(1), look), asking.ask(at(1), look), tell);
        assert!(matches!((one, other), (Asked::Known(_), Asked::Known(_))));
        assert_eq!(told.try_recv().unwrap(), Usage::Begins(at(1)));
        assert!(told.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_the_wait_ends_once_for_all() {
        let began = Instant::now();
        let (asking, _told) = asking(Anywhere::PassThrough);
        let lease = asking.ask(at(1), || None).await;
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        assert!(matches!(lease, Asked::Known(_)));
        assert!(matches!(asking.ask(at(1), || None).await, Asked::Known(_)));
        assert_eq!(began.elapsed(), Duration::from_secs(1), "the next does not wait again");
        let (asking, _told) = self::asking(Anywhere::Refuse);
        assert!(matches!(asking.ask(at(1), || None).await, Asked::Refuse));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_is_told_after_a_while() {
        let (asking, mut told) = asking(Anywhere::PassThrough);
        let known = answered(at(1));
        let lease = asking.ask(at(1), || Some(Arc::clone(&known))).await;
        asking.sweep(Instant::now() + Duration::from_hours(1));
        assert_eq!(told.try_recv().unwrap(), Usage::Begins(at(1)));
        assert!(told.try_recv().is_err(), "it is in use");
        drop(lease);
        asking.sweep(Instant::now() + LINGER);
        assert_eq!(told.try_recv().unwrap(), Usage::Ends(at(1)));
    }
}
