//! Whose trace a request belongs to, and whether it is recorded.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::collector::hex;
use evenkeel_tests::passing;

use crate::world::DEADLINE;
use crate::world::World;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

#[test]
fn b3_leads_through_the_mesh_in_one_header_or_in_several() -> Result<()> {
    for (family, form, lines) in [
        (Family::V4, "b3", vec![format!("b3: {TRACE}-{SPAN}-1")]),
        (
            Family::V6,
            "b3_multi",
            vec![
                format!("X-B3-TraceId: {TRACE}"),
                format!("X-B3-SpanId: {SPAN}"),
                "X-B3-Sampled: 1".to_owned(),
            ],
        ),
    ] {
        let world = World::new(family, &["a", "b"])?;
        let collector = world.start_collector()?;
        let _meshes = world.meshes(&format!("sample: 0%, propagation: {form}"))?;
        passing::ask(&world.client, world.first(), &lines)?;
        let spans = collector.wait_for(DEADLINE, |spans| spans.len() >= 4)?;
        ensure!(
            spans.len() == 4 && spans.iter().all(|one| hex(&one.span.trace_id) == TRACE),
            "{spans:#?}"
        );
        let roots = spans.iter().filter(|one| hex(&one.span.parent_span_id) == SPAN);
        ensure!(roots.count() == 1, "{spans:#?}");
        let last = &world.links[1].application;
        if form == "b3" {
            let told = last.values("b3");
            ensure!(
                told.len() == 1 && told[0].starts_with(TRACE) && told[0].ends_with("-1"),
                "{told:?}"
            );
        } else {
            ensure!(last.values("x-b3-traceid") == [TRACE] && last.values("x-b3-sampled") == ["1"]);
        }
        ensure!(last.values("traceparent").is_empty());
        collector.stop()?;
    }
    Ok(())
}

#[test]
fn a_share_of_new_traces_is_recorded_and_parents_decide_about_theirs() -> Result<()> {
    let world = World::new(Family::V4, &["a"])?;
    let collector = world.start_collector()?;
    let mesh = world.mesh("sample: 10%")?;
    let requests = 2_000;
    ensure!(clients::ab(&world.client, world.first(), requests)?.failed == 0);
    let told = world.links[0].application.values("traceparent");
    ensure!(told.len() == requests as usize, "{}", told.len());
    let recorded = told.iter().filter(|parent| parent.ends_with("-01")).count();
    ensure!(
        told.iter()
            .all(|parent| parent.ends_with("-01") || parent.ends_with("-00"))
    );
    // 200 are expected; six standard deviations of a binomial (13.4 each) are exceeded once in 500 million runs.
    ensure!((119..=281).contains(&recorded), "{recorded}");
    collector.wait_for(DEADLINE, |spans| spans.len() == recorded)?;

    for (flags, others) in [("00", 0), ("01", 20)] {
        let parent = format!("traceparent: 00-{TRACE}-{SPAN}-{flags}");
        for _ in 0..20 {
            passing::ask(&world.client, world.first(), std::slice::from_ref(&parent))?;
        }
        let told = world.links[0].application.values("traceparent");
        let children = told.iter().filter(|one| one.contains(TRACE) && one.ends_with(flags));
        ensure!(children.count() == 20, "{told:?}");
        // Those that are recorded come after those that are not.
        let spans = collector.wait_for(DEADLINE, |spans| spans.len() >= recorded + others)?;
        ensure!(spans.len() == recorded + others, "{}", spans.len());
    }
    ensure!(mesh.metrics()?.value("evenkeel_spans_dropped_total", &[]) as usize == 0);
    collector.stop()
}

#[test]
fn a_malformed_context_is_replaced_and_the_request_served() -> Result<()> {
    let world = World::new(Family::V4, &["a"])?;
    let collector = world.start_collector()?;
    let _mesh = world.mesh("sample: 100%")?;
    let malformed = [
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-01-x"),
        "\u{fc}".to_owned(),
        String::new(),
        "x".repeat(5_000),
    ];
    for context in &malformed {
        let lines = [format!("traceparent: {context}"), "tracestate: a=1".to_owned()];
        passing::ask(&world.client, world.first(), &lines)?;
    }
    let spans = collector.wait_for(DEADLINE, |spans| spans.len() >= malformed.len())?;
    ensure!(
        spans
            .iter()
            .all(|one| one.span.parent_span_id.is_empty() && one.span.trace_id != [0; 16])
    );
    let told = world.links[0].application.values("traceparent");
    ensure!(
        told.len() == malformed.len() && told.iter().all(|one| one.len() == 55 && one.ends_with("-01")),
        "{told:?}"
    );
    ensure!(world.links[0].application.values("tracestate").is_empty());
    collector.stop()
}
