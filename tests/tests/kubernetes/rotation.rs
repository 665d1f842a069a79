//! Another authority signs in the place of the one before: proxies of before stay, new ones come, and who is forgotten loses no request.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::helm::NAMESPACE;
use evenkeel_tests::http;
use evenkeel_tests::wait;
use serde_json::json;

use crate::world::DEADLINE;
use crate::world::World;
use crate::world::nothing_failed;

const SECRET: &str = "evenkeel-control-tls";
/// Where a proxy tells what it knows.
const ADMIN: u16 = 15000;

/// Asks for it as an operator does, and waits until so many authorities are believed, by the webhook's configuration, too.
fn ask(world: &World, wish: &str, believed: usize) -> Result<()> {
    world.api.edit("secrets", NAMESPACE, SECRET, |secret| {
        secret["metadata"]["annotations"]["evenkeel.io/authority"] = json!(wish);
    });
    let known = |metrics: &evenkeel_tests::metrics::Metrics| {
        metrics.value("evenkeel_control_authorities", &[]).round() as usize == believed
    };
    world.control.wait_for_metrics(known)?;
    let told = wait::until(DEADLINE, || {
        let authority = world.api.find("secrets", NAMESPACE, SECRET)?["data"]["ca.crt"].clone();
        let webhooks = world
            .api
            .find("mutatingwebhookconfigurations", "", "evenkeel-injector")?;
        let mut webhooks = webhooks["webhooks"].as_array()?.iter();
        webhooks
            .all(|webhook| webhook["clientConfig"]["caBundle"] == authority)
            .then_some(())
    });
    told.context("the webhook is told")
}

/// Every stream ends; whoever can connects anew.
fn begins_anew(world: &World) -> Result<()> {
    world.control.kill();
    world.control.restart()?;
    world.control.await_ready()
}

#[test]
fn proxies_of_before_and_after_are_served_while_the_authority_changes_and_no_request_fails() -> Result<()> {
    let mut world = World::with_clients(Family::V4, 1)?;
    world.settles(0, 10, &[0, 1, 2])?;
    let loads = world.loads()?;
    ask(&world, "rotate", 2)?;
    // The stream that is open goes on.
    world.api.put([world.slice("web", "web-1", &[0])]);
    world.settles(0, 10, &[0])?;
    // One believes the first alone, the other both: what the second signs is good for either.
    world.join("client-2", "node-a")?;
    begins_anew(&world)?;
    world.api.put([world.slice("web", "web-1", &[1])]);
    for client in 0..2 {
        world.settles(client, 10, &[1])?;
    }

    ask(&world, "retire", 1)?;
    world.join("client-3", "node-a")?;
    begins_anew(&world)?;
    world.api.put([world.slice("web", "web-1", &[2])]);
    for client in 1..3 {
        world.settles(client, 10, &[2])?;
    }
    // Who was made before and forgotten is told nothing any more, says why, and serves what it knew.
    let admin = (Family::V4.loopback(), ADMIN).into();
    let says_why = || {
        let page = http::get(&world.clients[0], admin, "/config_dump").ok()?;
        page.body.contains("certificate").then_some(())
    };
    wait::until(DEADLINE, says_why).context("it says that it does not believe the certificate")?;
    ensure!(world.answer(0, 10)? == "r2");
    nothing_failed(loads)
}
