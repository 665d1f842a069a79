//! The story of one connection, from accept to close.
//!
//! ```text
//! accept -> original destination -> what the snapshot says of it -> declared or detected -> the protocol's serve
//! ```

use crate::control::asking::Asked;
use crate::failure::Reason;
use crate::net::original_dst::{Arrival, original_dst};
use crate::net::scratch::poll_read_scratch;
use crate::net::stream::Stream;
use crate::protocol::detect::sniff::{ClientHello, Hello, client_hello};
use crate::protocol::detect::{Detected, Refused, detect};
use crate::protocol::{Context, Session, Spoken, http, opaque};
use crate::snapshot::{self, Detection, Handling, Opening, Versions};
use crate::telemetry::{self, ConnectionRecord, Verdict};
use evenkeel_control_api::resource::listener::Direction;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::TcpStream;

/// One read of a TLS hello.
const HELLO: usize = 16 * 1024;

/// How a connection came to us.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Which side of the application.
    pub direction: Direction,
    /// Who connected.
    pub peer: SocketAddr,
    /// The port of the listener that accepted it.
    pub listening: u16,
}

/// Serves a connection that one of our listeners accepted.
pub async fn accepted(context: Rc<Context>, socket: TcpStream, origin: Origin) {
    let Origin {
        direction,
        peer,
        listening,
    } = origin;
    let mut record = ConnectionRecord::new(Arc::clone(&context.book), label(direction));
    let destination = match original_dst(&socket, peer, listening) {
        Ok(Arrival::Redirected(destination)) if !context.upstreams.own().is_listener(destination.0) => destination.0,
        Ok(Arrival::Redirected(_) | Arrival::Direct) => {
            // Somebody dialled the proxy itself: served, it would dial itself for ever.
            tracing::debug!(%peer, "a connection that was not redirected is closed");
            record.set_failure(Reason::NotRedirected);
            Stream::Tcp(socket).reset();
            return;
        }
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection was gone before it was looked at");
            record.set_failure(Reason::DownstreamGone);
            return;
        }
    };
    if let Err(reason) = carry(context, direction, Stream::Tcp(socket), destination, Some(peer)).await {
        record.set_failure(reason);
    }
}

/// Serves the other end of an in-process stream to one of the pod's own addresses: its inbound side, without a socket.
pub async fn local(context: Rc<Context>, stream: Stream, destination: SocketAddr) {
    let mut record = ConnectionRecord::new(Arc::clone(&context.book), telemetry::Direction::Inbound);
    if let Err(reason) = carry(context, Direction::Inbound, stream, destination, None).await {
        record.set_failure(reason);
    }
}

/// Serves a stream that was on its way to `destination`, however it came to us.
pub async fn carry(
    context: Rc<Context>,
    direction: Direction,
    mut stream: Stream,
    destination: SocketAddr,
    peer: Option<SocketAddr>,
) -> Result<(), Reason> {
    // Held until the connection ends: what is in use stays known.
    let _lease = match known(&context, direction, destination) {
        None => None,
        Some(asking) => match asking.await {
            Asked::Known(lease) => Some(lease),
            Asked::Beyond => None,
            Asked::Refuse => {
                tracing::debug!(%destination, "the control plane has not answered in time: refused");
                stream.reset();
                return Err(Reason::UnknownDestination);
            }
        },
    };
    let Some(session) = Session::open(&context, direction, destination, peer) else {
        tracing::debug!(%destination, "no service has this address: refused");
        stream.reset();
        return Err(Reason::UnknownDestination);
    };
    let session = Rc::new(session);
    let (live, handling) = session.now();
    if handling.detection == Detection::Opaque {
        context.book.detected(Verdict::Declared);
        return Box::pin(opaque::serve(&session, live, &handling, stream, Vec::new(), None)).await;
    }
    let generation = live.generation();
    drop(live);
    let detected = detect(&session, generation, &handling, &mut stream).await;
    drop(handling);
    match detected {
        Ok(detected) => serve(session, stream, detected).await,
        Err(Refused { reason, http: true }) => Box::pin(http::refuse(&session, stream, reason)).await,
        Err(Refused { reason, http: false }) => {
            stream.reset();
            Err(reason)
        }
    }
}

/// Asks on demand, where that is done. Boxed: an idle connection holds the room for everything that may come next.
fn known(
    context: &Rc<Context>,
    direction: Direction,
    destination: SocketAddr,
) -> Option<Pin<Box<impl Future<Output = Asked>>>> {
    let asking = context.asking.clone().filter(|_| direction == Direction::Outbound)?;
    let upstreams = Rc::clone(&context.upstreams);
    Some(Box::pin(async move {
        asking.ask(destination, || upstreams.live().snapshot.clone()).await
    }))
}

async fn serve(session: Rc<Session>, mut stream: Stream, mut detected: Detected) -> Result<(), Reason> {
    // As of now: the client may have said nothing for long.
    if session.now().1.narrows() && !Box::pin(narrow(&session, &mut stream, &mut detected)).await {
        tracing::debug!(destination = %session.destination, "no chain takes this connection: refused");
        stream.reset();
        return Err(Reason::UnknownDestination);
    }
    let Detected { spoken, prefix, ahead } = detected;
    let (live, handling) = session.now();
    let versions = handling.http.as_ref().map(|http| http.versions);
    let spoken = match (spoken, versions) {
        (Spoken::Http1, Some(Versions::Http2) | None) | (Spoken::Http2, Some(Versions::Http1) | None) => Spoken::Opaque,
        (spoken, _) => spoken,
    };
    if spoken == Spoken::Opaque {
        if handling.detection == Detection::Http && prefix.is_empty() {
            // Somebody looked whether the port is open, and left.
            return Ok(());
        }
        if handling.tcp.is_none() {
            session.context.book.detected(Verdict::Mismatch);
            stream.reset();
            return Err(Reason::ProtocolMismatch);
        }
        return Box::pin(opaque::serve(&session, live, &handling, stream, prefix, ahead)).await;
    }
    drop(live);
    if let Some(ahead) = ahead.filter(|_| shares_cluster(&handling)) {
        let endpoint = Rc::clone(ahead.in_flight.endpoint());
        session.context.upstreams.adopt(&endpoint, ahead.stream, ahead.since);
    }
    // Of the configuration that it came under, too, nothing is held.
    drop(handling);
    match spoken {
        // Boxed, as are refusals: an opaque connection would hold the room of an HTTP/1 one, 2.3 KiB, as long as it lives.
        Spoken::Http1 => Box::pin(http::serve_http1(&session, stream, prefix)).await,
        Spoken::Http2 => Box::pin(http::serve_http2(session, stream, prefix)).await,
        Spoken::Opaque => Ok(()),
    }
}

/// Whether requests go where opaque bytes would: only then is the connection that was opened ahead of use to them.
fn shares_cluster(handling: &Handling) -> bool {
    let (Some(http), Some(tcp)) = (&handling.http, &handling.tcp) else {
        return false;
    };
    tcp.clusters
        .places()
        .any(|place| http.routes.clusters().any(|cluster| cluster == place))
}

/// Chooses between the chains of the listener by what the connection begins with; false: none takes it.
async fn narrow(session: &Session, stream: &mut Stream, detected: &mut Detected) -> bool {
    let before = session.now().1;
    let opening = opening(detected.spoken, stream, &mut detected.prefix).await;
    let Some(after) = session.narrow(opening) else {
        return false;
    };
    // What was opened ahead leads where bytes would have gone.
    if before.tcp != after.tcp {
        detected.ahead = None;
    }
    true
}

/// What a connection begins with, as listeners choose their chains by it. A TLS hello is read to its end.
async fn opening(spoken: Spoken, stream: &mut Stream, prefix: &mut Vec<u8>) -> Opening {
    match spoken {
        Spoken::Http1 => return Opening::Http1,
        Spoken::Http2 => return Opening::Http2,
        Spoken::Opaque => {}
    }
    loop {
        match client_hello(prefix) {
            ClientHello::Complete(Hello { sni, alpn }) => {
                return Opening::Tls(snapshot::Hello {
                    server_name: sni,
                    protocols: alpn,
                });
            }
            ClientHello::Refused(_) => return Opening::Opaque,
            ClientHello::NeedMore if prefix.is_empty() => return Opening::Opaque,
            ClientHello::NeedMore => {}
        }
        let read = poll_fn(|cx| {
            poll_read_scratch(stream, cx, HELLO, |_, bytes| {
                prefix.extend_from_slice(bytes);
                bytes.len()
            })
        });
        if !matches!(read.await, Ok(1..)) {
            return Opening::Opaque;
        }
    }
}

/// Lets connections to the pod's own addresses come straight to the inbound side.
pub fn serve_ourselves(context: &Rc<Context>) {
    let weak = Rc::downgrade(context);
    context.upstreams.serve_local(Box::new(move |destination, stream| {
        if let Some(context) = weak.upgrade() {
            tokio::task::spawn_local(local(context, stream, destination));
        }
    }));
}

fn label(direction: Direction) -> telemetry::Direction {
    match direction {
        Direction::Inbound => telemetry::Direction::Inbound,
        Direction::Outbound => telemetry::Direction::Outbound,
    }
}
