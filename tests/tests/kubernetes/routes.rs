//! Routes of the Gateway API, attached to Services.

use std::collections::BTreeMap;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubernetes::object;
use serde_json::Value;
use serde_json::json;

use crate::asker::Asker;
use crate::world::PORT;
use crate::world::SHOP;
use crate::world::World;
use crate::world::nothing_failed;

/// How many requests tell a share.
const REQUESTS: usize = 400;

/// A world in which `web` has a route, and `blue` and `green` have a replica each.
fn world(family: Family) -> Result<World> {
    let world = World::with_clients(family, 1)?;
    world
        .api
        .put([world.service("blue", 20), world.slice("blue", "blue-1", &[0])]);
    world
        .api
        .put([world.service("green", 21), world.slice("green", "green-1", &[1])]);
    Ok(world)
}

/// The route `web`, to `blue` and `green` with these weights.
fn weighted(blue: u32, green: u32) -> Value {
    let backends = [("blue", blue), ("green", green)];
    let backends = backends.map(|(name, weight)| json!({"name": name, "port": PORT, "weight": weight}));
    object::http_route(SHOP, "web", "web", &json!([{"backendRefs": backends}]))
}

fn shares(asker: &mut Asker) -> Result<BTreeMap<String, usize>> {
    let mut shares = BTreeMap::new();
    for _ in 0..REQUESTS {
        *shares.entry(asker.ask()?).or_default() += 1;
    }
    Ok(shares)
}

/// The first condition of this type that a status has of us.
pub(crate) fn condition<'a>(object: &'a Value, list: &str, kind: &str) -> Option<&'a Value> {
    let mut entries = object["status"][list].as_array()?.iter();
    let ours = entries.find(|entry| entry["controllerName"] == "evenkeel.io/control")?;
    ours["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

#[test]
fn the_weights_of_a_route_shift_requests_and_none_fails() -> Result<()> {
    for family in Family::BOTH {
        let world = world(family)?;
        let mut asker = Asker::connect(&world.clients[0], world.at(10))?;
        let loads = world.loads()?;
        world.api.put([weighted(100, 0)]);
        world.settles(0, 10, &[0])?;
        let route = world.api.wait_for("httproutes", SHOP, "web", |route| {
            condition(route, "parents", "Accepted").is_some_and(|accepted| accepted["status"] == "True")
        })?;
        ensure!(
            condition(&route, "parents", "ResolvedRefs").is_some_and(|refs| refs["status"] == "True"),
            "{route}"
        );

        world.api.put([weighted(80, 20)]);
        world.settles(0, 10, &[0, 1])?;
        let shares = shares(&mut asker)?;
        let green = shares.get("r2").copied().unwrap_or_default();
        ensure!((REQUESTS / 10..REQUESTS * 3 / 10).contains(&green), "{shares:?}");

        world.api.put([weighted(0, 100)]);
        world.settles(0, 10, &[1])?;
        // Endpoints of a backend are followed like any other's.
        world.api.put([world.slice("green", "green-1", &[2])]);
        world.settles(0, 10, &[2])?;
        world.api.delete("httproutes", SHOP, "web");
        world.settles(0, 10, &[0, 1, 2])?;
        nothing_failed(loads)?;
    }
    Ok(())
}

#[test]
fn what_the_data_plane_cannot_do_is_said_in_the_status_and_hurts_nobody_else() -> Result<()> {
    let world = world(Family::V4)?;
    world.settles(0, 10, &[0, 1, 2])?;
    let loads = world.loads()?;
    let mirror = json!([{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "blue", "port": PORT}}}]);
    let rules = json!([{"filters": mirror, "backendRefs": [{"name": "blue", "port": PORT}]}]);
    world.api.put([object::http_route(SHOP, "mirrored", "green", &rules)]);
    let route = world.api.wait_for("httproutes", SHOP, "mirrored", |route| {
        condition(route, "parents", "Accepted").is_some_and(|accepted| accepted["status"] == "False")
    })?;
    let accepted = condition(&route, "parents", "Accepted");
    ensure!(
        accepted.is_some_and(|accepted| accepted["reason"] == "UnsupportedValue"),
        "{route}"
    );
    world.control.wait_for_metrics(|metrics| {
        metrics.value("evenkeel_control_refused_objects", &[("kind", "HTTPRoute")]) > 0.0
    })?;
    // A route of another Service is as good as ever.
    world.api.put([weighted(0, 100)]);
    world.settles(0, 10, &[1])?;
    nothing_failed(loads)
}

#[test]
fn a_cluster_without_the_gateway_api_is_served() -> Result<()> {
    let world = World::without_gateway_api()?;
    world.settles(0, 10, &[0, 1, 2])
}
