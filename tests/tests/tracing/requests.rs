//! What a span says of a request: gRPC, a failure, attempts that failed.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::passing;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::world::DEADLINE;
use crate::world::World;

#[test]
fn a_call_of_grpc_is_a_span_of_its_method() -> Result<()> {
    let world = World::new(Family::V6, &[])?;
    let replicas = world.cluster.replicas(1)?;
    let echo = Service::new("echo", world.family.vip(20)).with(Port::http(80, &replicas, world.family));
    world.cluster.expose(&echo)?;
    let collector = world.start_collector()?;
    let document = Document::of(&[&echo]).with(world.tracing("client", "sample: 100%"));
    let _mesh = world.client.mesh(&document)?;
    ensure!(clients::grpc(&world.client, echo.at(80), 3, Kind::Unary)?.failures == 0);
    let spans = collector.wait_for(DEADLINE, |spans| spans.len() >= 3)?;
    for received in spans {
        ensure!(received.span.name == "evenkeel.test.Echo/Unary", "{received:#?}");
        for (name, value) in [
            ("rpc.system.name", "grpc"),
            ("rpc.method", "evenkeel.test.Echo/Unary"),
            ("rpc.response.status_code", "OK"),
            ("evenkeel.service", "echo:80"),
        ] {
            ensure!(
                received.attribute(name).as_deref() == Some(value),
                "{name} of {received:#?}"
            );
        }
        ensure!(
            received
                .span
                .status
                .is_none_or(|status| status.code() == StatusCode::Unset)
        );
    }
    collector.stop()
}

#[test]
fn attempts_that_failed_are_events_of_the_span_and_a_failure_is_its_error() -> Result<()> {
    let world = World::new(Family::V4, &["a"])?;
    let alive = world.links[0].service.ports()[0]
        .endpoints()
        .next()
        .context("an endpoint")?;
    let mut dead = alive;
    dead.set_port(9);
    // Declared, for detection would dial ahead, and find the dead one before there is a request.
    let half = Service::new("half", world.family.vip(20))
        .with(Port::new(80, [dead, alive]).protocol("http").balance("round_robin"));
    let gone = Service::new("gone", world.family.vip(21)).with(Port::new(80, [dead]).protocol("http"));
    for service in [&half, &gone] {
        world.cluster.expose(service)?;
    }
    let collector = world.start_collector()?;
    let document = Document::of(&[&half, &gone]).with(world.tracing("client", "sample: 100%"));
    let _mesh = world.client.mesh(&document)?;
    for _ in 0..2 {
        passing::ask(&world.client, half.at(80), &[])?;
    }
    ensure!(passing::ask(&world.client, gone.at(80), &[]).is_err());

    let spans = collector.wait_for(DEADLINE, |spans| spans.len() >= 3)?;
    let (failed, served): (Vec<_>, Vec<_>) = spans
        .iter()
        .partition(|one| one.attribute("evenkeel.service").as_deref() == Some("gone:80"));
    let again = served
        .iter()
        .find(|one| !one.span.events.is_empty())
        .context("a span with an attempt that failed")?;
    let events = again.events();
    let (name, attributes) = &events[0];
    ensure!(events.len() == 1 && *name == "attempt failed", "{again:#?}");
    ensure!(
        attributes["error.type"] == "connect_refused" && attributes["network.peer.port"] == "9",
        "{attributes:?}"
    );
    ensure!(
        again.attribute("http.request.resend_count").as_deref() == Some("1"),
        "{again:#?}"
    );
    ensure!(
        again.attribute("http.response.status_code").as_deref() == Some("200")
            && again.attribute("error.type").is_none()
    );

    let failed = failed.first().context("a span of the request that failed")?;
    ensure!(
        failed.attribute("error.type").as_deref() == Some("connect_refused"),
        "{failed:#?}"
    );
    ensure!(failed.attribute("http.response.status_code").as_deref() == Some("503"));
    ensure!(
        failed
            .span
            .status
            .as_ref()
            .is_some_and(|status| status.code() == StatusCode::Error),
        "{failed:#?}"
    );
    collector.stop()
}
