//! What a Service says of who gets which of its endpoints: hints for zones, sessions of clients.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::wait;
use serde_json::json;

use crate::world::DEADLINE;
use crate::world::World;
use crate::world::nothing_failed;

/// Connections that would hardly all come to one replica by chance.
const CONNECTIONS: usize = 25;

#[test]
fn clients_use_the_endpoints_that_are_meant_for_their_zone() -> Result<()> {
    for family in Family::BOTH {
        let mut world = World::with_clients(family, 1)?;
        world.api.put([object::node("node-b", "zone-b")]);
        world.join("client-2", "node-b")?;
        let loads = world.loads()?;
        let hint = |zones: [Option<&str>; 3]| {
            let mut slice = world.slice("web", "web-1", &[0, 1, 2]);
            let endpoints = slice["endpoints"].as_array_mut().into_iter().flatten();
            for (endpoint, zone) in endpoints.zip(zones) {
                endpoint["hints"] = zone.map_or(json!(null), |zone| json!({"forZones": [{"name": zone}]}));
            }
            world.api.put([slice]);
        };
        let (a, b) = (Some("zone-a"), Some("zone-b"));
        hint([a, b, b]);
        world.settles(0, 10, &[0])?;
        world.settles(1, 10, &[1, 2])?;
        hint([b, a, b]);
        world.settles(0, 10, &[1])?;
        world.settles(1, 10, &[0, 2])?;
        // Where one has none, all are for everybody.
        hint([b, a, None]);
        for client in 0..world.clients.len() {
            world.settles(client, 10, &[0, 1, 2])?;
        }
        nothing_failed(loads)?;
    }
    Ok(())
}

/// The replica that answers all of a client's connections, if it is one.
fn only(world: &World, client: usize) -> Result<Option<String>> {
    let answers = (0..CONNECTIONS).map(|_| world.answer(client, 10));
    let mut answers: Vec<_> = answers.collect::<Result<_>>()?;
    answers.dedup();
    let first = answers.pop();
    Ok(first.filter(|_| answers.is_empty()))
}

#[test]
fn a_client_of_a_service_with_sessions_keeps_its_replica_for_as_long_as_that_is_there() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let sessions = |affinity: &str| {
            let mut service = world.service("web", 10);
            service["spec"]["sessionAffinity"] = json!(affinity);
            world.api.put([service]);
        };
        let loads = world.loads()?;
        sessions("ClientIP");
        let kept = (0..world.clients.len()).map(|client| {
            let kept = wait::until(DEADLINE, || only(&world, client).ok().flatten());
            kept.with_context(|| format!("client {client} is answered by several"))
        });
        let kept: Vec<_> = kept.collect::<Result<_>>()?;
        let gone: usize = kept[0].trim_start_matches('r').parse::<usize>()? - 1;
        let rest: Vec<_> = (0..3).filter(|&replica| replica != gone).collect();
        world.api.put([world.slice("web", "web-1", &rest)]);
        let gone = format!("r{}", gone + 1);
        for (client, kept) in kept.iter().enumerate() {
            let now = wait::until(DEADLINE, || {
                only(&world, client).ok().flatten().filter(|now| *now != gone)
            })?;
            ensure!(*kept == gone || now == *kept, "client {client}: from {kept} to {now}");
        }
        // Without sessions everybody's connections go everywhere.
        sessions("None");
        for client in 0..world.clients.len() {
            world.settles(client, 10, &rest)?;
        }
        nothing_failed(loads)?;
    }
    Ok(())
}
