//! The control plane is down, dies, hangs, and returns: what is known is served on.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::load::Load;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::wait;
use evenkeel_tests::xds::XdsServer;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::world::CONTROL_PLANE;
use crate::world::DEADLINE;
use crate::world::Protocol;
use crate::world::World;
use crate::world::goes_on;
use crate::world::nothing_failed;

/// What a black hole takes to be noticed, twice.
const BLACK_HOLE: Duration = Duration::from_secs(80);

#[test]
fn a_proxy_is_ready_once_its_control_plane_is_there() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let world = World::new(family)?;
        let mut mesh = world.client.unready_mesh(&protocol.document())?.quiet();
        mesh.proxy().wait_for_line("cannot be reached", DEADLINE)?;
        is_not_ready(&mesh)?;

        // It is there, and says nothing yet.
        let server = world.empty_server()?;
        server.command(&json!({"do": "hang"}))?;
        server.set(&world.resources())?;
        server.wait_for(|request| request.r#type == "Cluster")?;
        is_not_ready(&mesh)?;

        server.command(&json!({"do": "go_on"}))?;
        mesh.await_ready()?;
        world.answers()?;
    }
    Ok(())
}

fn is_not_ready(mesh: &Mesh) -> Result<()> {
    let page = wait::until(DEADLINE, || mesh.telemetry("/ready").ok())?;
    ensure!(page.status == 503, "{page:?}");
    Ok(())
}

#[test]
fn a_proxy_goes_on_while_its_control_plane_is_dead_and_obeys_the_next_one() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let (world, server, mesh) = World::meshed(family, protocol)?;
        let loads = loads(&world)?;
        server.process().kill();
        mesh.proxy().wait_for_line("cannot be reached", DEADLINE)?;
        for _ in 0..5 {
            loads.iter().try_for_each(goes_on)?;
            world.answers()?;
        }

        // The same, in other versions.
        let server = world.empty_server()?;
        server.set(&world.resources())?;
        knows_what_it_has(&server, protocol)?;
        loads.iter().try_for_each(goes_on)?;
        server.apply(&[world.web(&[1])])?;
        wait::until(DEADLINE, || {
            Some(()).filter(|()| world.http_answers().is_ok_and(|by| by == "r2"))
        })?;
        loads.into_iter().try_for_each(nothing_failed)?;
    }
    Ok(())
}

/// A client that comes back says what it has, or what it wants; the node's name comes with the first request alone.
fn knows_what_it_has(server: &XdsServer, protocol: Protocol) -> Result<()> {
    let first = server.wait_for(|request| request.r#type == "Cluster")?;
    ensure!(first.node.as_deref() == Some("test"), "{first:?}");
    let routes = server.wait_for(|request| request.r#type == "RouteConfiguration")?;
    ensure!(routes.node.is_none() && routes.subscribe == ["web"], "{routes:?}");
    if protocol == Protocol::Delta {
        ensure!(first.initial.keys().eq(["banner", "passthrough", "web"]), "{first:?}");
        ensure!(routes.initial.keys().eq(["web"]), "{routes:?}");
    }
    Ok(())
}

#[test]
fn a_proxy_goes_on_while_its_control_plane_hangs_and_obeys_it_afterwards() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let (world, server, _mesh) = World::meshed(family, protocol)?;
        let loads = loads(&world)?;
        server.process().signal(Signal::SIGSTOP)?;
        for _ in 0..3 {
            loads.iter().try_for_each(goes_on)?;
            world.answers()?;
        }
        server.process().signal(Signal::SIGCONT)?;
        server.apply(&[world.web(&[2])])?;
        wait::until(DEADLINE, || {
            Some(()).filter(|()| world.http_answers().is_ok_and(|by| by == "r3"))
        })?;
        loads.into_iter().try_for_each(nothing_failed)?;
    }
    Ok(())
}

/// Nothing is refused and nothing is reset: what is sent to it vanishes. HTTP/2 asks every 30 s, and waits for 10.
#[test]
fn a_control_plane_behind_a_black_hole_is_noticed_and_the_next_one_obeyed() -> Result<()> {
    let world = World::new(Family::V4)?;
    let (first, second) = (
        SocketAddr::from(CONTROL_PLANE),
        SocketAddr::from(([127, 0, 0, 2], 15011)),
    );
    let server = world.server()?;
    let section = format!("{{servers: [\"{first}\", \"{second}\"], node: {{id: test}}, subscribe: everything}}");
    let mesh = world.client.mesh(&Document::under(&section))?.quiet();
    wait::until(DEADLINE, || world.answers().ok())?;
    let loads = loads(&world)?;
    for side in ["--dport", "--sport"] {
        let port = first.port().to_string();
        world
            .client
            .exec(&["iptables", "-I", "INPUT", "-p", "tcp", side, &port, "-j", "DROP"])?;
    }
    mesh.wait_for_metrics(BLACK_HOLE, |metrics| {
        metrics.value("evenkeel_control_plane_connected", &[("server", &first.to_string())]) < 0.5
    })?;
    loads.iter().try_for_each(goes_on)?;
    // The other one is on an address of its own.
    server.process().kill();
    let next = XdsServer::start(&world.client, second)?;
    next.set(&world.resources())?;
    next.wait_for(|request| request.r#type == "RouteConfiguration")?;
    next.apply(&[world.web(&[1])])?;
    wait::until(DEADLINE, || {
        Some(()).filter(|()| world.http_answers().is_ok_and(|by| by == "r2"))
    })?;
    loads.into_iter().try_for_each(nothing_failed)
}

#[test]
fn the_second_control_plane_of_the_list_stands_in_for_the_first() -> Result<()> {
    let world = World::new(Family::V4)?;
    let server = world.server()?;
    let (dead, alive) = (
        SocketAddr::from(([127, 0, 0, 1], 15011)),
        SocketAddr::from(CONTROL_PLANE),
    );
    let section = format!("{{servers: [\"{dead}\", \"{alive}\"], node: {{id: test}}, subscribe: everything}}");
    let _mesh = world.client.mesh(&Document::under(&section))?.quiet();
    ensure!(server.streams()? == 1);
    wait::until(DEADLINE, || world.answers().ok())
}

fn loads(world: &World) -> Result<Vec<Load>> {
    Spoken::ALL.into_iter().map(|spoken| world.load(spoken)).collect()
}
