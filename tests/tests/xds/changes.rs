//! Every kind of resource changes under load, and no request fails.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::load::Load;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::wait;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use serde_json::json;

use crate::world::DEADLINE;
use crate::world::HTTP;
use crate::world::Protocol;
use crate::world::World;
use crate::world::goes_on;
use crate::world::nothing_failed;

#[test]
fn endpoints_clusters_routes_and_listeners_change_under_load_and_no_request_fails() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let (world, server, _mesh) = World::meshed(family, protocol)?;
        let loads = Spoken::ALL.map(|spoken| world.load(spoken));
        let loads = loads.into_iter().collect::<Result<Vec<_>>>()?;
        endpoints_change(&world, &server, &loads)?;
        the_cluster_changes(&world, &server, &loads)?;
        the_route_changes(&world, &server, &loads)?;
        the_listener_changes(&world, &server, &loads)?;
        loads.into_iter().try_for_each(nothing_failed)?;
    }
    Ok(())
}

/// One goes, and comes again.
fn endpoints_change(world: &World, server: &XdsServer, loads: &[Load]) -> Result<()> {
    server.apply(&[world.web(&[0, 1])])?;
    is_left_alone(&world.replicas[2], loads)?;
    server.apply(&[world.web(&[0, 1, 2])])?;
    is_asked(&world.replicas[2])
}

/// Another algorithm and another timeout: a cluster that is not the same any more, in place of the one before.
fn the_cluster_changes(world: &World, server: &XdsServer, loads: &[Load]) -> Result<()> {
    let random = json!({"lb_policy": "RANDOM", "connect_timeout": "3s"});
    server.apply(&[resource::with(resource::cluster("web"), random)])?;
    all_go_on(loads)?;
    server.apply(&[resource::cluster("web")])?;
    is_asked(&world.replicas[0])
}

/// To a cluster that is new, whose endpoints come after the route that names it; the one before goes away.
fn the_route_changes(world: &World, server: &XdsServer, loads: &[Load]) -> Result<()> {
    let other = [resource::cluster("other"), world.endpoints("other", &[0])];
    server.set(
        &[resource::all_to("web", "other")]
            .into_iter()
            .chain(other)
            .collect::<Vec<_>>(),
    )?;
    is_left_alone(&world.replicas[1], loads)?;
    server.apply(&[resource::all_to("web", "web")])?;
    is_asked(&world.replicas[1])?;
    server.remove("Cluster", &["other"])?;
    all_go_on(loads)
}

/// It gets other routes, then other limits, then it is gone and there again under another name.
fn the_listener_changes(world: &World, server: &XdsServer, loads: &[Load]) -> Result<()> {
    server.set(&[resource::all_to("more", "web"), world.web_listener("more")])?;
    server.wait_for(|request| {
        request.r#type == "RouteConfiguration" && request.subscribe.iter().any(|name| name == "more")
    })?;
    all_go_on(loads)?;
    let chain = resource::chain(&resource::http(&resource::all_to("inline", "web")));
    server.apply(&[resource::listener("web", world.vip(HTTP), std::slice::from_ref(&chain))])?;
    all_go_on(loads)?;
    server.apply(&[resource::listener("again", world.vip(HTTP), &[chain])])?;
    server.remove("Listener", &["web"])?;
    all_go_on(loads)
}

fn all_go_on(loads: &[Load]) -> Result<()> {
    loads.iter().try_for_each(goes_on)
}

/// Once what was under way is answered, requests go elsewhere.
fn is_left_alone(replica: &Replica, loads: &[Load]) -> Result<()> {
    wait::until(DEADLINE, || {
        let before = replica.counts().ok()?;
        all_go_on(loads).ok()?;
        let served = replica.counts().ok()? - before;
        (served.http1 + served.http2 + served.grpc == 0).then_some(())
    })
}

fn is_asked(replica: &Replica) -> Result<()> {
    let before = replica.counts()?;
    wait::until(DEADLINE, || {
        let served = replica.counts().ok()? - before;
        [served.http1, served.http2, served.grpc]
            .iter()
            .all(|&served| served > 0)
            .then_some(())
    })?;
    ensure!(replica.process().ended()?.is_none());
    Ok(())
}
