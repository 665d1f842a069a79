//! What no control plane should send: the last good configuration serves on, and the answer names every fault.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::wait;
use evenkeel_tests::xds::Verdict;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::world::DEADLINE;
use crate::world::HTTP;
use crate::world::Protocol;
use crate::world::World;
use crate::world::nothing_failed;

/// More than a resource may have, and more than gRPC takes by default.
const HUGE: u32 = 100_000_000;

/// Something that is sent, and the words with which it is refused.
struct Breakage {
    command: Value,
    delta: &'static str,
    state_of_the_world: &'static str,
    /// How many resources are counted as refused.
    resources: u32,
}

impl Breakage {
    fn new(command: Value, words: &'static str) -> Self {
        Self {
            command,
            delta: words,
            state_of_the_world: words,
            resources: 1,
        }
    }

    fn of(self, resources: u32) -> Self {
        Self { resources, ..self }
    }

    fn words(&self, protocol: Protocol) -> &'static str {
        match protocol {
            Protocol::Delta => self.delta,
            Protocol::StateOfTheWorld => self.state_of_the_world,
        }
    }
}

#[test]
fn responses_that_make_no_sense_are_refused_by_name_and_what_was_good_serves_on() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let (world, server, mesh) = World::meshed(family, protocol)?;
        let load = world.load(Spoken::Http1)?;
        let mut before = Counts::of(&mesh)?;
        for breakage in refused(&world) {
            let nonces = server.command(&breakage.command)?;
            let reason = server
                .refusal(&nonces)
                .with_context(|| breakage.command["how"].to_string())?;
            let words = breakage.words(protocol);
            ensure!(reason.contains(words), "{words:?} is not in {reason:?}");
            let after = Counts::of(&mesh)?;
            let expected = Counts {
                responses: before.responses + 1,
                resources: before.resources + breakage.resources,
                ..before
            };
            ensure!(
                after == expected,
                "{}: {before:?} became {after:?}",
                breakage.command["how"]
            );
            before = after;
            works(&world, &server)?;
        }
        ensure!(server.streams()? == 1, "one stream lives through all of it");
        nothing_failed(load)?;
    }
    Ok(())
}

/// What metrics say of what was refused, and of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    responses: u32,
    resources: u32,
    streams: u32,
    connected: u32,
}

impl Counts {
    fn of(mesh: &Mesh) -> Result<Self> {
        let metrics = mesh.metrics()?;
        let value = |name: &str| metrics.value(&format!("evenkeel_{name}"), &[]) as u32;
        Ok(Self {
            responses: value("control_plane_refused_responses_total"),
            resources: value("xds_refused_total"),
            streams: value("control_plane_streams_total"),
            connected: value("control_plane_connected"),
        })
    }
}

fn refused(world: &World) -> Vec<Breakage> {
    let no_message = json!({"do": "break", "how": "garbage_resource", "type": "Cluster", "name": "web"});
    let half = json!({"do": "break", "how": "half_resource", "resource": resource::all_to("web", "web")});
    let foreign =
        json!({"do": "break", "how": "foreign_resource", "type": "RouteConfiguration", "resource": world.web(&[0])});
    let twice = json!({"do": "break", "how": "twice", "resources": [world.web(&[0]), world.web(&[1])]});
    let huge = json!({"do": "break", "how": "huge", "type": "ClusterLoadAssignment", "name": "web", "bytes": HUGE});
    vec![
        Breakage {
            command: no_message,
            delta: "1 resource refused: web: ",
            // Nobody can tell its name there.
            state_of_the_world: "1 resource refused: resources[0]: ",
            resources: 1,
        },
        Breakage::new(half, "1 resource refused: "),
        Breakage::new(
            json!({"do": "break", "how": "unknown_type"}),
            "nobody.knows.v3.Resource\" is not a type that was asked for",
        )
        .of(0),
        Breakage::new(foreign, "1 resource refused: web: "),
        Breakage::new(twice, "2 resources refused: web: is there twice; web: is there twice").of(2),
        Breakage::new(
            huge,
            "1 resource refused: web: is 100000011 bytes long, which is more than 16777216",
        ),
    ]
}

/// Everything is answered, and a change is obeyed.
fn works(world: &World, server: &XdsServer) -> Result<()> {
    world.answers()?;
    server.apply(&[world.web(&[1])])?;
    is_served_by(world, "r2")?;
    server.apply(&[world.web(&[0, 1, 2])])
}

/// Workers have a configuration a moment after it was acknowledged.
fn is_served_by(world: &World, replica: &str) -> Result<()> {
    wait::until(DEADLINE, || {
        Some(()).filter(|()| world.http_answers().is_ok_and(|by| by == replica))
    })
}

#[test]
fn every_fault_of_every_resource_is_named_and_the_good_ones_of_the_same_response_apply() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let (world, server, _mesh) = World::meshed(family, protocol)?;
        let load = world.load(Spoken::Http2)?;
        let subsets = json!({"lb_subset_config": {"subset_selectors": [{"keys": ["version"]}]}});
        let transparent = json!({"transparent": true, "tcp_fast_open_queue_length": 5});
        let route = json!({"match": {"safe_regex": {"regex": "/a(b"}}, "route": {"cluster": "web"}});
        let nonces = server.set(&[
            resource::with(resource::cluster("web"), subsets.clone()),
            resource::with(resource::cluster("banner"), subsets),
            resource::cluster("good"),
            world.endpoints("good", &[2]),
            resource::with(world.web_listener("web"), transparent),
            resource::routes("web", &[resource::host("all", &["*"], &[route])]),
        ])?;
        let mut reasons = Vec::new();
        for nonce in nonces {
            if let Verdict::Refused(reason) = server.verdict(&nonce)? {
                reasons.push(reason);
            }
        }
        let reasons = reasons.join("\n");
        for words in [
            "2 resources refused",
            "web: lb_subset_config: ",
            "banner: lb_subset_config: ",
            "web: transparent: cannot be true",
            "web: tcp_fast_open_queue_length: ",
            "web: virtual_hosts[0].routes[0].match.safe_regex.regex: \"/a(b\": unclosed group, at character 3",
        ] {
            ensure!(reasons.contains(words), "{words:?} is not in:\n{reasons}");
        }
        world.answers()?;
        // The good one of the same response can be used.
        server.apply(&[resource::all_to("web", "good")])?;
        is_served_by(&world, "r3")?;
        nothing_failed(load)?;
    }
    Ok(())
}

#[test]
fn a_refused_version_is_followed_by_a_good_one() -> Result<()> {
    for protocol in Protocol::BOTH {
        let (world, server, _mesh) = World::meshed(Family::V4, protocol)?;
        let good = world.web_listener("web");
        let reason = server.refused(&[resource::with(good.clone(), json!({"transparent": true}))])?;
        ensure!(reason.contains("web: transparent: "), "{reason}");
        world.answers()?;
        let moved = resource::listener(
            "web",
            world.vip(HTTP + 1),
            &[resource::chain(&resource::http_by_name("web"))],
        );
        server.apply(&[moved])?;
        server.apply(&[good])?;
        wait::until(DEADLINE, || world.http_answers().ok())?;
        works(&world, &server)?;
    }
    Ok(())
}

#[test]
fn a_response_that_cannot_be_answered_is_obeyed_and_one_that_is_no_response_costs_the_stream_alone() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let (world, server, mesh) = World::meshed(family, protocol)?;
        let load = world.load(Spoken::Grpc)?;
        for how in ["without_nonce", "same_nonce"] {
            server.command(&json!({"do": "break", "how": how, "resource": world.web(&[2])}))?;
            is_served_by(&world, "r3").context(how)?;
            server.apply(&[world.web(&[0, 1, 2])])?;
        }
        server.command(&json!({"do": "break", "how": "garbage_message"}))?;
        let again = wait::until(DEADLINE, || {
            Some(()).filter(|()| server.streams().is_ok_and(|count| count == 2))
        });
        again.with_context(|| mesh.proxy().said())?;
        server.wait_for(|request| request.stream == 2 && request.r#type == "RouteConfiguration")?;
        works(&world, &server)?;
        let counts = Counts::of(&mesh)?;
        ensure!((counts.streams, counts.connected) == (2, 1), "{counts:?}");
        nothing_failed(load)?;
    }
    Ok(())
}
