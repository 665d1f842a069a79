//! A collector that is slow, dead, or comes back: spans are lost and counted, and requests do not notice.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;

use crate::fate::SPANS;
use crate::world::DEADLINE;
use crate::world::World;

#[test]
fn a_dead_collector_costs_spans_and_no_request_and_gets_spans_when_it_is_back() -> Result<()> {
    for protocol in ["grpc", "http"] {
        let world = World::new(Family::V4, &["a"])?;
        let mesh = world.mesh(&format!("sample: 100%, timeout: 10s, protocol: {protocol}"))?;
        ensure!(clients::ab(&world.client, world.first(), 200)?.failed == 0);
        let metrics = SPANS.wait_for_all(&mesh, 200)?;
        ensure!(
            SPANS.dropped(&metrics, "export_failed") == 200,
            "{protocol}: {}",
            SPANS.exported(&metrics)
        );
        mesh.proxy()
            .wait_for_line("the collector does not take spans", DEADLINE)?;

        let mut sent = 200;
        for _ in 0..2 {
            let collector = world.start_collector()?;
            // The first batch may go the way of the connection that was lost.
            let before = SPANS.exported(&mesh.metrics()?);
            while SPANS.exported(&mesh.metrics()?) == before {
                ensure!(clients::ab(&world.client, world.first(), 10)?.failed == 0);
                sent += 10;
                SPANS.wait_for_all(&mesh, sent)?;
            }
            let got = collector.spans().len();
            ensure!(got == SPANS.exported(&mesh.metrics()?) - before, "{protocol}: {got}");
            mesh.proxy()
                .wait_for_line("the collector takes spans again", DEADLINE)?;
            collector.stop()?;
            ensure!(clients::ab(&world.client, world.first(), 10)?.failed == 0);
            sent += 10;
            SPANS.wait_for_all(&mesh, sent)?;
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
    let metrics = mesh.wait_for_metrics(DEADLINE, |metrics| SPANS.dropped(metrics, "queue_full") > 0)?;
    ensure!(SPANS.exported(&metrics) == 0);
    collector.answer(true);
    let metrics = SPANS.wait_for_all(&mesh, requests)?;
    let lost = SPANS.dropped(&metrics, "queue_full");
    ensure!(
        (requests - 4_096 - 2 * 512..=requests - 4_096).contains(&lost),
        "{lost}"
    );
    ensure!(SPANS.dropped(&metrics, "export_failed") == 0);
    ensure!(collector.spans().len() == SPANS.exported(&metrics));
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
