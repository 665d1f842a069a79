//! Clients that ask for much and read nothing: what the proxy holds for them is bounded, and their servers are held back.

use std::io::Write;
use std::net::TcpStream;

use anyhow::Result;
use evenkeel_tests::cluster::Family;

use crate::bulk::Bulk;
use crate::bulk::Version;
use crate::frames::Connection;
use crate::frames::END_HEADERS;
use crate::frames::END_STREAM;
use crate::frames::GET;
use crate::frames::HEADERS;
use crate::frames::frame;
use crate::frames::setting;
use crate::world::DEADLINE;
use crate::world::World;

/// `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113 6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

/// A hundred streams with a window of 0, all open at once; each asks for 10 MiB.
fn a_hundred_closed_windows(world: &World) -> Result<Connection> {
    let mut connection = Connection::open(&world.client, world.own(), &setting(INITIAL_WINDOW_SIZE, 0))?;
    connection.pour((0..100).map(|index| frame(HEADERS, END_HEADERS | END_STREAM, index * 2 + 1, GET)))?;
    Ok(connection)
}

#[test]
fn a_hundred_streams_that_take_nothing_hold_one_connections_window_over_http2() -> Result<()> {
    let world = World::new(Family::V6, |port| port.protocol("http2"))?;
    let server = Bulk::start(&world.server, world.own_endpoint(), Version::Two)?;
    let connection = a_hundred_closed_windows(&world)?;
    server.stuck(100, DEADLINE)?;
    world.is_served()?;
    // The window of the connection upstream is 4 MiB (`limits.http2`), and as much may wait to be sent.
    world.held_at_most(16 << 20)?;
    drop(connection);
    Ok(())
}

#[test]
fn a_hundred_streams_that_take_nothing_hold_a_buffer_each_over_http1() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, |port| port.protocol("http"))?;
        let server = Bulk::start(&world.server, world.own_endpoint(), Version::One)?;
        let connection = a_hundred_closed_windows(&world)?;
        server.stuck(100, DEADLINE)?;
        world.is_served()?;
        // For each stream a read of at most 64 KiB, and as much that waits to be sent.
        world.held_at_most(100 * (128 << 10) + (4 << 20))?;
        drop(connection);
    }
    Ok(())
}

#[test]
fn a_thousand_readers_that_take_nothing_hold_a_read_each() -> Result<()> {
    let world = World::new(Family::V6, |port| port)?;
    // By default the kernels have room for megabytes on each connection: it would take gigabytes until all are stuck.
    for pod in [&world.client, &world.server] {
        pod.sysctl(&[
            "net.ipv4.tcp_rmem=4096 131072 131072",
            "net.ipv4.tcp_wmem=4096 16384 65536",
        ])?;
    }
    let server = Bulk::start(&world.server, world.own_endpoint(), Version::One)?;
    let clients = world.client.enter(|| -> Result<Vec<TcpStream>> {
        let ask = |_| {
            let mut client = TcpStream::connect(world.own())?;
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")?;
            Ok(client)
        };
        (0..1000).map(ask).collect()
    })??;
    server.stuck(1000, DEADLINE)?;
    world.is_served()?;
    world.held_at_most(1000 * (64 << 10) + (24 << 20))?;
    drop(clients);
    Ok(())
}
