//! A listener that is refused is closed: nothing passes in its place, whether it was asked for or came with all others.

use std::net::SocketAddr;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::wait;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::world::CONTROL_PLANE;
use crate::world::DEADLINE;
use crate::world::Protocol;
use crate::world::World;

/// A proxy that asks for what its application uses, and would rather wait than let anything pass unanswered.
fn on_demand() -> Document {
    let at = SocketAddr::from(CONTROL_PLANE);
    Document::under(&format!(
        "{{servers: [\"{at}\"], node: {{id: test}}, on_demand: {{wait: 30s}}}}"
    ))
}

/// Named by its address, it leads somewhere else: who has passed can be told from who was answering.
fn listener(at: SocketAddr) -> Value {
    let chain = resource::chain(&resource::http(&resource::all_to("elsewhere", "elsewhere")));
    resource::listener(&at.to_string(), at, &[chain])
}

fn spoilt(at: SocketAddr) -> Value {
    resource::with(listener(at), json!({"transparent": true}))
}

/// The name of the replica that answers a request on a new connection.
fn ask(world: &World, at: SocketAddr) -> Result<String> {
    let answer = clients::curl(&world.client, &["--fail", &format!("http://{at}/")])?;
    Ok(answer.trim_end().to_owned())
}

/// What is there, without a listener for any replica's own address.
fn serve(world: &World, server: &XdsServer) -> Result<()> {
    let [outbound, passthrough] = resource::outbound();
    let cluster = resource::cluster("elsewhere");
    server.set(&[passthrough, cluster, world.endpoints("elsewhere", &[0]), outbound])?;
    Ok(())
}

#[test]
fn a_listener_that_was_asked_for_and_is_refused_is_closed_until_it_is_good() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family)?;
        let server = world.empty_server()?;
        serve(&world, &server)?;
        let [elsewhere, refused, unknown] = [0, 1, 2].map(|index| world.replicas[index].http(family));
        server.set(&[spoilt(refused)])?;
        let _mesh = world.client.mesh(&on_demand())?.quiet();
        let passed = ask(&world, unknown)?;
        for _ in 0..3 {
            let asked = ask(&world, refused);
            ensure!(asked.is_err(), "{asked:?} passed");
        }
        server.apply(&[listener(refused)])?;
        let answering = wait::until(DEADLINE, || ask(&world, refused).ok())?;
        ensure!(
            answering == ask(&world, elsewhere)? && answering != passed,
            "{answering}, {passed}"
        );
    }
    Ok(())
}

#[test]
fn a_listener_that_came_with_all_others_and_is_refused_is_closed_until_it_is_good() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let world = World::new(family)?;
        let server = world.empty_server()?;
        serve(&world, &server)?;
        let [elsewhere, refused] = [0, 1].map(|index| world.replicas[index].http(family));
        let _mesh = world.client.mesh(&protocol.document())?.quiet();
        wait::until(DEADLINE, || ask(&world, refused).ok())?;
        let reason = server.refused(&[spoilt(refused)])?;
        ensure!(reason.contains("transparent"), "{reason}");
        wait::until(DEADLINE, || ask(&world, refused).err())?;
        server.apply(&[listener(refused)])?;
        let answering = wait::until(DEADLINE, || ask(&world, refused).ok())?;
        ensure!(answering == ask(&world, elsewhere)?, "{answering}");
    }
    Ok(())
}
