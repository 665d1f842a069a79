//! The API server, or the control plane, is away, mute, or has forgotten: no request is lost, and what is true is found again.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubernetes::control::ControlPlane;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::wait;
use hyper::StatusCode;

use crate::world::DEADLINE;
use crate::world::SHOP;
use crate::world::World;
use crate::world::goes_on;
use crate::world::nothing_failed;
use crate::world::start_idle;

#[test]
fn a_control_plane_that_dies_and_returns_costs_no_request() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let loads = world.loads()?;
        world.control.kill();
        world.api.put([world.slice("web", "web-1", &[1])]);
        loads.iter().try_for_each(goes_on)?;
        world.control.restart()?;
        world.control.await_ready()?;
        for client in 0..world.clients.len() {
            world.settles(client, 10, &[1])?;
        }
        nothing_failed(loads)?;
    }
    Ok(())
}

#[test]
fn an_update_of_the_control_plane_costs_no_request_and_everybody_goes_over_to_the_new_replica() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let loads = world.loads()?;
        let new = ControlPlane::start(&world.cluster.pod("control-2")?, &world.api)?;
        world.control.retire(&world.api)?;
        world.api.put([world.slice("web", "web-1", &[1])]);
        for client in 0..world.clients.len() {
            world.settles(client, 10, &[1])?;
        }
        // So does the API server.
        let _fourth = start_idle(&world.cluster, &world.api, &new, "client-4", "node-a")?;
        new.wait_for_metrics(|metrics| metrics.value("evenkeel_control_streams", &[]) > 3.5)?;
        nothing_failed(loads)?;
    }
    Ok(())
}

#[test]
fn a_slow_api_server_makes_a_new_control_plane_late_and_costs_no_request() -> Result<()> {
    let world = World::new(Family::V4)?;
    let loads = world.loads()?;
    world.api.slow(Duration::from_millis(300));
    world.control.kill();
    world.api.put([world.slice("web", "web-1", &[1])]);
    world.control.restart()?;
    world.control.await_ready()?;
    for client in 0..world.clients.len() {
        world.settles(client, 10, &[1])?;
    }
    nothing_failed(loads)
}

#[test]
fn an_api_server_that_dies_costs_no_request_and_is_found_again() -> Result<()> {
    let world = World::new(Family::V4)?;
    let loads = world.loads()?;
    world.api.die();
    loads.iter().try_for_each(goes_on)?;
    world.api.put([world.slice("web", "web-1", &[2])]);
    world.api.revive()?;
    for client in 0..world.clients.len() {
        world.settles(client, 10, &[2])?;
    }
    nothing_failed(loads)
}

#[test]
fn an_api_server_that_says_nothing_costs_no_request() -> Result<()> {
    let world = World::new(Family::V4)?;
    let loads = world.loads()?;
    world.api.hold();
    world.api.put([world.slice("web", "web-1", &[2])]);
    world.api.cut_watches();
    loads.iter().try_for_each(goes_on)?;
    world.api.release();
    for client in 0..world.clients.len() {
        world.settles(client, 10, &[2])?;
    }
    nothing_failed(loads)
}

#[test]
fn what_an_api_server_has_forgotten_is_listed_anew() -> Result<()> {
    let world = World::new(Family::V4)?;
    let loads = world.loads()?;
    let lists = world.api.count("list", "endpointslices");
    // A slice has changed, another has come, a Service has gone, and nobody was told.
    let changed = [world.slice("web", "web-1", &[0]), world.slice("web", "web-2", &[2])];
    world.api.unseen(changed, &[]);
    let listed = || Some(()).filter(|()| world.api.count("list", "endpointslices") > lists);
    wait::until(DEADLINE, listed).context("slices are listed anew")?;
    for client in 0..world.clients.len() {
        world.settles(client, 10, &[0, 2])?;
    }
    world
        .api
        .unseen([object::namespace("other", &[])], &[("endpointslices", SHOP, "web-2")]);
    for client in 0..world.clients.len() {
        world.settles(client, 10, &[0])?;
    }
    world.api.expire_watches();
    world.api.put([world.slice("web", "web-1", &[1])]);
    for client in 0..world.clients.len() {
        world.settles(client, 10, &[1])?;
    }
    nothing_failed(loads)
}

#[test]
fn a_watch_that_ends_or_breaks_is_taken_up_without_a_list() -> Result<()> {
    let world = World::with_clients(Family::V4, 1)?;
    world.settles(0, 10, &[0, 1, 2])?;
    let loads = world.loads()?;
    let lists = world.api.count("list", "endpointslices");
    for (replica, break_off) in [(0, true), (1, false), (2, true)] {
        if break_off {
            world.api.cut_watches();
        } else {
            // Where the watch goes on is what the bookmark has said: the last slice was before what is forgotten now.
            world
                .api
                .refuse("watch", "endpointslices", StatusCode::SERVICE_UNAVAILABLE);
            world.api.put([object::namespace("unrelated", &[])]);
            let bookmark = world.api.bookmark();
            world.api.end_watches();
            world.api.wait_for_watches("endpointslices", 0)?;
            world.api.compact_until(bookmark);
            world.api.allow();
        }
        world.api.put([world.slice("web", "web-1", &[replica])]);
        world.settles(0, 10, &[replica])?;
    }
    ensure!(world.api.count("list", "endpointslices") == lists);
    nothing_failed(loads)
}

#[test]
fn an_api_server_that_refuses_costs_no_request_and_is_asked_again() -> Result<()> {
    let world = World::with_clients(Family::V4, 1)?;
    world.settles(0, 10, &[0, 1, 2])?;
    let loads = world.loads()?;
    for (replica, code) in [(0, 403), (1, 500), (2, 429)] {
        world.api.refuse("*", "*", StatusCode::from_u16(code)?);
        world.api.unseen([world.slice("web", "web-1", &[replica])], &[]);
        let refused = || world.api.requests().iter().any(|request| request.code == Some(code));
        wait::until(DEADLINE, || refused().then_some(()))?;
        loads.iter().try_for_each(goes_on)?;
        world.api.allow();
        world.settles(0, 10, &[replica])?;
    }
    nothing_failed(loads)
}
