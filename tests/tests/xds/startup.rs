//! The control plane is not there when a proxy starts that may pass everything through meanwhile.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::load::Load;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::wait;

use crate::world::CONTROL_PLANE;
use crate::world::DEADLINE;
use crate::world::World;
use crate::world::goes_on;
use crate::world::nothing_failed;

/// Nothing comes in it.
const SHORT: &str = "200ms";

/// A proxy that waits so long for what is at this address.
fn document(control_plane: SocketAddr, wait: &str) -> Document {
    Document::under(&format!(
        "{{servers: [\"{control_plane}\"], node: {{id: test}}, subscribe: everything, startup: {{wait: {wait}, then: \
         passthrough}}}}"
    ))
}

/// What is there, goes where it was going; and the proxy says how it is.
fn passes_through(world: &World, mesh: &Mesh) -> Result<()> {
    let page = mesh.telemetry("/ready")?;
    let sentence = "ready without a configuration: everything is passed through\n";
    ensure!(page.status == 200 && page.body == sentence, "{page:?}");
    let clusters = mesh.admin("GET", "/clusters", "")?;
    ensure!(clusters.body.contains(sentence), "{clusters:?}");
    ensure!(mesh.metrics()?.value("evenkeel_config_missing", &[]) > 0.5);
    for replica in &world.replicas {
        let url = format!("http://{}/", replica.http(world.family));
        clients::curl(&world.client, &["--fail", &url])?;
        let banners = clients::banner(&world.client, replica.banner(world.family), 1)?;
        ensure!(banners.failures == 0, "{banners:?}");
    }
    Ok(())
}

#[test]
fn traffic_passes_through_while_the_control_plane_refuses_hangs_or_is_away() -> Result<()> {
    for family in Family::BOTH {
        // Nobody listens; nobody accepts; nobody is there at all (RFC 5737).
        let (refuses, hangs) = (
            SocketAddr::from(CONTROL_PLANE),
            SocketAddr::from(([127, 0, 0, 1], 15011)),
        );
        for control_plane in [refuses, hangs, SocketAddr::from(([192, 0, 2, 1], 15010))] {
            let world = World::new(family)?;
            let _hangs = world.client.listen(hangs)?;
            let mesh = world.client.mesh(&document(control_plane, SHORT))?.quiet();
            passes_through(&world, &mesh).with_context(|| control_plane.to_string())?;
        }
    }
    Ok(())
}

#[test]
fn what_comes_in_passes_through_as_well() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let replica = &world.replicas[0];
        let mesh = replica.pod().mesh(&document(CONTROL_PLANE.into(), SHORT))?.quiet();
        let url = format!("http://{}/", replica.http(family));
        clients::curl(&world.client, &["--fail", &url])?;
        let banners = clients::banner(&world.client, replica.banner(family), 1)?;
        ensure!(banners.failures == 0, "{banners:?}");
        let inbound = [("direction", "inbound"), ("status", "200")];
        mesh.wait_for_metrics(DEADLINE, |metrics| {
            metrics.value("evenkeel_requests_total", &inbound) > 0.5
        })?;
    }
    Ok(())
}

#[test]
fn a_late_control_plane_takes_over_and_no_connection_is_closed() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let mesh = world.client.mesh(&document(CONTROL_PLANE.into(), SHORT))?.quiet();
        passes_through(&world, &mesh)?;
        ensure!(world.http_answers().is_err(), "nobody has said what is at the VIP");
        let direct = world.replicas[0].http(family);
        let load = Load::start(&world.client, direct, Spoken::Http1, 100)?;
        let mut open = world.client.connect(direct)?;
        open.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n")?;
        goes_on(&load)?;

        let _server = world.server()?;
        wait::until(DEADLINE, || world.answers().ok())?;
        ensure!(mesh.telemetry("/ready")?.body == "ready\n");
        ensure!(mesh.metrics()?.value("evenkeel_config_missing", &[]) < 0.5);
        goes_on(&load)?;
        nothing_failed(load)?;
        open.write_all(b"Connection: close\r\n\r\n")?;
        let mut answer = String::new();
        open.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    Ok(())
}

#[test]
fn a_control_plane_that_answers_in_time_is_waited_for() -> Result<()> {
    let world = World::new(Family::V4)?;
    let _server = world.server()?;
    let mesh = world.client.mesh(&document(CONTROL_PLANE.into(), "60s"))?.quiet();
    ensure!(mesh.telemetry("/ready")?.body == "ready\n");
    world.answers()
}
