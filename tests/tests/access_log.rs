//! The access log of a meshed pod, as whoever collects its stdout reads it.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::wait;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn a_request_is_a_line_of_json_on_either_side() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(1)?;
        let client = cluster.pod("client")?;
        let web = Service::new("web", family.vip(10)).with(Port::http(80, &replicas, family));
        cluster.expose(&web)?;
        let logging = "proxy: {access_log: json}";
        let outbound = client.mesh(&Document::of(&[&web]).with(logging))?;
        let inbound = replicas[0].pod().mesh(&Document::of(&[]).with(logging))?;

        let url = format!("http://{}/", web.at(80));
        assert_eq!(clients::curl(&client, &[&url])?, "r1\n");

        let endpoint = replicas[0].http(family).to_string();
        for (mesh, direction, service) in [(&outbound, "outbound", "web:80"), (&inbound, "inbound", "inbound")] {
            let line = mesh.proxy().wait_for_line("\"path\":\"/\"", DEADLINE)?;
            let line: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            for (key, value) in [
                ("direction", Value::from(direction)),
                ("protocol", "http1".into()),
                ("service", service.into()),
                ("upstream", endpoint.as_str().into()),
                ("method", "GET".into()),
                ("status", 200.into()),
                ("failure", Value::Null),
            ] {
                assert_eq!(line[key], value, "{key} in {line}");
            }
            let from = line["client"].as_str().context("a client")?;
            assert!(from.contains(&client.ip(family).to_string()), "{line}");
        }
    }
    Ok(())
}

/// Lines of the log that were read so far; each is an object.
fn read(mesh: &Mesh) -> Result<usize> {
    let said = mesh.proxy().said();
    let lines = said.lines().filter(|line| line.starts_with("{\"time\""));
    let mut count = 0;
    for line in lines {
        serde_json::from_str::<Value>(line).with_context(|| line.to_owned())?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn a_stdout_that_nobody_reads_costs_lines_and_no_request() -> Result<()> {
    let family = Family::V4;
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(1)?;
    let client = cluster.pod("client")?;
    let web = Service::new("web", family.vip(10)).with(Port::http(80, &replicas, family));
    cluster.expose(&web)?;
    let mesh = client
        .mesh(&Document::of(&[&web]).with("proxy: {access_log: json}"))?
        .quiet();
    let dropped = || -> Result<usize> { Ok(mesh.metrics()?.value("evenkeel_access_log_dropped_total", &[]) as usize) };

    // The pipe takes 64 KiB, the writer has a batch, and 1 MiB waits: a line has some 400 bytes.
    mesh.proxy().hold();
    let mut requests = 0;
    while dropped()? == 0 {
        ensure!(
            requests < 30_000 && clients::ab(&client, web.at(80), 2_000)?.failed == 0,
            "{requests}"
        );
        requests += 2_000;
    }
    mesh.proxy().release();
    // Whole lines come out, and all of them but those that were counted.
    let all = || (read(&mesh).ok()? + dropped().ok()? == requests).then_some(());
    wait::until(DEADLINE, all).with_context(|| format!("{requests}: {:?} and {:?}", read(&mesh), dropped()))?;
    let before = dropped()?;
    let url = format!("http://{}/again", web.at(80));
    clients::curl(&client, &[&url])?;
    mesh.proxy().wait_for_line("\"path\":\"/again\"", DEADLINE)?;
    ensure!(dropped()? == before && read(&mesh)? + before == requests + 1);
    Ok(())
}
