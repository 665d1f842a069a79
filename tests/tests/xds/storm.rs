//! A thousand changes of endpoints a second: no request fails, memory stays, and the last word holds.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::again;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::usage::Usage;
use evenkeel_tests::wait;
use serde_json::json;

use crate::world::DEADLINE;
use crate::world::Protocol;
use crate::world::World;
use crate::world::nothing_failed;

/// Updates a second.
const RATE: u32 = 1000;
const SECONDS: u32 = 10;
/// Processor time that a worker may spend at once on a new configuration, the first one included.
const TURN: Duration = Duration::from_millis(5);
/// What a proxy may have grown by, having gone through all of it twice before: what fragments and caches take.
const GROWTH: u64 = 8 << 20;

#[test]
fn a_storm_of_endpoints_fails_no_request_and_leaves_nothing_behind() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        // What a hypervisor takes of a processor is in a thread's time, too.
        let longest = again::until_good(|| weather(family, protocol), |longest| *longest <= TURN)?;
        ensure!(
            longest > Duration::ZERO && longest <= TURN,
            "a worker was held for {longest:?}"
        );
    }
    Ok(())
}

/// How long a worker was held at most.
fn weather(family: Family, protocol: Protocol) -> Result<Duration> {
    let (world, server, mesh) = World::meshed(family, protocol)?;
    let loads = Spoken::ALL.map(|spoken| world.load(spoken));
    let loads = loads.into_iter().collect::<Result<Vec<_>>>()?;
    let storm = |seconds: u32| -> Result<Usage> {
        let turns = [
            world.web(&[0, 1]),
            world.web(&[1, 2]),
            world.web(&[2]),
            world.web(&[0, 1, 2]),
        ];
        let sent = server.command(&json!({"do": "storm", "resources": turns, "rate": RATE, "seconds": seconds}))?;
        let sent: u32 = sent.first().context("how many were sent")?.parse()?;
        ensure!(sent == RATE * seconds, "{sent} were sent");
        // What was sent last is taken last.
        server.apply(&[world.web(&[1])])?;
        wait::until(DEADLINE, || {
            Some(()).filter(|()| world.http_answers().is_ok_and(|by| by == "r2"))
        })?;
        Usage::of(mesh.proxy())
    };
    storm(1)?;
    let before = storm(1)?;
    let after = storm(SECONDS)?;
    let (grown, spent) = (
        after.resident.saturating_sub(before.resident),
        after.processor.saturating_sub(before.processor),
    );
    let longest = mesh.metrics()?.value("evenkeel_worker_longest_apply_seconds", &[]);
    let longest = Duration::from_secs_f64(longest);
    report(protocol, grown, (spent, longest), RATE * SECONDS);
    ensure!(grown < GROWTH, "{before:?} {after:?}");
    loads.into_iter().try_for_each(nothing_failed)?;
    Ok(longest)
}

#[allow(clippy::print_stderr)] // figures for whoever looks; a debug build's are no promise
fn report(protocol: Protocol, grown: u64, (spent, longest): (Duration, Duration), updates: u32) {
    eprintln!(
        "{protocol:?}: {updates} updates: {spent:?} of CPU with the load, {longest:?} of a worker's at once, {} KiB more",
        grown >> 10
    );
}
