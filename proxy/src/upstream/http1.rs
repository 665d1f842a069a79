//! Idle HTTP/1 connections of one worker to one endpoint. Newest first: the oldest are the likeliest to be closed under us.

use super::endpoint::InFlight;
use super::shared::Shared;
use crate::net::stream::Stream;
use crate::telemetry::{Book, Eviction, Version};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

/// A speculative connection may be used while younger than this: servers run a first-request timer.
pub const UNTOUCHED_FOR: Duration = Duration::from_secs(1);

/// An HTTP/1 connection to an endpoint, leased for one exchange.
#[derive(Debug)]
pub struct Http1 {
    /// The connection.
    pub stream: Stream,
    /// Counts the exchange.
    pub in_flight: InFlight,
    /// It came out of the pool, so that the idle race is possible (RFC 9112 9.3.1).
    pub reused: bool,
    /// Requests that it has carried, with this one.
    pub(super) carried: u32,
}

/// One worker's account of idle connections: how many it may keep, how many it keeps.
#[derive(Debug)]
pub(super) struct Ledger {
    /// For one endpoint.
    pub(super) per_endpoint: usize,
    /// In all.
    pub(super) total: usize,
    /// Now.
    pub(super) kept: Cell<usize>,
    /// Where it is shown.
    pub(super) book: Arc<Book>,
}

/// The idle connections to one endpoint. Whatever becomes of them, the account is right: also when the pool is dropped
/// with an endpoint that has left the configuration.
#[derive(Debug)]
pub(super) struct IdlePool {
    connections: RefCell<Vec<Idle>>,
    /// The endpoint has left the configuration: nothing is kept any more.
    retired: Cell<bool>,
    ledger: Rc<Ledger>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    expires: Instant,
    /// Requests that it has carried. None: it may still become an HTTP/2 connection.
    carried: u32,
}

impl Ledger {
    fn evicted(&self, why: Eviction, count: u64) {
        self.book.pool(Version::Http1).evicted(why, count);
    }
}

impl Idle {
    /// Why it may not be used any more.
    fn fault(&mut self, now: Instant) -> Option<Eviction> {
        if self.expires <= now {
            return Some(Eviction::IdleTimeout);
        }
        (!is_silent(&mut self.stream)).then_some(Eviction::EndpointClosed)
    }
}

impl IdlePool {
    pub(super) fn new(ledger: Rc<Ledger>, shared: Arc<Shared>) -> Self {
        Self {
            connections: RefCell::default(),
            retired: Cell::new(false),
            ledger,
            shared,
        }
    }

    /// The newest connection that is still open and silent, and how many requests it has carried.
    pub(super) fn take(&self, now: Instant) -> Option<(Stream, u32)> {
        let mut connections = self.connections.borrow_mut();
        while let Some(mut idle) = connections.pop() {
            self.count(-1);
            match idle.fault(now) {
                None => return Some((idle.stream, idle.carried)),
                Some(why) => self.ledger.evicted(why, 1),
            }
        }
        None
    }

    /// A connection on which nothing was sent yet.
    pub(super) fn take_untouched(&self, now: Instant) -> Option<Stream> {
        let mut connections = self.connections.borrow_mut();
        let place = connections
            .iter()
            .position(|idle| idle.carried == 0 && idle.expires > now)?;
        let mut idle = connections.remove(place);
        self.count(-1);
        is_silent(&mut idle.stream).then_some(idle.stream)
    }

    /// Keeps a connection, or closes it when enough are kept.
    pub(super) fn give(&self, stream: Stream, expires: Instant, carried: u32) {
        let mut connections = self.connections.borrow_mut();
        let ledger = &self.ledger;
        if self.retired.get() {
            return ledger.evicted(Eviction::EndpointGone, 1);
        }
        if connections.len() >= ledger.per_endpoint || ledger.kept.get() >= ledger.total {
            return ledger.evicted(Eviction::Surplus, 1);
        }
        self.count(1);
        connections.push(Idle {
            stream,
            expires,
            carried,
        });
    }

    /// Closes what has expired, was closed by the server, or said something unasked.
    pub(super) fn sweep(&self, now: Instant) {
        let mut connections = self.connections.borrow_mut();
        connections.retain_mut(|idle| {
            let fault = idle.fault(now);
            if let Some(why) = fault {
                self.count(-1);
                self.ledger.evicted(why, 1);
            }
            fault.is_none()
        });
        if connections.is_empty() {
            connections.shrink_to_fit();
        }
    }

    /// Closes all of them, and keeps none from now on.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        let count = self.connections.take().len();
        self.count(-(count as i64));
        self.ledger.evicted(Eviction::EndpointGone, count as u64);
    }

    /// Whose connections these are.
    pub(super) fn worker(&self) -> usize {
        self.ledger.book.worker()
    }

    pub(super) fn len(&self) -> usize {
        self.connections.borrow().len()
    }

    fn count(&self, by: i64) {
        self.ledger
            .kept
            .set(self.ledger.kept.get().saturating_add_signed(by as isize));
        self.ledger.book.pool(Version::Http1).idle.add(by);
        self.shared.idle.fetch_add(by, Ordering::Relaxed);
    }
}

impl Drop for IdlePool {
    fn drop(&mut self) {
        self.retire();
    }
}

/// Whether an idle connection is open and silent. Costs no syscall while tokio has seen no event for it.
fn is_silent(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(stream).poll_read(&mut context, &mut buffer).is_pending()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, DuplexStream};

    fn ledger() -> Rc<Ledger> {
        Rc::new(Ledger {
            per_endpoint: 2,
            total: 3,
            kept: Cell::new(0),
            book: Book::new(0),
        })
    }

    fn pool(ledger: &Rc<Ledger>) -> IdlePool {
        IdlePool::new(Rc::clone(ledger), Arc::default())
    }

    /// Keeps a new connection for 4 s; the server's end of it.
    fn keep(pool: &IdlePool, now: Instant, untouched: bool) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64);
        pool.give(Stream::from(ours), now + Duration::from_secs(4), u32::from(!untouched));
        theirs
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_not_given_out() {
        let (ledger, now) = (ledger(), Instant::now());
        let pool = pool(&ledger);
        drop(keep(&pool, now, false));
        assert_eq!(ledger.kept.get(), 1);
        assert!(pool.take(now).is_none());
        assert_eq!(ledger.kept.get(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_said_something_unasked_is_swept_away() {
        let (ledger, now) = (ledger(), Instant::now());
        let pool = pool(&ledger);
        let mut theirs = keep(&pool, now, false);
        pool.sweep(now);
        assert_eq!(pool.len(), 1);
        theirs.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
        pool.sweep(now);
        assert_eq!((pool.len(), ledger.kept.get()), (0, 0));
    }

    #[tokio::test]
    async fn an_expired_connection_is_not_given_out() {
        let (ledger, now) = (ledger(), Instant::now());
        let pool = pool(&ledger);
        let _theirs = keep(&pool, now, false);
        assert!(pool.take(now + Duration::from_secs(4)).is_none());
    }

    #[tokio::test]
    async fn no_more_is_kept_than_the_ledger_says() {
        let (ledger, now) = (ledger(), Instant::now());
        let (first, second) = (pool(&ledger), pool(&ledger));
        let _theirs: Vec<_> = (0..3).map(|_| keep(&first, now, false)).collect();
        assert_eq!(first.len(), 2);
        let _theirs2: Vec<_> = (0..2).map(|_| keep(&second, now, false)).collect();
        assert_eq!((second.len(), ledger.kept.get()), (1, 3));
    }

    #[tokio::test]
    async fn the_account_is_right_when_an_endpoint_has_left() {
        let (ledger, now) = (ledger(), Instant::now());
        let (left, dropped) = (pool(&ledger), pool(&ledger));
        let _theirs = (keep(&left, now, false), keep(&dropped, now, false));
        left.retire();
        let _late = keep(&left, now, false);
        assert_eq!((left.len(), ledger.kept.get()), (0, 1));
        drop(dropped);
        assert_eq!(ledger.kept.get(), 0);
        assert_eq!(left.shared.idle.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn only_an_untouched_connection_may_change_its_protocol() {
        let (ledger, now) = (ledger(), Instant::now());
        let pool = pool(&ledger);
        let _theirs = keep(&pool, now, false);
        assert!(pool.take_untouched(now).is_none());
        let _theirs2 = keep(&pool, now, true);
        assert!(pool.take_untouched(now).is_some());
    }
}
