//! What a mesh of ten thousand clusters costs, where everything is subscribed to.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::usage::Usage;
use evenkeel_tests::wait;
use evenkeel_tests::xds::Entry;
use evenkeel_tests::xds::Verdict;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::world::Protocol;
use crate::world::World;

const CLUSTERS: u32 = 10_000;
/// Of each cluster.
const ENDPOINTS: u8 = 10;
/// How often an endpoint of one cluster changes: the kernel counts processor time in steps of 10 ms.
const CHANGES: u32 = 200;
const PATIENCE: Duration = Duration::from_mins(3);
/// Processor time, of all threads together.
const FIRST: Duration = Duration::from_secs(5);
const EACH: Duration = Duration::from_millis(5);
/// Of a change of one that comes with ten thousand that have not changed: they are read, and compared.
const EACH_WITH_ALL: Duration = Duration::from_millis(20);

fn assignment(name: &str, last: u8) -> Value {
    let others = 1..ENDPOINTS;
    let endpoints = others
        .chain([last])
        .map(|number| SocketAddr::from(([10, 99, 0, number], 80)));
    resource::assignment(name, endpoints)
}

/// The nonce of the response that has the endpoints of the last cluster.
fn endpoints_sent(server: &XdsServer) -> Option<String> {
    let last = format!("many-{}", CLUSTERS - 1);
    server.log().ok()?.into_iter().find_map(|entry| match entry {
        Entry::Sent {
            r#type, nonce, names, ..
        } if r#type == "ClusterLoadAssignment" && names.contains(&last) => Some(nonce),
        _ => None,
    })
}

fn took(one: Usage, other: Usage) -> Duration {
    other.processor.saturating_sub(one.processor)
}

/// What a change of the endpoints of one cluster costs the proxy.
fn change_one(server: &XdsServer, mesh: &Mesh) -> Result<Duration> {
    let before = Usage::of(mesh.proxy())?;
    for change in 0..CHANGES {
        let last = ENDPOINTS + u8::from(change % 2 == 0);
        server.apply(&[assignment("many-5000", last)])?;
    }
    Ok(took(before, Usage::of(mesh.proxy())?) / CHANGES)
}

/// `cargo build --release --bins`, then `cargo test --release -p evenkeel-tests --test xds -- --ignored many`.
#[test]
#[ignore = "it measures, and only a release build is worth that"]
#[allow(clippy::print_stderr)] // the figures are what somebody wants to read
fn ten_thousand_clusters_come_in_seconds_and_a_change_of_one_costs_milliseconds() -> Result<()> {
    for protocol in Protocol::BOTH {
        let (world, server, mesh) = World::meshed(Family::V4, protocol)?;
        let before = Usage::of(mesh.proxy())?;
        let all = [resource::cluster("many"), assignment("many", ENDPOINTS)];
        server.command(&json!({"do": "multiply", "resources": all, "count": CLUSTERS}))?;
        let sent = wait::until(PATIENCE, || endpoints_sent(&server))?;
        ensure!(server.verdict(&sent)? == Verdict::Accepted);
        world.answers()?;
        let first = Usage::of(mesh.proxy())?;
        let begun = took(before, first);
        if protocol == Protocol::StateOfTheWorld {
            let each = change_one(&server, &mesh)?;
            eprintln!("{protocol:?}: {each:?} of CPU for a change that comes with all others");
            ensure!(each <= EACH_WITH_ALL, "a change with all others took {each:?}");
            server.command(&json!({"do": "tell_changes"}))?;
        }
        let each = change_one(&server, &mesh)?;
        let endpoints = u64::from(CLUSTERS) * u64::from(ENDPOINTS);
        let bytes = first.resident.saturating_sub(before.resident) / endpoints;
        eprintln!(
            "{protocol:?}: {begun:?} of CPU for the first configuration, {each:?} for a change; {bytes} bytes an endpoint"
        );
        ensure!(begun <= FIRST, "the first configuration took {begun:?}");
        ensure!(each <= EACH, "a change took {each:?}");
    }
    Ok(())
}
