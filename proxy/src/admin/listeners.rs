//! `/listeners`: the sockets that are listened on, and what becomes of connections by where they were going.

use super::Door;
use super::table;
use super::table::or_dash;
use crate::snapshot::Handling;
use crate::snapshot::Snapshot;
use crate::telemetry::ConnectionSeries;
use crate::telemetry::Direction;
use serde::Serialize;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// A socket that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    /// What for: `outbound` and `inbound` traffic, `admin`, `telemetry`.
    pub purpose: &'static str,
}

/// The page.
#[derive(Debug, Serialize)]
pub(super) struct Listeners {
    sockets: Vec<Listening>,
    connections: Vec<Connections>,
    /// Outbound, by destination.
    destinations: Vec<Destination>,
    /// Inbound, by the port of the application.
    ports: Vec<Destination>,
}

/// Accepted connections of one direction.
#[derive(Debug, Serialize)]
struct Connections {
    direction: &'static str,
    open: i64,
    opened: u64,
}

/// Where connections were going, and how they are handled.
#[derive(Debug, Serialize)]
struct Destination {
    /// An address or a port; `others`: what is not listed.
    to: String,
    service: String,
    detection: String,
    /// The versions that clients may speak; `None`: nothing here is treated as HTTP.
    http: Option<String>,
    /// Where what is not HTTP goes; `None`: it is reset.
    tcp: Option<Vec<String>>,
    /// Whether what a connection begins with decides more than between HTTP and bytes.
    narrows: bool,
}

/// As of now.
pub(super) fn listeners(door: &Door) -> Listeners {
    let snapshot = door.status.borrow().snapshot.clone();
    let connections = [Direction::Inbound, Direction::Outbound].map(|direction| {
        let series = || door.books.iter().map(|book| book.connections(direction));
        Connections {
            direction: direction.label(),
            open: series().map(ConnectionSeries::open).sum(),
            opened: series().map(ConnectionSeries::opened).sum(),
        }
    });
    Listeners {
        sockets: door.listening.clone(),
        connections: connections.into(),
        destinations: snapshot.as_deref().map(destinations).unwrap_or_default(),
        ports: snapshot.as_deref().map(ports).unwrap_or_default(),
    }
}

fn destinations(snapshot: &Snapshot) -> Vec<Destination> {
    let mut services: Vec<_> = snapshot.services().collect();
    services.sort_by_key(|(address, _)| **address);
    let named = services.into_iter().flat_map(|(address, handlings)| {
        let to = address.to_string();
        handlings.into_iter().map(move |one| (to.clone(), one))
    });
    let others = snapshot.unknown().into_iter().map(|one| ("others".to_owned(), one));
    let all = named.chain(others);
    all.map(|(to, one)| destination(to, one, snapshot)).collect()
}

fn ports(snapshot: &Snapshot) -> Vec<Destination> {
    let mut ports: Vec<_> = snapshot.inbound_ports().collect();
    ports.sort_by_key(|(port, _)| port.map_or(u32::MAX, u32::from));
    let all = ports.into_iter().flat_map(|(port, handlings)| {
        let to = port.map_or_else(|| "others".to_owned(), |port| port.to_string());
        handlings.into_iter().map(move |one| (to.clone(), one))
    });
    all.map(|(to, one)| destination(to, one, snapshot)).collect()
}

fn destination(to: String, handling: &Arc<Handling>, snapshot: &Snapshot) -> Destination {
    let name = |place| snapshot.cluster(place).map_or("-", |cluster| &*cluster.name).to_owned();
    Destination {
        to,
        service: handling.service.to_string(),
        detection: format!("{:?}", handling.detection).to_lowercase(),
        http: handling
            .http
            .as_ref()
            .map(|http| format!("{:?}", http.versions).to_lowercase()),
        tcp: handling
            .tcp
            .as_ref()
            .map(|tcp| tcp.clusters.places().map(name).collect()),
        narrows: handling.narrows(),
    }
}

/// For people.
pub(super) fn text(listeners: &Listeners) -> String {
    let mut page = "sockets\n".to_owned();
    let sockets: Vec<_> = listeners
        .sockets
        .iter()
        .map(|socket| [socket.address.to_string(), socket.purpose.to_owned()])
        .collect();
    table::write(&mut page, ["ADDRESS", "PURPOSE"], &sockets);
    page.push_str("\nconnections\n");
    let connections: Vec<_> = listeners
        .connections
        .iter()
        .map(|one| [one.direction.to_owned(), one.open.to_string(), one.opened.to_string()])
        .collect();
    table::write(&mut page, ["DIRECTION", "OPEN", "OPENED"], &connections);
    for (title, destinations) in [
        ("outbound, by destination", &listeners.destinations),
        ("inbound, by port", &listeners.ports),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "\n{title}");
        if destinations.is_empty() {
            page.push_str("  no configuration yet\n");
            continue;
        }
        let rows: Vec<_> = destinations.iter().map(cells).collect();
        table::write(&mut page, ["TO", "SERVICE", "DETECTION", "HTTP", "OTHER BYTES"], &rows);
    }
    page
}

fn cells(one: &Destination) -> [String; 5] {
    let detection = if one.narrows {
        format!("{}, by what is seen", one.detection)
    } else {
        one.detection.clone()
    };
    [
        one.to.clone(),
        one.service.clone(),
        detection,
        or_dash(one.http.as_ref()),
        or_dash(one.tcp.as_ref().map(|clusters| clusters.join(" "))),
    ]
}
