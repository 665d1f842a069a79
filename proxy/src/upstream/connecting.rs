//! New connections to endpoints: to ourselves in-process, to others over TCP, never to our own listeners.

use super::backoff::{Admission, Booked};
use super::endpoint::{Endpoint, InFlight};
use super::http1::Http1;
use super::http2::{Http2, Turn, establish};
use super::{Cluster, Upstreams};
use crate::failure::Reason;
use crate::net::connect::connect;
use crate::net::local::Local;
use crate::net::meter::{Meter, Peer};
use crate::net::options::{Keepalive, TcpOptions};
use crate::net::stream::Stream;
use crate::snapshot::Cluster as Configuration;
use crate::telemetry::Version;
use evenkeel_control_api::resource::listener::Direction;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// Why there is no connection, and who found out.
#[derive(Clone, Copy, Debug)]
pub enum Unreached {
    /// This request did.
    First(Reason),
    /// Another one did: this one waited for its attempt, or had begun one of its own before the endpoint was known to be
    /// dead. So it is one failure for all that were under way, and none for those that came later: they see the pause.
    Joined(Reason),
}

impl Unreached {
    /// Why.
    pub fn reason(self) -> Reason {
        match self {
            Self::First(reason) | Self::Joined(reason) => reason,
        }
    }
}

/// Bytes that an in-process stream holds for a reader that is behind.
const LOCAL_BUFFER: usize = 64 * 1024;

impl Upstreams {
    /// Opens a connection. A failure counts against the endpoint at once, a success forgives it.
    pub async fn dial(
        &self,
        cluster: &Configuration,
        endpoint: &Endpoint,
        direction: Direction,
    ) -> Result<Stream, Unreached> {
        let stream = self.open(cluster, endpoint, direction).await?;
        endpoint.shared.backoff.succeeded();
        Ok(stream)
    }

    async fn open(
        &self,
        cluster: &Configuration,
        endpoint: &Endpoint,
        direction: Direction,
    ) -> Result<Stream, Unreached> {
        if self.own.is_listener(endpoint.address) {
            tracing::warn!(upstream = %endpoint.address, cluster = %cluster.name, "an endpoint is this proxy's own listener: refused");
            return Err(Unreached::First(Reason::ConnectRefused));
        }
        if direction == Direction::Outbound
            && self.own.is_own(endpoint.address.ip())
            && let Some(dialer) = &*self.local.borrow()
        {
            let (ours, theirs) = Local::pair(LOCAL_BUFFER);
            dialer(endpoint.address, Stream::Local(theirs));
            return Ok(Stream::Local(ours));
        }
        let known = endpoint.shared.backoff.admission(self.millis(Instant::now())) == Admission::Paused;
        match connect(endpoint.address, &tcp_options(cluster), cluster.connect_timeout).await {
            Ok(stream) => {
                endpoint.shared.opened.fetch_add(1, Ordering::Relaxed);
                Ok(Stream::Tcp(stream))
            }
            Err(error) => {
                tracing::debug!(%error, cluster = %cluster.name, "a connection attempt failed");
                match self.failed(endpoint) {
                    // Who tries one that is known to be dead, because all are, has only himself to blame.
                    Booked::Joined if !known => Err(Unreached::Joined(error.reason)),
                    Booked::Joined | Booked::Counted => Err(Unreached::First(error.reason)),
                }
            }
        }
    }

    /// Books a failure that speaks against the endpoint: it could not be reached, or closed without an answer.
    pub fn failed(&self, endpoint: &Endpoint) -> Booked {
        let now = self.millis(Instant::now());
        endpoint.shared.failed.fetch_add(1, Ordering::Relaxed);
        endpoint.shared.load.penalise(now);
        endpoint
            .shared
            .backoff
            .failed(now, &mut self.dice.borrow_mut(), self.pauses)
    }

    /// A connection for one HTTP/1 exchange, out of the pool or new.
    pub async fn http1(
        &self,
        cluster: &Cluster,
        endpoint: &Rc<Endpoint>,
        direction: Direction,
        now: Instant,
    ) -> Result<Http1, Unreached> {
        if let Some(lease) = self.pooled(endpoint, now) {
            return Ok(lease);
        }
        self.fresh_http1(cluster, endpoint, direction).await
    }

    /// A new connection for one HTTP/1 exchange, past the pool.
    pub async fn fresh_http1(
        &self,
        cluster: &Cluster,
        endpoint: &Rc<Endpoint>,
        direction: Direction,
    ) -> Result<Http1, Unreached> {
        let in_flight = InFlight::begin(endpoint);
        let waiting = self.book.pool(Version::Http1).wait();
        let stream = self.dial(&cluster.configuration, endpoint, direction).await?;
        drop(waiting);
        self.book.pool(Version::Http1).opened.increment();
        Ok(Http1 {
            stream,
            in_flight,
            reused: false,
            carried: 1,
        })
    }

    /// A stream of an HTTP/2 connection, opening another connection when all are at the peer's limit.
    pub async fn http2(
        self: &Rc<Self>,
        cluster: &Rc<Cluster>,
        endpoint: &Rc<Endpoint>,
        direction: Direction,
    ) -> Result<Http2, Unreached> {
        loop {
            let (opening, unreached): (_, fn(Reason) -> Unreached) = match endpoint.http2.turn(endpoint) {
                Turn::Leased(mut lease) => {
                    // A connection that has said goodbye refuses here, before anything is lost or counted as an attempt.
                    if poll_fn(|cx| lease.sender.poll_ready(cx)).await.is_err() {
                        lease.retire();
                        continue;
                    }
                    if lease.reused {
                        self.book.pool(Version::Http2).reused.increment();
                    }
                    return Ok(lease);
                }
                Turn::Wait(opening) => (opening, Unreached::Joined),
                Turn::Open(opening) => {
                    self.open_http2(Rc::clone(cluster), Rc::clone(endpoint), direction);
                    (opening, Unreached::First)
                }
            };
            let waiting = self.book.pool(Version::Http2).wait();
            opening.settled().await.map_err(unreached)?;
            drop(waiting);
        }
    }

    /// On a task of its own: the stream that asked first may be cancelled, those that wait must not be.
    fn open_http2(self: &Rc<Self>, cluster: Rc<Cluster>, endpoint: Rc<Endpoint>, direction: Direction) {
        let upstreams = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let options = cluster.configuration.http.http2;
            let speak = |stream| {
                let meter = Meter::new(Peer::Server, upstreams.control_frames, Instant::now());
                establish(&endpoint, stream, options, meter, cluster.configuration.connect_timeout)
            };
            let opened = async {
                if let Some(stream) = endpoint.idle.take_untouched(Instant::now()) {
                    // It may have been closed for its age.
                    return speak(stream).await;
                }
                let stream = upstreams.open(&cluster.configuration, &endpoint, direction).await;
                let stream = stream.map_err(Unreached::reason)?;
                // An endpoint that accepts and does not serve is as dead as one that refuses: only one that serves is forgiven.
                speak(stream).await.inspect_err(|_| {
                    upstreams.failed(&endpoint);
                })?;
                endpoint.shared.backoff.succeeded();
                Ok(())
            };
            match opened.await {
                Ok(()) => upstreams.book.pool(Version::Http2).opened.increment(),
                Err(reason) => endpoint.http2.failed(reason),
            }
        });
    }
}

fn tcp_options(cluster: &Configuration) -> TcpOptions {
    let tcp = cluster.tcp;
    TcpOptions {
        keepalive: Some(Keepalive {
            idle: tcp.keepalive_idle,
            interval: tcp.keepalive_interval,
            count: tcp.keepalive_count,
        }),
        user_timeout: Some(tcp.user_timeout),
    }
}
