//! Exemplars of histograms: Prometheus shows a request that the collector has.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::collector::hex;
use evenkeel_tests::prometheus::Prometheus;
use evenkeel_tests::wait;

use crate::world::DEADLINE;
use crate::world::World;

const QUERY: &str = "evenkeel_request_duration_seconds_bucket{direction=\"outbound\"}";

#[test]
fn a_recorded_request_of_each_bucket_is_an_exemplar_and_its_span_is_with_the_collector() -> Result<()> {
    let world = World::new(Family::V4, &["a"])?;
    let collector = world.start_collector()?;
    let mesh = world.mesh("sample: 100%")?;
    ensure!(clients::ab(&world.client, world.first(), 50)?.failed == 0);
    let spans = collector.wait_for(DEADLINE, |spans| spans.len() >= 50)?;
    let spans: BTreeMap<_, _> = spans
        .iter()
        .map(|received| (hex(&received.span.span_id), &received.span))
        .collect();

    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/alerts.yaml");
    let targets = [("proxy", world.client.at(world.family, 15020))];
    let prometheus = Prometheus::start(&world.cluster.pod("prometheus")?, &targets, &alerts)?;
    let seen = wait::until(DEADLINE, || {
        prometheus
            .exemplars(QUERY)
            .ok()
            .filter(|exemplars| !exemplars.is_empty())
    });
    for exemplar in seen.context("an exemplar")? {
        let text = |name: &str| exemplar["labels"][name].as_str().unwrap_or_default();
        let span = spans
            .get(text("span_id"))
            .with_context(|| format!("nobody has the span of {exemplar}"))?;
        ensure!(hex(&span.trace_id) == text("trace_id"), "{exemplar}");
        let seconds = (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e9;
        let value: f64 = exemplar["value"].as_str().context("a value")?.parse()?;
        ensure!((value - seconds).abs() < 1e-9, "{exemplar}: the span took {seconds}");
    }

    // Whoever does not ask for OpenMetrics gets the text that has no exemplars; it is read strictly.
    let buckets = mesh.metrics()?;
    let all = [("direction", "outbound"), ("le", "+Inf")];
    ensure!(buckets.value("evenkeel_request_duration_seconds_bucket", &all) > 49.5);
    collector.stop()
}
