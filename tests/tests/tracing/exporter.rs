//! A collector that is slow, dead, or comes back: spans are lost and counted, and requests do not notice.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::metrics::Metrics;

use crate::world::DEADLINE;
use crate::world::World;

fn exported(metrics: &Metrics) -> usize {
    metrics.value("evenkeel_spans_exported_total", &[]) as usize
}

fn dropped(metrics: &Metrics, reason: &str) -> usize {
    metrics.value("evenkeel_spans_dropped_total", &[("reason", reason)]) as usize
}

/// Waits until every span of so many requests is exported or lost.
fn wait_for_all(mesh: &Mesh, requests: usize) -> Result<Metrics> {
    let lost = |metrics: &Metrics| dropped(metrics, "queue_full") + dropped(metrics, "export_failed");
    mesh.wait_for_metrics(DEADLINE, |metrics| exported(metrics) + lost(metrics) == requests)
}

#[test]
fn a_dead_collector_costs_spans_and_no_request_and_gets_spans_when_it_is_back() -> Result<()> {
    for protocol in ["grpc", "http"] {
        let world = World::new(Family::V4, &["a"])?;
        let mesh = world.mesh(&format!("sample: 100%, timeout: 1s, protocol: {protocol}"))?;
        ensure!(clients::ab(&world.client, world.first(), 200)?.failed == 0);
        let metrics = wait_for_all(&mesh, 200)?;
        ensure!(
            dropped(&metrics, "export_failed") == 200,
            "{protocol}: {}",
            exported(&metrics)
        );
        mesh.proxy()
            .wait_for_line("the collector does not take spans", DEADLINE)?;

        let mut sent = 200;
        for _ in 0..2 {
            let collector = world.start_collector()?;
            // The first batch may go the way of the connection that was lost.
            let before = exported(&mesh.metrics()?);
            while exported(&mesh.metrics()?) == before {
                ensure!(clients::ab(&world.client, world.first(), 10)?.failed == 0);
                sent += 10;
                wait_for_all(&mesh, sent)?;
            }
            let got = collector.spans().len();
            ensure!(got == exported(&mesh.metrics()?) - before, "{protocol}: {got}");
            mesh.proxy()
                .wait_for_line("the collector takes spans again", DEADLINE)?;
            collector.stop()?;
            ensure!(clients::ab(&world.client, world.first(), 10)?.failed == 0);
            sent += 10;
            wait_for_all(&mesh, sent)?;
        }
    }
    Ok(())
}

#[test]
fn a_slow_collector_costs_spans_beyond_the_queue_and_no_request() -> Result<()> {
    let world = World::new(Family::V4, &["a"])?;
    let collector = world.start_collector()?;
    collector.answer(false);
    let mesh = world.mesh("sample: 100%, timeout: 1m")?;
    // The queue takes 4,096, and a batch of 512 is on its way.
    let requests = 6_000;
    ensure!(clients::ab(&world.client, world.first(), requests as u32)?.failed == 0);
    let metrics = mesh.wait_for_metrics(DEADLINE, |metrics| dropped(metrics, "queue_full") > 0)?;
    ensure!(exported(&metrics) == 0);
    collector.answer(true);
    let metrics = wait_for_all(&mesh, requests)?;
    let lost = dropped(&metrics, "queue_full");
    ensure!(
        (requests - 4_096 - 2 * 512..=requests - 4_096).contains(&lost),
        "{lost}"
    );
    ensure!(dropped(&metrics, "export_failed") == 0);
    ensure!(collector.spans().len() == exported(&metrics));
    collector.stop()
}

#[test]
fn the_last_spans_go_out_when_the_proxy_ends() -> Result<()> {
    let world = World::new(Family::V4, &["a"])?;
    let collector = world.start_collector()?;
    let mesh = world.mesh("sample: 100%")?;
    ensure!(clients::ab(&world.client, world.first(), 50)?.failed == 0);
    mesh.admin("POST", "/quit", "")?;
    ensure!(mesh.proxy().wait(DEADLINE)?.success());
    ensure!(collector.spans().len() == 50, "{}", collector.spans().len());
    collector.stop()
}
