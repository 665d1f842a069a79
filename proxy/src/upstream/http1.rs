//! Idle HTTP/1 connections of one worker to one endpoint. Newest first: the oldest are the likeliest to be closed under us.

use super::endpoint::InFlight;
use crate::net::stream::Stream;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
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
}

/// How many idle connections may be kept.
#[derive(Debug)]
pub(super) struct IdleBudget {
    /// For one endpoint.
    pub per_endpoint: usize,
    /// In all.
    pub total: usize,
    /// Now.
    pub kept: Cell<usize>,
}

#[derive(Debug, Default)]
pub(super) struct IdlePool {
    connections: RefCell<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    expires: Instant,
    /// Nothing was ever sent on it, so that it may still become an HTTP/2 connection.
    untouched: bool,
}

impl IdlePool {
    /// The newest connection that is still open and silent, and how many were not and are closed.
    pub(super) fn take(&self, now: Instant, budget: &IdleBudget) -> (Option<Stream>, usize) {
        let mut connections = self.connections.borrow_mut();
        let mut closed = 0;
        while let Some(mut idle) = connections.pop() {
            budget.kept.set(budget.kept.get() - 1);
            if idle.expires > now && is_silent(&mut idle.stream) {
                return (Some(idle.stream), closed);
            }
            closed += 1;
        }
        (None, closed)
    }

    /// A connection on which nothing was sent yet.
    pub(super) fn take_untouched(&self, now: Instant, budget: &IdleBudget) -> Option<Stream> {
        let mut connections = self.connections.borrow_mut();
        let place = connections
            .iter()
            .position(|idle| idle.untouched && idle.expires > now)?;
        let mut idle = connections.remove(place);
        budget.kept.set(budget.kept.get() - 1);
        is_silent(&mut idle.stream).then_some(idle.stream)
    }

    /// Keeps a connection, or closes it when enough are kept; says whether it was kept.
    pub(super) fn give(&self, stream: Stream, expires: Instant, untouched: bool, budget: &IdleBudget) -> bool {
        let mut connections = self.connections.borrow_mut();
        if connections.len() >= budget.per_endpoint || budget.kept.get() >= budget.total {
            return false;
        }
        budget.kept.set(budget.kept.get() + 1);
        connections.push(Idle {
            stream,
            expires,
            untouched,
        });
        true
    }

    /// Closes what has expired, was closed by the server, or said something unasked. Returns how many.
    pub(super) fn sweep(&self, now: Instant, budget: &IdleBudget) -> usize {
        let mut connections = self.connections.borrow_mut();
        let before = connections.len();
        connections.retain_mut(|idle| idle.expires > now && is_silent(&mut idle.stream));
        let gone = before - connections.len();
        if connections.is_empty() {
            connections.shrink_to_fit();
        }
        budget.kept.set(budget.kept.get() - gone);
        gone
    }

    /// Closes all of them. Returns how many.
    pub(super) fn close(&self, budget: &IdleBudget) -> usize {
        let closed = self.connections.take().len();
        budget.kept.set(budget.kept.get() - closed);
        closed
    }

    pub(super) fn len(&self) -> usize {
        self.connections.borrow().len()
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
    use tokio::io::AsyncWriteExt;

    fn budget() -> IdleBudget {
        IdleBudget {
            per_endpoint: 2,
            total: 3,
            kept: Cell::new(0),
        }
    }

    fn pair() -> (Stream, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(64);
        (Stream::Local(ours), theirs)
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_not_given_out() {
        let (pool, budget, now) = (IdlePool::default(), budget(), Instant::now());
        let (stream, theirs) = pair();
        assert!(pool.give(stream, now + Duration::from_secs(4), false, &budget));
        drop(theirs);
        assert!(matches!(pool.take(now, &budget), (None, 1)));
        assert_eq!(budget.kept.get(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_said_something_unasked_is_swept_away() {
        let (pool, budget, now) = (IdlePool::default(), budget(), Instant::now());
        let (stream, mut theirs) = pair();
        pool.give(stream, now + Duration::from_secs(4), false, &budget);
        assert_eq!(pool.sweep(now, &budget), 0);
        theirs.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
        assert_eq!(pool.sweep(now, &budget), 1);
        assert_eq!(budget.kept.get(), 0);
    }

    #[tokio::test]
    async fn an_expired_connection_is_not_given_out() {
        let (pool, budget, now) = (IdlePool::default(), budget(), Instant::now());
        let (stream, _theirs) = pair();
        pool.give(stream, now + Duration::from_secs(4), false, &budget);
        assert!(matches!(pool.take(now + Duration::from_secs(4), &budget), (None, 1)));
    }

    #[tokio::test]
    async fn no_more_is_kept_than_the_budget_says() {
        let (first, second, budget, now) = (IdlePool::default(), IdlePool::default(), budget(), Instant::now());
        let later = now + Duration::from_secs(4);
        let kept: Vec<_> = (0..3)
            .map(|_| pair())
            .map(|(stream, theirs)| (first.give(stream, later, false, &budget), theirs))
            .collect();
        assert_eq!(kept.iter().filter(|(kept, _)| *kept).count(), 2);
        let (stream, _a) = pair();
        assert!(second.give(stream, later, false, &budget));
        let (stream, _b) = pair();
        assert!(!second.give(stream, later, false, &budget));
    }

    #[tokio::test]
    async fn only_an_untouched_connection_may_change_its_protocol() {
        let (pool, budget, now) = (IdlePool::default(), budget(), Instant::now());
        let (stream, _theirs) = pair();
        pool.give(stream, now + UNTOUCHED_FOR, false, &budget);
        assert!(pool.take_untouched(now, &budget).is_none());
        let (stream, _theirs2) = pair();
        pool.give(stream, now + UNTOUCHED_FOR, true, &budget);
        assert!(pool.take_untouched(now, &budget).is_some());
    }
}
