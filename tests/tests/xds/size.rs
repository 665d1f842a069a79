//! A response of many megabytes that is good: it is taken, traffic goes on meanwhile, and nothing of it stays when it is gone.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::usage::Usage;
use evenkeel_tests::wait;
use evenkeel_tests::xds::Verdict;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::world::HTTP;
use crate::world::Protocol;
use crate::world::World;
use crate::world::nothing_failed;

/// Clusters of the large response, each with ten endpoints and what control planes say besides: 30 MB in all.
const CLUSTERS: u32 = 10_000;
const BESIDES: usize = 2_600;
/// From the response to its answer, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// What a proxy may have grown by when it is all gone, having had it once before: what fragments and caches take.
const GROWTH: u64 = 12 << 20;
/// Requests whose latency is what it is without the response.
const BEFORE: usize = 300;
/// By how much more one of a hundred requests may take, and how many times as long, on a machine whose cores have everything to
/// do: reading the response takes a core for seconds, beside the workers.
const MORE: Duration = Duration::from_millis(250);
const TIMES: u32 = 4;
/// Processor time of its own that a worker may be held for at once by ten thousand new clusters, whatever else the machine does: it
/// builds 64 at a time, of 25 us each in a debug build. All of them at once would be a quarter of a second.
const HELD: Duration = Duration::from_millis(50);

/// A cluster that nobody uses, of some 3 KB.
fn cluster() -> Value {
    let endpoints = (0..10).map(|number| SocketAddr::from(([10, 99, 0, number], 80)));
    let metadata = json!({"filter_metadata": {"test": {"besides": "x".repeat(BESIDES)}}});
    resource::with(resource::fixed("many", endpoints), json!({"metadata": metadata}))
}

/// The latencies of one request after another, on one connection, until there are enough.
fn latencies(from: &Pod, to: SocketAddr, enough: impl Fn(usize) -> bool) -> Result<Vec<Duration>> {
    use std::io::BufRead;
    use std::io::Read;
    use std::io::Write;
    let stream = from.connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = std::io::BufReader::new(stream);
    let mut latencies = Vec::new();
    while !enough(latencies.len()) {
        let began = Instant::now();
        write!(stream.get_mut(), "GET / HTTP/1.1\r\nHost: {to}\r\n\r\n")?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(stream.read_line(&mut head)? > 0, "closed after {head:?}");
        }
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.context("no length")?.parse()?];
        stream.read_exact(&mut body)?;
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

/// Ninety-nine of a hundred are not longer than this.
fn nearly_all(mut latencies: Vec<Duration>) -> Result<Duration> {
    latencies.sort_unstable();
    let place = latencies.len().checked_sub(latencies.len() / 100 + 1);
    Ok(latencies[place.context("no request")?])
}

/// They come, and go; how long it took until they were taken.
fn come_and_go(server: &XdsServer) -> Result<Duration> {
    let accepted = |command: Value| -> Result<Duration> {
        let nonces = server.command(&command)?;
        let began = Instant::now();
        ensure!(!nonces.is_empty(), "nothing was sent");
        for nonce in nonces {
            let verdict = server.verdict(&nonce)?;
            ensure!(verdict == Verdict::Accepted, "{verdict:?}");
        }
        Ok(began.elapsed())
    };
    let took = accepted(json!({"do": "multiply", "resources": [cluster()], "count": CLUSTERS}))?;
    accepted(json!({"do": "divide", "type": "Cluster", "name": "many", "count": CLUSTERS}))?;
    Ok(took)
}

#[test]
#[allow(clippy::print_stderr)] // figures for whoever looks; a debug build's are no promise
fn a_response_of_thirty_megabytes_is_taken_beside_the_traffic_and_leaves_nothing() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let (world, server, mesh) = World::meshed(family, protocol)?;
        let load = world.load(Spoken::Grpc)?;
        come_and_go(&server)?;
        let before = Usage::of(mesh.proxy())?;
        let alone = nearly_all(latencies(&world.client, world.vip(HTTP), |count| count >= BEFORE)?)?;
        let stop = AtomicBool::new(false);
        let (took, latencies) = std::thread::scope(|scope| {
            let asking = scope.spawn(|| latencies(&world.client, world.vip(HTTP), |_| stop.load(Ordering::SeqCst)));
            let took = come_and_go(&server);
            stop.store(true, Ordering::SeqCst);
            let latencies = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            anyhow::Ok((took?, latencies?))
        })?;
        let (count, nearly_all) = (latencies.len(), nearly_all(latencies)?);
        let left = wait::until(PATIENCE, || {
            let grown = Usage::of(mesh.proxy()).ok()?.resident.saturating_sub(before.resident);
            (grown < GROWTH).then_some(grown)
        });
        let left = left.with_context(|| format!("{before:?} became {:?}", Usage::of(mesh.proxy())))?;
        eprintln!(
            "{protocol:?}: taken in {took:?}, {} KiB left of it; 99 % of {count} requests within {nearly_all:?}, of {BEFORE} before \
             within {alone:?}",
            left >> 10
        );
        ensure!(
            nearly_all < alone * TIMES + MORE,
            "99 % of {count} requests within {nearly_all:?}, of {BEFORE} before within {alone:?}"
        );
        let longest = mesh.metrics()?.value("evenkeel_worker_longest_apply_seconds", &[]);
        let longest = Duration::from_secs_f64(longest);
        eprintln!("{protocol:?}: a worker was held for {longest:?}");
        ensure!(longest <= HELD, "a worker was held for {longest:?}");
        nothing_failed(load)?;
    }
    Ok(())
}
