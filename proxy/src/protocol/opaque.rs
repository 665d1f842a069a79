//! Bytes that are passed on as they are, balanced by connection: opaque TCP, TLS, and servers that speak first.

use crate::failure::Reason;
use crate::net::relay::{Early, Outcome, Side, relay};
use crate::net::stream::Stream;
use crate::protocol::Session;
use crate::protocol::detect::sniff::{ClientHello, client_hello};
use crate::snapshot::{self, Handling};
use crate::upstream::{Endpoint, InFlight, Live, Tried};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::time::Instant;

/// Endpoints that are tried before the client is given up.
const ATTEMPTS: usize = 3;

/// A connection to the endpoint that balancing picked.
pub struct Reached {
    /// The connection.
    pub stream: Stream,
    /// Counts it.
    pub in_flight: InFlight,
    /// When it was opened.
    pub since: Instant,
    /// Attempts that it took.
    pub attempts: u32,
    /// The cluster that it is of.
    pub cluster: Arc<snapshot::Cluster>,
    /// What the server has said already.
    pub said: Vec<u8>,
}

/// Connects to an endpoint of the opaque cluster; one that cannot be reached is followed by another. `live` and
/// `handling` are of one configuration, for the one names clusters by their place in the other.
///
/// # Errors
/// Why the last one could not be reached.
pub async fn reach(session: &Session, live: &Live, handling: &Handling) -> Result<Reached, Reason> {
    let tcp = handling.tcp.as_ref().ok_or(Reason::ProtocolMismatch)?;
    let upstreams = &session.context.upstreams;
    let place = tcp.clusters.pick(&mut upstreams.dice());
    let cluster = live.cluster(place).ok_or(Reason::NoCluster)?;
    if upstreams.drops(cluster) {
        return Err(Reason::Overloaded);
    }
    let pinned = cluster
        .configuration
        .pinned(session.destination, session.pinned(), |_| None);
    let key = tcp.hash.map(|hash| session.key(hash));
    let mut tried = Tried::default();
    let mut last = Reason::NoEndpoint;
    while tried.len() < ATTEMPTS {
        let now = Instant::now();
        let endpoint: Option<Rc<Endpoint>> = match pinned {
            Some(address) if tried.is_empty() => upstreams.at(cluster, address),
            Some(_) => None,
            None => upstreams.balance(cluster, key, &tried, now),
        };
        let Some(endpoint) = endpoint else { break };
        let in_flight = upstreams.count(&endpoint);
        match upstreams
            .dial(&cluster.configuration, &endpoint, session.direction)
            .await
        {
            Ok(stream) => {
                return Ok(Reached {
                    stream,
                    in_flight,
                    since: now,
                    attempts: tried.len() as u32 + 1,
                    cluster: Arc::clone(&cluster.configuration),
                    said: Vec::new(),
                });
            }
            Err(unreached) => {
                last = unreached.reason();
                tried.add(endpoint.address);
            }
        }
    }
    Err(last)
}

/// Serves a connection whose first bytes are `prefix`, over the connection that is open already or a new one.
///
/// # Errors
/// Why it could not be served, or how it ended if not in order. The client has been reset then.
pub async fn serve(
    session: &Session,
    live: Rc<Live>,
    handling: &Handling,
    mut stream: Stream,
    prefix: Vec<u8>,
    ahead: Option<Reached>,
) -> Result<(), Reason> {
    let mut record = session.tcp_record();
    if let Some(entry) = record.entry()
        && !prefix.is_empty()
    {
        match client_hello(&prefix) {
            ClientHello::Complete(hello) => entry.name(hello.sni),
            ClientHello::NeedMore => entry.name(None),
            ClientHello::Refused(_) => {}
        }
    }
    let reached = match ahead {
        Some(reached) => Ok(reached),
        None => reach(session, &live, handling).await,
    };
    // A connection may live for days; the configuration that it began with need not.
    drop(live);
    let mut reached = match reached {
        Ok(reached) => reached,
        Err(reason) => {
            // With the redirection the handshake has succeeded already: a refusal can only be a reset (behaviour 3).
            record.set_failure(reason);
            stream.reset();
            return Err(reason);
        }
    };
    let endpoint = reached.in_flight.endpoint();
    endpoint.series().connected();
    record.reach(session.destined(endpoint).as_deref());
    let upstream: SocketAddr = endpoint.address;
    if let Some(entry) = record.entry() {
        entry.reach(Some(upstream), reached.attempts);
        entry.cluster(&reached.cluster.service, &reached.cluster.name);
    }
    let idle = handling.tcp.as_ref().and_then(|tcp| tcp.idle_timeout);
    let early = Early {
        to_up: prefix,
        to_down: std::mem::take(&mut reached.said),
    };
    let outcome = relay(
        &mut stream,
        &mut reached.stream,
        early,
        idle,
        |side, count| match side {
            Side::Up => record.received(count as u64),
            Side::Down => record.sent(count as u64),
        },
    )
    .await;
    tracing::debug!(service = %handling.service, %upstream, ?outcome, "an opaque connection ended");
    let reason = match outcome {
        Outcome::BothFinished => return Ok(()),
        Outcome::Idle => Reason::IdleTimeout,
        Outcome::ResetBy(Side::Down) | Outcome::Failed(Side::Down, _) => Reason::DownstreamGone,
        Outcome::ResetBy(Side::Up) | Outcome::Failed(Side::Up, _) => Reason::UpstreamReset,
        Outcome::TooSlow => Reason::BufferLimit,
    };
    record.set_failure(reason);
    Err(reason)
}
