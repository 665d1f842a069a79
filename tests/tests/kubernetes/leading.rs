//! Two control planes: both serve, one writes.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubernetes::chart::NAMESPACE;
use evenkeel_tests::kubernetes::control::ControlPlane;
use evenkeel_tests::kubernetes::object;
use serde_json::Value;
use serde_json::json;

use crate::routes::condition;
use crate::world::PORT;
use crate::world::SHOP;
use crate::world::World;

/// How many statuses a control plane has written.
fn written(world: &World, control: &ControlPlane) -> usize {
    let requests = world.api.requests();
    let statuses = requests.iter().filter(|request| request.resource.ends_with("/status"));
    statuses.filter(|request| control.made(request)).count()
}

fn holds(lease: &Value, control: &ControlPlane) -> bool {
    let holder = lease["spec"]["holderIdentity"].as_str();
    holder.is_some_and(|holder| holder.contains(control.identity()))
}

/// A route comes, and gets its status.
fn a_route_is_judged(world: &World, name: &str) -> Result<()> {
    let rules = json!([{"backendRefs": [{"name": "web", "port": PORT}]}]);
    world.api.put([object::http_route(SHOP, name, "web", &rules)]);
    let judged = |route: &Value| condition(route, "parents", "Accepted").is_some();
    world.api.wait_for("httproutes", SHOP, name, judged).map(drop)
}

#[test]
fn only_the_leader_writes_and_another_takes_over_when_it_dies() -> Result<()> {
    let world = World::with_clients(Family::V4, 1)?;
    world.api.wait_for("leases", NAMESPACE, "evenkeel-control", |lease| {
        holds(lease, &world.control)
    })?;
    let second = ControlPlane::start(&world.cluster.pod("control-2")?, &world.api)?;
    a_route_is_judged(&world, "first")?;
    ensure!(written(&world, &world.control) > 0 && written(&world, &second) == 0);
    world.control.kill();
    // What comes while nobody leads is written by whoever leads next.
    a_route_is_judged(&world, "second")?;
    world
        .api
        .wait_for("leases", NAMESPACE, "evenkeel-control", |lease| holds(lease, &second))?;
    ensure!(written(&world, &second) > 0);
    // The first comes back, and stands behind.
    world.control.restart()?;
    world.control.await_ready()?;
    let before = written(&world, &world.control);
    a_route_is_judged(&world, "third")?;
    ensure!(
        written(&world, &world.control) == before,
        "it writes though it does not lead"
    );
    Ok(())
}
