//! What `dashboards/` asks Prometheus: every query is run by a real one that scrapes real programs, every alert rings on what it is for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::catalogue::Catalogue;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::control::ControlPlane;
use evenkeel_tests::document::Document;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::kubernetes::ApiServer;
use evenkeel_tests::kubernetes::control::ControlPlane as ClusterControlPlane;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::prometheus::Prometheus;
use evenkeel_tests::prometheus::promtool;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::wait;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_mins(1);
/// Where a proxy and a control plane of a document or of a cluster are scraped.
const PROXY: u16 = 15020;
const CONTROL: u16 = 15014;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// Every query of the dashboard with the panel or the variable that it is in; what Grafana puts into it stands there.
fn queries() -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(folder().join("evenkeel.json"))?;
    let dashboard: Value = serde_json::from_str(&text)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let mut queries = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().context("a query")?;
            let query = query.replace("$__rate_interval", "1m");
            let query = query.replace("$service", ".*").replace("$instance", ".*");
            ensure!(!query.contains('$'), "not replaced: {query}");
            queries.push((panel["title"].to_string(), query));
        }
    }
    ensure!(queries.len() > 60, "only {} queries were found", queries.len());
    // What can be chosen at the top: the values that a label of a metric has.
    let before = queries.len();
    for variable in dashboard["templating"]["list"].as_array().context("variables")? {
        if variable["type"] != "query" {
            continue;
        }
        let asked = variable["query"]["query"].as_str().context("a query")?;
        ensure!(variable["definition"] == asked, "{variable:#}");
        let values = asked
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) = values
            .and_then(|values| values.split_once(", "))
            .context("label_values")?;
        queries.push((
            variable["name"].to_string(),
            format!("count by ({label}) ({metric}{{{label}=~\".+\"}})"),
        ));
    }
    ensure!(queries.len() > before, "nothing can be chosen");
    Ok(queries)
}

/// Every alert with its query and its runbook.
fn alerts() -> Result<Vec<(String, String, String)>> {
    let text = std::fs::read_to_string(folder().join("alerts.yaml"))?;
    let rules: Value = serde_saphyr::from_str(&text)?;
    let groups = rules["groups"].as_array().context("groups")?;
    let all = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let alerts = all.map(|rule| {
        let runbook = word(&rule["annotations"]["runbook"]);
        (word(&rule["alert"]), word(&rule["expr"]), runbook)
    });
    Ok(alerts.collect())
}

/// The metrics of ours that a query names.
fn named(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("evenkeel_") || word.starts_with("process_"))
}

/// Each metric in braces, with what stands in them.
fn selectors(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('}').filter_map(|part| {
        let (before, inside) = part.rsplit_once('{')?;
        Some((
            before
                .rsplit(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                .next()?,
            inside,
        ))
    })
}

#[test]
fn queries_name_metrics_labels_and_values_of_the_catalogue() -> Result<()> {
    let (proxy, control) = (Catalogue::of_the_proxy()?, Catalogue::of_the_control_plane()?);
    let metric = |name: &str| proxy.metric(name).or_else(|| control.metric(name));
    let alerts = alerts()?.into_iter().map(|(name, query, _)| (name, query));
    let (mut wrong, mut shown) = (Vec::new(), BTreeSet::new());
    for (place, query) in queries()?.into_iter().chain(alerts) {
        for name in named(&query) {
            match metric(name) {
                None => wrong.push(format!("{place}: {name} is no metric")),
                Some((name, _)) => _ = shown.insert(name.to_owned()),
            }
        }
        for (name, inside) in selectors(&query) {
            let Some((_, metric)) = metric(name) else { continue };
            for matcher in inside.split("\",").filter(|matcher| !matcher.is_empty()) {
                let (label, values) = matcher.split_once('=').context("a matcher")?;
                // Prometheus adds the target's own.
                let known = label == "instance" || metric.has_label(label);
                let values = values.trim_matches(['~', '"']).split('|');
                for value in values.filter(|value| !known || !value.contains('.') && !metric.may_say(label, value)) {
                    wrong.push(format!("{place}: {name}{{{label}}} is never {value:?}"));
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(shown.len() > 60, "only {} metrics are looked at", shown.len());
    Ok(())
}

#[test]
fn every_alert_rings_on_what_it_is_for_and_says_where_to_read_on() -> Result<()> {
    promtool(&folder(), &["check", "rules", "alerts.yaml"])?;
    promtool(&folder(), &["test", "rules", "alerts-test.yaml"])?;
    let cases = std::fs::read_to_string(folder().join("alerts-test.yaml"))?;
    let page = std::fs::read_to_string(folder().join("../docs/operating.md"))?;
    for (alert, _, runbook) in alerts()? {
        let own = cases.matches(&format!("alertname: {alert}\n")).count();
        ensure!(own >= 1, "{alert} has no case in which it rings");
        let row = runbook.strip_prefix("docs/operating.md: ").context("a runbook")?;
        let named = page.lines().find(|line| line.starts_with(&format!("| `{row}`")));
        let named = named.with_context(|| format!("{row} is not in docs/operating.md"))?;
        ensure!(
            named.contains(&format!("`{alert}`")),
            "{alert} is not in the row of {row}"
        );
    }
    Ok(())
}

/// Something of everything, again and again while a query finds nothing.
fn traffic(client: &Pod, web: &Service, banner: &Service, nobody: &Service) -> Result<()> {
    ensure!(clients::ab(client, web.at(80), 5)?.failed == 0);
    ensure!(clients::grpc(client, web.at(80), 2, Kind::Unary)?.failures == 0);
    ensure!(clients::banner(client, banner.at(9000), 2)?.failures == 0);
    // An answer, or an end where the client hesitates: either is counted.
    drop(clients::curl(client, &[&format!("http://{}/", nobody.at(80))]));
    Ok(())
}

#[test]
fn every_query_finds_something_in_a_prometheus_that_scrapes_a_mesh() -> Result<()> {
    let family = Family::V4;
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(2)?;
    let nobody = replicas.iter().map(|replica| {
        let mut at = replica.http(family);
        at.set_port(9);
        at
    });
    let service = |name, number, port| Service::new(name, family.vip(number)).with(port);
    let web = service("web", 10, Port::http(80, &replicas, family));
    let banner = service("banner", 11, Port::banner(9000, &replicas, family));
    let nobody = service("nobody", 12, Port::new(80, nobody));
    let services = [&web, &banner, &nobody];
    services.iter().try_for_each(|service| cluster.expose(service))?;
    let control_pod = cluster.pod("control")?;
    let control = ControlPlane::start(&control_pod, family, &Document::of(&services))?;
    let client = cluster.pod("client")?;
    // Nobody takes what it exports.
    let export = "{collector: \"http://127.0.0.1:9\"";
    let document = control
        .client(", subscribe: everything")
        .with(format!("tracing: {export}, sample: 100%}}"))
        .with(format!(
            "proxy: {{access_log: {{format: json, otlp: {export}}}}}, metrics: {{push: {export}, interval: 1s}}}}}}"
        ));
    let _mesh = client.mesh(&document)?.quiet();

    let api = ApiServer::start(&cluster.pod("api")?, family)?;
    let address = [IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10))];
    let known = object::service("shop", "web", &address, &[object::port("http", 80, 8080)]);
    api.put([object::namespace("shop", &[]), known]);
    let watching = cluster.pod("watching")?;
    let _control = ClusterControlPlane::start(&watching, &api)?;

    let targets = [
        ("proxy", client.at(family, PROXY)),
        ("served", control_pod.at(family, CONTROL)),
        ("cluster", watching.at(family, CONTROL)),
    ];
    let prometheus = Prometheus::start(&cluster.pod("prometheus")?, &targets, &folder().join("alerts.yaml"))?;
    let mut open = queries()?;
    let mut last = None;
    let found = wait::until(DEADLINE, || {
        let looked = traffic(&client, &web, &banner, &nobody).and_then(|()| {
            let mut empty = Vec::new();
            for (panel, query) in std::mem::take(&mut open) {
                if prometheus.query(&query)?.is_empty() {
                    empty.push((panel, query));
                }
            }
            open = empty;
            Ok(())
        });
        // What Prometheus does not understand it will not understand later.
        last = looked.err();
        (open.is_empty() || last.is_some()).then_some(())
    });
    if let Some(error) = last {
        return Err(error);
    }
    ensure!(found.is_ok(), "nothing is found by {open:#?}");

    let evaluated = || {
        let rules = prometheus.rules().ok()?;
        rules.iter().all(|rule| rule["health"] == "ok").then_some(rules)
    };
    let rules = wait::until(DEADLINE, evaluated).context("every rule is evaluated")?;
    ensure!(rules.len() == alerts()?.len(), "{rules:#?}");
    Ok(())
}
