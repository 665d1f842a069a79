//! Clients that are many: each of them takes what it may, and together they would take everything.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::wait;

use crate::bulk::Bulk;
use crate::bulk::Version;
use crate::frames::Connection;
use crate::frames::PING;
use crate::frames::WINDOW_UPDATE;
use crate::frames::frame;
use crate::world::DEADLINE;
use crate::world::World;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_hundred_connections_that_flood_at_once_cost_nobody_else() -> Result<()> {
    let world = World::new(Family::V6, |port| port)?;
    let (ping, update) = (
        frame(PING, 0, 0, b"evenkeel").repeat(500),
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(500),
    );
    world.besieged(|| {
        let open = |_| Connection::open(&world.client, world.web(), b"");
        let mut flooding = (0..100).map(open).collect::<Result<Vec<_>>>()?;
        // Each has its turn; what they send in all is more than they may.
        for _ in 0..5 {
            for connection in &mut flooding {
                connection.pour([ping.clone(), update.clone()])?;
            }
        }
        flooding.iter_mut().try_for_each(Connection::settles)
    })?;
    let closed = world.closed_for("http2_flood")?;
    ensure!(closed >= 100.0, "{closed} were closed as floods");
    world.held_at_most(20 << 20)
}

#[test]
fn what_waits_for_a_thousand_slow_readers_is_bounded_in_all() -> Result<()> {
    let world = World::limited(Family::V4, "limits: {idle_total: 64, buffered_bytes: 8MiB}", |port| {
        port
    })?;
    // By default the kernels have room for megabytes on each connection.
    for pod in [&world.client, &world.server] {
        pod.sysctl(&[
            "net.ipv4.tcp_rmem=4096 131072 131072",
            "net.ipv4.tcp_wmem=4096 16384 65536",
        ])?;
    }
    let _server = Bulk::start(&world.server, world.own_endpoint(), Version::One)?;
    let clients = world.client.enter(|| -> Result<Vec<TcpStream>> {
        let ask = |_| {
            let mut client = TcpStream::connect(world.own())?;
            client.write_all(REQUEST)?;
            Ok(client)
        };
        (0..1000).map(ask).collect()
    })??;
    // A read is at most 64 KiB: not so many fit, and the rest was cut.
    let cut = |least: f64| {
        world.mesh.wait_for_metrics(DEADLINE, |page| {
            page.value("evenkeel_request_failures_total", &[("reason", "buffer_limit")]) >= least
        })
    };
    cut(500.0)?;
    world.is_served()?;
    // Besides what waits, a thousand unoptimised connections, up to 40 KiB each; without the bound it is 64 KiB more each.
    world.held_at_most((8 << 20) + 1000 * (40 << 10))?;
    drop(clients);
    Ok(())
}

#[test]
fn one_source_has_no_more_connections_than_its_own() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let replica = cluster.replica("r1", 0)?;
        let (greedy, other) = (cluster.pod("greedy")?, cluster.pod("other")?);
        let document = Document::of(&[]).with("limits: {connections_per_source: 5}");
        let mesh = replica.pod().mesh(&document)?;
        let ask = |client: &mut TcpStream| -> std::io::Result<u8> {
            client.set_read_timeout(Some(DEADLINE))?;
            client.write_all(REQUEST)?;
            let mut first = [0];
            client.read_exact(&mut first)?;
            Ok(first[0])
        };
        let mut kept = Vec::new();
        for _ in 0..5 {
            let mut client = greedy.connect(replica.http(family))?;
            ensure!(ask(&mut client)? == b'H');
            kept.push(client);
        }
        // The reset may come before the client has seen that it is connected.
        let sixth = greedy.connect(replica.http(family)).map_err(std::io::Error::other);
        ensure!(
            sixth.and_then(|mut client| ask(&mut client)).is_err(),
            "a sixth was served"
        );
        mesh.wait_for_metrics(DEADLINE, |page| {
            page.value(
                "evenkeel_connections_closed_total",
                &[("direction", "inbound"), ("reason", "too_many_connections")],
            ) >= 1.0
        })?;
        ensure!(
            ask(&mut other.connect(replica.http(family))?)? == b'H',
            "another source"
        );
        kept.pop();
        wait::until(DEADLINE, || ask(&mut greedy.connect(replica.http(family)).ok()?).ok())?;
    }
    Ok(())
}
