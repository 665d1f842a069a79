//! `evenkeel-proxy tap` beside a running proxy: what an operator sees of requests as they end.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::binaries;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::process::Process;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(30);

/// A client, and a service with one endpoint.
struct Stage {
    client: Pod,
    web: Service,
    endpoint: Replica,
    _cluster: Cluster,
}

impl Stage {
    fn new() -> Result<Self> {
        let family = Family::V4;
        let cluster = Cluster::new()?;
        let endpoint = cluster.replica("r1", 0)?;
        let client = cluster.pod("client")?;
        let port = Port::http(80, std::slice::from_ref(&endpoint), family);
        let web = Service::new("web", family.vip(10)).with(port);
        cluster.expose(&web)?;
        Ok(Self {
            client,
            endpoint,
            web,
            _cluster: cluster,
        })
    }

    fn mesh(&self) -> Result<Mesh> {
        self.client.mesh(&Document::of(&[&self.web]))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.web.at(80))
    }
}

/// `evenkeel-proxy tap` in a pod.
fn tap(pod: &Pod, arguments: &[&str]) -> Result<Process> {
    let mut command: Command = pod.command(binaries::path("evenkeel-proxy")?);
    command.arg("tap").args(arguments);
    pod.spawn(command)
}

/// Asks until the tap has said this: when it begins to listen cannot be seen from outside.
fn ask_until(pod: &Pod, url: &str, tap: &Process, text: &str) -> Result<()> {
    let look = || {
        clients::curl(pod, &[url]).ok()?;
        tap.said().contains(text).then_some(())
    };
    wait::until(DEADLINE, look).with_context(|| tap.said())
}

#[test]
fn an_operator_sees_requests_that_match_until_there_were_enough() -> Result<()> {
    let stage = Stage::new()?;
    let client = &stage.client;
    let _mesh = stage.mesh()?;

    // Two at once; the second one ends when it is interrupted.
    let arguments = [
        "--path",
        "/seen",
        "--status",
        "2xx",
        "--count",
        "2",
        "--output",
        "json",
        "--show-header",
        "User-Agent",
    ];
    let few = tap(client, &arguments)?;
    let all = tap(client, &["--direction", "outbound"])?;
    let (seen, other) = (stage.url("/seen"), stage.url("/other"));
    ask_until(client, &other, &all, "/other")?;
    ask_until(client, &seen, &few, "/seen")?;
    clients::curl(client, &[&seen, "-H", "authorization: Bearer secret"])?;
    let status = few.wait(DEADLINE)?;
    ensure!(status.success(), "{status}: {}", few.said());
    let said = few.said();
    let events: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert_eq!(events.len(), 2, "{said}");
    for event in &events {
        assert_eq!(
            (&event["path"], &event["status"], &event["direction"], &event["failure"]),
            (&"/seen".into(), &200.into(), &"outbound".into(), &Value::Null)
        );
        assert_eq!(event["upstream"], stage.endpoint.http(Family::V4).to_string());
        let headers = event["request_headers"].as_array().context("headers")?;
        assert!(
            headers
                .iter()
                .any(|header| header[0] == "user-agent" && header[1] != "[redacted]"),
            "{event}"
        );
    }
    assert!(!said.contains("Bearer secret"), "{said}");
    assert!(
        said.contains("2 events; not shown: 0 above --limit, 0 because this reader was too slow"),
        "{said}"
    );

    ask_until(client, &seen, &all, "/seen")?;
    all.signal(Signal::SIGINT)?;
    let status = all.wait(DEADLINE)?;
    ensure!(status.success(), "{status}: {}", all.said());
    let said = all.said();
    for word in [
        "TIME ",
        "REQUEST ",
        "outbound   200",
        "/seen",
        "/other",
        " events; not shown: 0 above --limit",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    Ok(())
}

#[test]
fn a_pager_that_waits_costs_lines_and_an_interrupt_ends_it_at_once() -> Result<()> {
    let stage = Stage::new()?;
    let client = &stage.client;
    let mesh = stage.mesh()?;
    let paged = tap(client, &["--limit", "10000"])?;
    ask_until(client, &stage.url("/first"), &paged, "/first")?;
    paged.hold();
    let before = mesh.metrics()?.value("evenkeel_tap_events_total", &[]);
    // The pipe takes some 500 lines, and the others wait until the end.
    let requests = 3_000;
    ensure!(clients::ab(client, stage.web.at(80), requests)?.failed == 0);
    let all = |metrics: &Metrics| {
        let told = metrics.value("evenkeel_tap_events_total", &[]) - before;
        told + metrics.value("evenkeel_tap_events_dropped_total", &[]) >= f64::from(requests)
    };
    let metrics = mesh.wait_for_metrics(DEADLINE, all)?;
    ensure!(metrics.value("evenkeel_tap_listeners", &[]) as usize == 1);
    ensure!(metrics.value("evenkeel_tap_redacted_values_total", &[]) > f64::from(requests) / 2.0);

    paged.signal(Signal::SIGINT)?;
    wait::until(DEADLINE, || paged.ended().ok().flatten()).context("it does not end")?;
    paged.release();
    let sum = paged.wait_for_line(" events; not shown: 0 above --limit, ", DEADLINE)?;
    ensure!(!sum.contains(", 0 because this reader was too slow"), "{sum}");
    let shown: u32 = sum
        .split(' ')
        .next()
        .and_then(|shown| shown.parse().ok())
        .context(sum)?;
    ensure!(shown < requests, "{shown} were shown, and nobody has read them");
    mesh.wait_for_metrics(DEADLINE, |metrics| metrics.value("evenkeel_tap_listeners", &[]) < 0.5)?;
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused_with_what_is_wrong() -> Result<()> {
    let cluster = Cluster::new()?;
    let client = cluster.pod("client")?;
    let nobody = tap(&client, &[])?;
    assert_eq!(nobody.wait(DEADLINE)?.code(), Some(1), "{}", nobody.said());
    assert!(
        nobody.said().contains("127.0.0.1:15000: cannot connect: "),
        "{}",
        nobody.said()
    );
    let mesh = client.mesh(&Document::of(&[]))?;
    let wrong = tap(&client, &["--peer", "web"])?;
    assert_eq!(wrong.wait(DEADLINE)?.code(), Some(1), "{}", wrong.said());
    assert!(
        wrong
            .said()
            .contains("the proxy refuses: peer \"web\" is neither an address"),
        "{}",
        wrong.said()
    );
    // Who listens is told when the proxy ends.
    let left = tap(&client, &[])?;
    left.wait_for_line("TIME", DEADLINE)?;
    mesh.proxy().kill();
    assert_eq!(left.wait(DEADLINE)?.code(), Some(1), "{}", left.said());
    assert!(left.said().contains("the proxy has ended"), "{}", left.said());
    Ok(())
}

#[test]
fn the_example_of_the_page_is_understood() -> Result<()> {
    let page = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md"))?;
    let (_, tap) = page.split_once("## Tap\n").context("a section")?;
    let lines = tap.lines().skip_while(|line| !line.starts_with("```")).skip(1);
    let examples: Vec<_> = lines.take_while(|line| !line.starts_with("```")).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let line = example.split(" #").next().unwrap_or_default().trim();
        let words = line.split_whitespace().skip(1).map(|word| word.trim_matches('\''));
        // Nobody listens there: the command line is right when that is what is wrong.
        let output = Command::new(binaries::path("evenkeel-proxy")?)
            .args(words)
            .args(["--admin", "127.0.0.1:1"])
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("127.0.0.1:1: cannot connect: "), "{line}: {said}");
    }
    Ok(())
}
