//! One client that sends HTTP/2 frames without end and reads nothing. Its connection is ended, and counted.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;

use crate::frames::CONTINUATION;
use crate::frames::Connection;
use crate::frames::DATA;
use crate::frames::END_HEADERS;
use crate::frames::END_STREAM;
use crate::frames::GET;
use crate::frames::HEADERS;
use crate::frames::PING;
use crate::frames::POST;
use crate::frames::Poured;
use crate::frames::RST_STREAM;
use crate::frames::SETTINGS;
use crate::frames::WINDOW_UPDATE;
use crate::frames::frame;
use crate::world::World;

/// What the proxy may grow by for such clients: a thousand streams (`limits.http2`) of 16 KiB each, and buffers.
const BOUND: u64 = 20 << 20;

/// Frames that are sent in one write.
const BATCH: usize = 500;
/// Such writes.
const BATCHES: usize = 100;

/// The frames of `one`, `BATCH` times `BATCHES`.
fn without_end(one: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<> {
    let batch = one.repeat(BATCH);
    (0..BATCHES).map(move |_| batch.clone())
}

/// Streams with odd numbers, each as `shape` makes it, in batches.
fn streams(shape: impl Fn(u32) -> Vec<u8>) -> impl Iterator<Item = Vec<u8>> {
    let number = |index: usize| index as u32 * 2 + 1;
    (0..BATCHES).map(move |batch| {
        (0..BATCH)
            .flat_map(|index| shape(number(batch * BATCH + index)))
            .collect()
    })
}

/// A connection on which `opening` was said pours `frames`, and again when the proxy is through with them. Whatever comes of
/// that, the others stay served.
fn flood<P: Iterator<Item = Vec<u8>>>(family: Family, opening: &[u8], frames: impl Fn() -> P + Sync) -> Result<World> {
    let world = World::new(family, |port| port)?;
    world.besieged(|| {
        let mut connection = Connection::open(&world.client, world.web(), b"")?;
        connection.pour([opening.to_vec()])?;
        if connection.pour(frames())? == Poured::All {
            connection.settles()?;
        }
        Ok(())
    })?;
    world.held_at_most(BOUND)?;
    Ok(world)
}

/// As [`flood`], and the proxy ends the connection for this reason.
fn refused_flood<P: Iterator<Item = Vec<u8>>>(
    family: Family,
    opening: &[u8],
    frames: impl Fn() -> P + Sync,
    reason: &str,
) -> Result<World> {
    let world = flood(family, opening, frames)?;
    let connections = world
        .mesh
        .metrics()?
        .value("evenkeel_detections_total", &[("result", "http2")]);
    let closed = world.closed_for(reason)?;
    ensure!(
        closed >= connections,
        "{closed} of {connections} were closed as {reason}: {:?}",
        world
            .mesh
            .metrics()?
            .series("evenkeel_connections_closed_total", &[])
            .collect::<Vec<_>>()
    );
    Ok(world)
}

#[test]
fn a_client_that_opens_and_resets_streams_is_sent_away() -> Result<()> {
    let rapid = |stream| {
        let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, GET);
        [head, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    let world = refused_flood(Family::V4, b"", || streams(rapid), "http2_flood")?;
    let seen = world.replica.counts()?.http2;
    ensure!(seen < BATCH as u64, "{seen} requests reached the application");
    Ok(())
}

#[test]
fn a_client_whose_streams_break_rules_one_after_another_is_sent_away() -> Result<()> {
    // The reset is the proxy's here ("made you reset"): a window above 2^31-1 is an error of the stream (RFC 9113 6.9.1).
    let broken = |stream| {
        let head = frame(HEADERS, END_HEADERS, stream, POST);
        [head, frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes())].concat()
    };
    refused_flood(Family::V6, b"", || streams(broken), "http2_flood").map(drop)
}

#[test]
fn pings_without_end_are_refused() -> Result<()> {
    for family in Family::BOTH {
        refused_flood(
            family,
            b"",
            || without_end(&frame(PING, 0, 0, b"evenkeel")),
            "http2_flood",
        )?;
    }
    Ok(())
}

#[test]
fn settings_without_end_are_refused() -> Result<()> {
    refused_flood(
        Family::V4,
        b"",
        || without_end(&frame(SETTINGS, 0, 0, b"")),
        "http2_flood",
    )
    .map(drop)
}

#[test]
fn window_updates_without_end_are_refused() -> Result<()> {
    let update = frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    refused_flood(Family::V6, b"", || without_end(&update), "http2_flood").map(drop)
}

#[test]
fn empty_data_frames_without_end_are_refused() -> Result<()> {
    let opening = frame(HEADERS, END_HEADERS, 1, POST);
    refused_flood(
        Family::V4,
        &opening,
        || without_end(&frame(DATA, 0, 1, b"")),
        "http2_flood",
    )
    .map(drop)
}

#[test]
fn a_head_without_end_is_refused() -> Result<()> {
    // Literal fields without indexing: `x: ` and 100 bytes.
    let field = [b"\x00\x01x\x64".as_slice(), &[b'a'; 100]].concat();
    let opening = frame(HEADERS, 0, 1, GET);
    refused_flood(
        Family::V6,
        &opening,
        || without_end(&frame(CONTINUATION, 0, 1, &field)),
        "http2_flood",
    )
    .map(drop)
}

#[test]
fn empty_continuations_without_end_are_refused() -> Result<()> {
    let opening = frame(HEADERS, 0, 1, GET);
    refused_flood(
        Family::V4,
        &opening,
        || without_end(&frame(CONTINUATION, 0, 1, b"")),
        "http2_flood",
    )
    .map(drop)
}

#[test]
fn a_small_head_that_unpacks_to_megabytes_is_not_unpacked() -> Result<()> {
    // One field of 4,000 bytes goes into the dynamic table; each byte after it repeats the whole field: 16 MiB a request.
    let planted = [GET, b"\x40\x01x\x7f\xa1\x1e", &[b'a'; 4000]].concat();
    // Its authority stays out of the table: the newest field there is the planted one.
    let bomb = [b"\x82\x84\x86\x01\x01a".as_slice(), &[0xbe; 4096]].concat();
    let opening = frame(HEADERS, END_HEADERS | END_STREAM, 1, &planted);
    let bombs = || (1..=100).map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream * 2 + 1, &bomb));
    // It is more than four times what the crate would take: it does not go on unpacking.
    let world = refused_flood(Family::V6, &opening, bombs, "http2_flood")?;
    // Only the head that plants the field is one that may pass: on each connection one.
    let passed = world
        .mesh
        .metrics()?
        .value("evenkeel_requests_total", &[("protocol", "http2"), ("status", "200")]);
    let connections = world
        .mesh
        .metrics()?
        .value("evenkeel_detections_total", &[("result", "http2")]);
    ensure!(passed <= connections, "{passed} passed on {connections} connections");
    Ok(())
}
