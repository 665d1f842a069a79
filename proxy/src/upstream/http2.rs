//! HTTP/2 connections of one worker to one endpoint: as few as carry its streams.

use super::endpoint::{Endpoint, InFlight};
use crate::failure::Reason;
use crate::net::meter::{Meter, Seen};
use crate::net::prefixed::Prefixed;
use crate::net::scratch;
use crate::net::stream::Stream;
use bytes::Bytes;
use evenkeel_control_api::resource::listener::Http2Options;
use h2::Ping;
use h2::client::SendRequest;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Heads that an upstream may send us; the crate's own limit is 16 MiB.
const MAX_HEADER_LIST: u32 = 64 * 1024;
/// The crate counts 256 bytes for each small DATA frame that waits, and ends the connection with all its streams when they
/// exceed this many windows of a stream. (It charges what a frame lacks of 256 bytes.) So a stream of messages of 16 bytes that
/// nobody reads is stopped by its own window before that, and its neighbours go on.
const WINDOWS_OF_SMALL_FRAMES: usize = 16;

/// A stream on an HTTP/2 connection to an endpoint, leased for one exchange.
#[derive(Debug)]
pub struct Http2 {
    /// Opens the stream.
    pub sender: SendRequest<Bytes>,
    /// Counts the exchange.
    pub in_flight: InFlight,
    /// The connection served before.
    pub reused: bool,
    connection: Rc<Connection>,
}

impl Http2 {
    /// The connection refuses new streams from now on (GOAWAY, or an error that ended it).
    pub fn retire(&self) {
        self.connection.gone.set(true);
    }

    /// The endpoint sent more frames than may be that carry nothing, which has ended the connection.
    pub fn is_flooded(&self) -> bool {
        self.connection.seen.is_flood()
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get() - 1);
    }
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Bytes>,
    streams: Cell<usize>,
    /// Requests that it has carried.
    carried: Cell<u32>,
    /// Takes no new streams: it has ended, or said goodbye.
    gone: Rc<Cell<bool>>,
    seen: Rc<Seen>,
}

#[derive(Debug, Default)]
pub(super) struct Http2Pool {
    connections: RefCell<Vec<Rc<Connection>>>,
    opening: RefCell<Option<Rc<Opening>>>,
}

/// A connection that is being opened; streams that need it wait here.
#[derive(Debug, Default)]
pub(super) struct Opening {
    done: Notify,
    failed: Cell<Option<Reason>>,
}

/// What a caller has to do to get a stream.
pub(super) enum Turn {
    /// Here it is.
    Leased(Http2),
    /// Somebody else is opening a connection.
    Wait(Rc<Opening>),
    /// Nobody is: open one, and tell the others through [`Http2Pool::opened`] or [`Http2Pool::failed`].
    Open(Rc<Opening>),
}

impl Http2Pool {
    /// A stream on the connection with the fewest, or what to do to get one.
    pub(super) fn turn(&self, endpoint: &Rc<Endpoint>) -> Turn {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| !connection.gone.get());
        let free = connections
            .iter()
            .filter(|connection| connection.streams.get() < connection.sender.current_max_send_streams())
            .min_by_key(|connection| connection.streams.get());
        if let Some(connection) = free {
            connection.streams.set(connection.streams.get() + 1);
            let carried = connection.carried.get();
            connection.carried.set(carried.saturating_add(1));
            if endpoint.wears_out(connection.carried.get()) {
                // The last handle closes it, when the streams on it are done.
                connection.gone.set(true);
            }
            return Turn::Leased(Http2 {
                sender: connection.sender.clone(),
                in_flight: InFlight::begin(endpoint),
                reused: carried > 0,
                connection: Rc::clone(connection),
            });
        }
        let mut opening = self.opening.borrow_mut();
        if let Some(opening) = &*opening {
            return Turn::Wait(Rc::clone(opening));
        }
        Turn::Open(Rc::clone(opening.insert(Rc::default())))
    }

    fn opened(&self, sender: SendRequest<Bytes>, gone: Rc<Cell<bool>>, seen: Rc<Seen>) {
        let connection = Rc::new(Connection {
            sender,
            streams: Cell::new(0),
            carried: Cell::new(0),
            gone,
            seen,
        });
        self.connections.borrow_mut().push(connection);
        self.settle(None);
    }

    /// Tells those who wait that there will be no connection.
    pub(super) fn failed(&self, reason: Reason) {
        self.settle(Some(reason));
    }

    fn settle(&self, failed: Option<Reason>) {
        if let Some(opening) = self.opening.borrow_mut().take() {
            opening.failed.set(failed);
            opening.done.notify_waiters();
        }
    }

    /// Lets idle connections end: their handles go, the streams on them finish.
    pub(super) fn close(&self) {
        self.connections.borrow_mut().clear();
    }
}

impl Opening {
    /// Waits for the end of the attempt.
    pub(super) async fn settled(&self) -> Result<(), Reason> {
        self.done.notified().await;
        self.failed.get().map_or(Ok(()), Err)
    }
}

/// Speaks the preface on a fresh connection and keeps it in the endpoint's pool until it ends.
///
/// It is given out after the answer to a PING, within `patience`: the server's SETTINGS come before that answer, and how
/// many streams it takes is known when the first requests ask.
pub(super) async fn establish(
    endpoint: &Rc<Endpoint>,
    stream: Stream,
    options: Http2Options,
    meter: Meter,
    patience: Duration,
) -> Result<(), Reason> {
    let seen = meter.seen();
    let handshake = h2::client::Builder::new()
        .initial_window_size(options.stream_window)
        .initial_connection_window_size(options.connection_window)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_send_buffer_size(scratch::most())
        .data_frame_budget(WINDOWS_OF_SMALL_FRAMES * options.stream_window as usize)
        // Until the server's SETTINGS are here, as many as RFC 9113 6.5.2 asks servers to allow at least; the crate's
        // default is without limit, and what is above the server's would wait inside it.
        .initial_max_send_streams(100)
        .enable_push(false)
        .handshake(Prefixed::metered(stream, Vec::new(), meter))
        .await;
    let (sender, mut driver) = handshake.map_err(|_| Reason::UpstreamClosed)?;
    let ping = driver.ping_pong();
    endpoint.shared.multiplexed.fetch_add(1, Ordering::Relaxed);
    let holder: Weak<Endpoint> = Rc::downgrade(endpoint);
    let shared = Arc::clone(&endpoint.shared);
    let gone = Rc::new(Cell::new(false));
    let noticed = Rc::clone(&gone);
    tokio::task::spawn_local(async move {
        // Awaited where it is: moved, the task would have the room for it twice.
        if let Err(error) = (&mut driver).await {
            tracing::debug!(%error, "an HTTP/2 connection to an endpoint ended");
        }
        shared.multiplexed.fetch_sub(1, Ordering::Relaxed);
        noticed.set(true);
        if let Some(endpoint) = holder.upgrade() {
            endpoint
                .http2
                .connections
                .borrow_mut()
                .retain(|connection| !connection.gone.get());
        }
    });
    if let Some(mut ping) = ping {
        // A server that does not answer a PING may still serve; what it takes is found out by trying.
        let _ = timeout(patience, ping.ping(Ping::opaque())).await;
    }
    if gone.get() {
        return Err(if seen.is_flood() {
            Reason::UpstreamFlood
        } else {
            Reason::UpstreamClosed
        });
    }
    endpoint.http2.opened(sender, gone, seen);
    Ok(())
}
