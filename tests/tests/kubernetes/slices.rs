//! Endpoints as a cluster says them: in several slices, twice, in any order, on their way out.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubernetes::object::Condition;
use evenkeel_tests::wait;

use crate::world::DEADLINE;
use crate::world::SHOP;
use crate::world::World;
use crate::world::nothing_failed;

#[test]
fn the_slices_of_a_service_are_taken_together() -> Result<()> {
    for family in Family::BOTH {
        let world = World::with_clients(family, 1)?;
        let loads = world.loads()?;
        world
            .api
            .put([world.slice("web", "web-1", &[0]), world.slice("web", "web-2", &[1])]);
        world.settles(0, 10, &[0, 1])?;
        // A pod that moves to another slice is in both for a while, whichever is told first.
        world.api.put([world.slice("web", "web-2", &[0, 1])]);
        world.api.put([world.slice("web", "web-1", &[])]);
        world.settles(0, 10, &[0, 1])?;
        world.api.delete("endpointslices", SHOP, "web-1");
        world.api.put([world.slice("web", "web-3", &[2])]);
        world.settles(0, 10, &[0, 1, 2])?;
        // Told again, and told with nothing new.
        world.api.repeat("endpointslices", SHOP, "web-2");
        world.api.put([world.slice("web", "web-3", &[2])]);
        world.api.delete("endpointslices", SHOP, "web-2");
        world.settles(0, 10, &[2])?;
        nothing_failed(loads)?;
    }
    Ok(())
}

#[test]
fn an_endpoint_that_drains_is_used_only_where_nothing_else_serves() -> Result<()> {
    let world = World::with_clients(Family::V4, 1)?;
    let loads = world.loads()?;
    let say = |conditions: [Condition; 3]| {
        let all: Vec<_> = conditions.into_iter().enumerate().collect();
        world.api.put([world.slice_of("web", "web-1", &all)]);
    };
    say([Condition::Ready, Condition::Draining, Condition::NotReady]);
    world.settles(0, 10, &[0])?;
    say([Condition::Ending, Condition::Draining, Condition::NotReady]);
    world.settles(0, 10, &[1])?;
    say([Condition::Ending, Condition::Ready, Condition::Ready]);
    world.settles(0, 10, &[1, 2])?;
    nothing_failed(loads)
}

#[test]
fn a_service_without_endpoints_is_answered_at_once_and_recovers() -> Result<()> {
    let world = World::with_clients(Family::V4, 1)?;
    world.settles(0, 10, &[0, 1, 2])?;
    world.api.put([world.slice("web", "web-1", &[])]);
    let url = format!("http://{}/", world.at(10));
    let status = || clients::curl(&world.clients[0], &["-o", "/dev/null", "-w", "%{http_code}", &url]);
    wait::until(DEADLINE, || status().ok().filter(|status| status == "503"))?;
    world.api.put([world.slice("web", "web-1", &[1])]);
    world.settles(0, 10, &[1])
}

#[test]
fn services_come_and_go_in_any_order_with_their_slices() -> Result<()> {
    let world = World::with_clients(Family::V6, 1)?;
    // The slice is there before its Service.
    world.api.put([world.slice("late", "late-1", &[2])]);
    world.api.put([world.service("late", 20)]);
    world.settles(0, 20, &[2])?;
    // The address of a Service that is gone is another's.
    world.api.delete("services", SHOP, "late");
    world
        .api
        .put([world.slice("next", "next-1", &[1]), world.service("next", 20)]);
    world.settles(0, 20, &[1])?;
    ensure!(world.control.metrics()?.samples().len() > 5);
    Ok(())
}
