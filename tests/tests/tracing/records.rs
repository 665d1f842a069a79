//! The access log over OTLP: what a record says, and a collector that is slow, dead, or comes back.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::collector::Answers;
use evenkeel_tests::collector::Record;
use evenkeel_tests::collector::hex;
use evenkeel_tests::document::Document;
use evenkeel_tests::passing;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

use crate::fate::RECORDS;
use crate::world::DEADLINE;
use crate::world::World;

/// The settings of a proxy with records, in lines of this format.
fn logging(world: &World, format: &str, settings: &str) -> String {
    let collector = world.collecting();
    format!(
        "proxy: {{access_log: {{format: {format}, otlp: {{collector: \"http://{collector}\", service: client{settings}}}, \
         filter: {{status: [200, 5xx]}}}}}}"
    )
}

fn has(record: &Record, expected: &[(&str, &str)]) -> Result<()> {
    for (name, value) in expected {
        let found = record.attribute(name);
        ensure!(found.as_deref() == Some(value), "{name} is {found:?} in {record:#?}");
    }
    Ok(())
}

#[test]
fn a_request_is_a_record_over_grpc_and_over_http_with_its_trace_and_its_line() -> Result<()> {
    for (family, protocol, format) in [(Family::V4, "grpc", "json"), (Family::V6, "http", "text")] {
        let world = World::new(family, &["a"])?;
        let mut dead = world.links[0].service.ports()[0]
            .endpoints()
            .next()
            .context("an endpoint")?;
        dead.set_port(9);
        let gone = Service::new("gone", family.vip(20)).with(Port::new(80, [dead]).protocol("http"));
        world.cluster.expose(&gone)?;
        let collector = world.start_collector()?;
        let document = Document::of(&[&world.links[0].service, &gone])
            .with(world.tracing("client", "sample: 100%"))
            .with(logging(&world, format, &format!(", protocol: {protocol}")));
        let _mesh = world.client.mesh(&document)?;
        passing::ask(&world.client, world.first(), &[])?;
        ensure!(passing::ask(&world.client, gone.at(80), &[]).is_err());

        let records = collector.wait_for_records(DEADLINE, 2)?;
        let [served, failed] = &records[..] else {
            anyhow::bail!("{records:#?}");
        };
        ensure!(served.grpc == (protocol == "grpc") && served.resource["service.name"] == "client");
        ensure!(served.scope.0 == "evenkeel" && served.scope.1.ends_with("/1.42.0"));
        let endpoint = dead.ip().to_string();
        has(
            served,
            &[
                ("http.request.method", "GET"),
                ("url.path", "/passed"),
                ("url.query", "on=1"),
                ("server.address", "next"),
                ("network.protocol.version", "1.1"),
                ("http.response.status_code", "200"),
                ("network.peer.address", &endpoint),
                ("network.peer.port", "8080"),
                ("client.address", &world.client.ip(family).to_string()),
                ("destination.port", "80"),
                ("evenkeel.direction", "outbound"),
                ("evenkeel.service", "a:80"),
                ("evenkeel.attempts", "1"),
            ],
        )?;
        ensure!(served.record.severity_number == 9 && served.attribute("error.type").is_none());
        ensure!(served.record.time_unix_nano < served.record.observed_time_unix_nano);
        has(
            failed,
            &[
                ("http.response.status_code", "503"),
                ("error.type", "connect_refused"),
                ("evenkeel.reason", "connect_refused"),
            ],
        )?;
        ensure!(
            failed
                .attribute("evenkeel.response_flags")
                .is_some_and(|flags| flags.starts_with("UF"))
        );
        ensure!(failed.record.severity_text == "ERROR");

        // The trace and the span that the collector has as well.
        let spans = collector.wait_for(DEADLINE, |spans| spans.len() >= 2)?;
        let span = spans.iter().find(|one| one.span.span_id == served.record.span_id);
        let span = span.with_context(|| format!("{spans:#?}"))?;
        ensure!(span.span.trace_id == served.record.trace_id && served.record.flags == 1);

        if format == "json" {
            let map = served.map().with_context(|| format!("{served:#?}"))?;
            ensure!(map["path"] == "/passed?on=1" && map["status"] == "200", "{map:?}");
            ensure!(map["trace_id"] == hex(&span.span.trace_id), "{map:?}");
        } else {
            let text = served.text().with_context(|| format!("{served:#?}"))?;
            ensure!(
                text.contains(" path=\"/passed?on=1\" ") && text.contains(" status=200 "),
                "{text}"
            );
        }
        collector.stop()?;
    }
    Ok(())
}

#[test]
fn a_dead_collector_costs_records_and_no_request_and_gets_records_when_it_is_back() -> Result<()> {
    for protocol in ["grpc", "http"] {
        let world = World::new(Family::V4, &["a"])?;
        let services = [&world.links[0].service];
        let settings = logging(&world, "json", &format!(", timeout: 10s, protocol: {protocol}"));
        let mesh = world.client.mesh(&Document::of(&services).with(settings))?;
        ensure!(clients::ab(&world.client, world.first(), 200)?.failed == 0);
        let metrics = RECORDS.wait_for_all(&mesh, 200)?;
        ensure!(
            RECORDS.dropped(&metrics, "export_failed") == 200,
            "{protocol}: {}",
            RECORDS.exported(&metrics)
        );
        mesh.proxy()
            .wait_for_line("the collector does not take log records", DEADLINE)?;

        let mut sent = 200;
        let collector = world.start_collector()?;
        while RECORDS.exported(&mesh.metrics()?) == 0 {
            ensure!(clients::ab(&world.client, world.first(), 10)?.failed == 0);
            sent += 10;
            RECORDS.wait_for_all(&mesh, sent)?;
        }
        mesh.proxy()
            .wait_for_line("the collector takes log records again", DEADLINE)?;
        ensure!(
            collector.records().len() == RECORDS.exported(&mesh.metrics()?),
            "{protocol}"
        );
        // The last ones go out when the proxy ends.
        let before = collector.records().len();
        ensure!(clients::ab(&world.client, world.first(), 50)?.failed == 0);
        mesh.admin("POST", "/quit", "")?;
        ensure!(mesh.proxy().wait(DEADLINE)?.success());
        ensure!(
            collector.records().len() == before + 50,
            "{protocol}: {}",
            collector.records().len()
        );
        collector.stop()?;
    }
    Ok(())
}

#[test]
fn a_slow_collector_costs_records_beyond_the_room_and_no_request() -> Result<()> {
    let world = World::new(Family::V4, &["a"])?;
    let collector = world.start_collector()?;
    collector.answer(false);
    let services = [&world.links[0].service];
    let document = Document::of(&services).with(logging(&world, "json", ", timeout: 1m"));
    let mesh = world.client.mesh(&document)?;
    // Each record has more than 500 bytes, of which 1 MiB waits while as much is under way.
    let mut requests = 0;
    while RECORDS.dropped(&mesh.metrics()?, "queue_full") == 0 {
        ensure!(requests < 30_000 && clients::ab(&world.client, world.first(), 2_000)?.failed == 0);
        requests += 2_000;
    }
    ensure!(RECORDS.exported(&mesh.metrics()?) == 0);
    collector.answer(true);
    let metrics = RECORDS.wait_for_all(&mesh, requests)?;
    ensure!(RECORDS.dropped(&metrics, "export_failed") == 0);
    ensure!(collector.records().len() == RECORDS.exported(&metrics) && RECORDS.exported(&metrics) > 1_000);

    // Of each message that it takes it may drop some.
    collector.say(Answers::Rejected(1));
    ensure!(clients::ab(&world.client, world.first(), 10)?.failed == 0);
    mesh.wait_for_metrics(DEADLINE, |metrics| RECORDS.dropped(metrics, "rejected") > 0)?;
    mesh.proxy()
        .wait_for_line("the collector rejects log records", DEADLINE)?;
    collector.stop()
}
