//! client -> mesh -> a -> mesh -> b -> mesh -> c is one tree.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::collector::Received;
use evenkeel_tests::collector::hex;
use evenkeel_tests::passing;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::world::DEADLINE;
use crate::world::World;

/// From the root to the last child; an error where they are anything but a chain.
fn chain(spans: &[Received]) -> Result<Vec<&Received>> {
    let child_of = |parent: &[u8]| {
        let mut children = spans.iter().filter(|one| one.span.parent_span_id == parent);
        let child = children.next();
        ensure!(children.next().is_none(), "two children of {parent:?}");
        Ok(child)
    };
    let mut chain = Vec::new();
    let mut next = child_of(&[])?;
    while let Some(span) = next {
        chain.push(span);
        next = child_of(&span.span.span_id)?;
    }
    ensure!(
        chain.len() == spans.len(),
        "{} of {} in the chain",
        chain.len(),
        spans.len()
    );
    Ok(chain)
}

#[test]
fn the_spans_of_three_services_are_one_tree_over_grpc_and_over_http() -> Result<()> {
    for (family, protocol) in [(Family::V4, "grpc"), (Family::V6, "http")] {
        let world = World::new(family, &["a", "b", "c"])?;
        let collector = world.start_collector()?;
        let attributes = "attributes: [{name: tenant, header: x-tenant}, {name: tier, baggage: tier}, {name: home, environment: PATH}]";
        let _meshes = world.meshes(&format!("protocol: {protocol}, sample: 100%, {attributes}"))?;
        let lines = ["x-tenant: t1".to_owned(), "baggage: tier=gold".to_owned()];
        passing::ask(&world.client, world.first(), &lines)?;

        let spans = collector.wait_for(DEADLINE, |spans| spans.len() >= 6)?;
        let chain = chain(&spans)?;
        let expected = [
            ("client", SpanKind::Client),
            ("a", SpanKind::Server),
            ("a", SpanKind::Client),
            ("b", SpanKind::Server),
            ("b", SpanKind::Client),
            ("c", SpanKind::Server),
        ];
        let trace = &chain[0].span.trace_id;
        for (number, (received, (service, kind))) in chain.iter().zip(expected).enumerate() {
            ensure!(received.service() == service, "{number}: {}", received.service());
            ensure!(
                received.span.kind() == kind && &received.span.trace_id == trace,
                "{received:#?}"
            );
            ensure!(received.grpc == (protocol == "grpc"));
            ensure!(
                received.scope
                    == (
                        "evenkeel".to_owned(),
                        "https://opentelemetry.io/schemas/1.42.0".to_owned()
                    )
            );
            ensure!(
                received.span.name == "GET" && received.span.start_time_unix_nano < received.span.end_time_unix_nano
            );
            let attribute = |name| {
                received
                    .attribute(name)
                    .with_context(|| format!("{name} of {received:#?}"))
            };
            ensure!(attribute("http.request.method")? == "GET");
            ensure!(attribute("http.response.status_code")? == "200");
            ensure!(attribute("network.protocol.version")? == "1.1");
            ensure!(attribute("server.address")? == "next" && attribute("server.port")? == "80");
            ensure!(attribute("tier")? == "gold" && !attribute("home")?.is_empty());
            // Applications do not pass it on.
            ensure!(
                received.attribute("tenant").as_deref() == (number < 2).then_some("t1"),
                "{received:#?}"
            );
            if kind == SpanKind::Client {
                ensure!(attribute("url.full")? == "http://next/passed?on=1");
                ensure!(attribute("network.peer.port")? == "8080");
            } else {
                ensure!(attribute("url.path")? == "/passed" && attribute("url.query")? == "on=1");
                ensure!(attribute("client.address")? == attribute("network.peer.address")?);
            }
        }
        // What each was told is what the next one says of its parent.
        let told = world.links[2].application.values("traceparent");
        let last = &chain[5].span;
        ensure!(
            told == [format!("00-{}-{}-01", hex(&last.trace_id), hex(&last.span_id))],
            "{told:?}"
        );
        collector.stop()?;
    }
    Ok(())
}
