//! The access log of a meshed pod, as whoever collects its stdout reads it.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(10);

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
