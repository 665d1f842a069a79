//! What running programs expose is what `docs/metrics.md` says, no more and no less.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::again;
use evenkeel_tests::catalogue::Catalogue;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::collector::Answers;
use evenkeel_tests::collector::Collector;
use evenkeel_tests::control::ControlPlane;
use evenkeel_tests::document::Document;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::kubernetes::ApiServer;
use evenkeel_tests::kubernetes::control::ControlPlane as ClusterControlPlane;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::pushed::Pushed;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::wait;

const DEADLINE: Duration = Duration::from_mins(1);

/// A service of every kind, and one that nobody serves.
fn services(cluster: &Cluster, replicas: &[Replica], family: Family) -> Result<Vec<Service>> {
    let nobody = replicas.iter().map(|replica| {
        let mut at = replica.http(family);
        at.set_port(9);
        at
    });
    let service = |name, number, port| Service::new(name, family.vip(number)).with(port);
    let services = vec![
        service("web", 10, Port::http(80, replicas, family)),
        service("banner", 11, Port::banner(9000, replicas, family)),
        service("nobody", 12, Port::new(80, nobody)),
    ];
    services.iter().try_for_each(|service| cluster.expose(service))?;
    Ok(services)
}

/// Something of everything that is counted.
fn use_everything(client: &Pod, services: &[Service]) -> Result<()> {
    let [web, banner, nobody] = services else {
        anyhow::bail!("three services");
    };
    ensure!(clients::ab(client, web.at(80), 20)?.failed == 0);
    ensure!(clients::h2load(client, web.at(80), 20)?.failed == 0);
    ensure!(clients::grpc(client, web.at(80), 5, Kind::Unary)?.failures == 0);
    ensure!(clients::banner(client, banner.at(9000), 5)?.failures == 0);
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    let url = format!("http://{}/", nobody.at(80));
    // A client that hesitates, because the machine does, has the connection closed under it: who speaks first is not known yet.
    let asked = || Ok(clients::curl(client, &[&status[..], &[&url]].concat()).unwrap_or_default());
    ensure!(again::until_good(asked, |status| status == "503")? == "503");
    Ok(())
}

/// Whether what was done last has been booked.
fn is_booked(page: &Metrics) -> bool {
    let failed = page.value("evenkeel_request_failures_total", &[]) > 0.5;
    failed && page.value("evenkeel_tcp_connections_closed_total", &[]) > 4.5
}

#[test]
fn a_running_proxy_exposes_what_the_page_says() -> Result<()> {
    let family = Family::V4;
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(2)?;
    let services = services(&cluster, &replicas, family)?;
    let known: Vec<_> = services.iter().collect();
    let control = ControlPlane::start(&cluster.pod("control")?, family, &Document::of(&known))?;
    let client = cluster.pod("client")?;
    let mesh = client.mesh(&control.client(", subscribe: everything"))?;
    use_everything(&client, &services)?;
    let page = mesh.wait_for_metrics(DEADLINE, is_booked)?;
    let differences = Catalogue::of_the_proxy()?.differences(&[page]);
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

#[test]
fn a_running_control_plane_exposes_what_the_page_says() -> Result<()> {
    let cluster = Cluster::new()?;
    let served = ControlPlane::start(&cluster.pod("served")?, Family::V4, &Document::of(&[]))?;
    let api = ApiServer::start(&cluster.pod("api")?, Family::V4)?;
    let address = [IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10))];
    let service = object::service("shop", "web", &address, &[object::port("http", 80, 8080)]);
    api.put([object::namespace("shop", &[]), service]);
    let watching = ClusterControlPlane::start(&cluster.pod("control")?, &api)?;
    let known = |page: &Metrics| page.value("evenkeel_control_services", &[]) > 0.5;
    let pages = [served.metrics()?, watching.wait_for_metrics(known)?];
    let catalogue = Catalogue::of_the_control_plane()?;
    let mut differences = catalogue.differences(&pages);
    // All that it lists is shown from the beginning.
    differences.extend(catalogue.unseen_values(&pages));
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

#[test]
fn series_say_what_is_configured_are_bounded_and_go_when_nobody_uses_them() -> Result<()> {
    let family = Family::V4;
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(1)?;
    let names = ["one.front.svc.cluster.local", "two.front.svc.cluster.local", "three"];
    let service = |(name, number)| Service::new(name, family.vip(number)).with(Port::http(80, &replicas, family));
    let services: Vec<_> = names.into_iter().zip(10..).map(service).collect();
    services.iter().try_for_each(|service| cluster.expose(service))?;
    let known: Vec<_> = services.iter().collect();
    let pod = cluster.pod("collector")?;
    let at = pod.at(family, 4317);
    let collector = Collector::start(&pod, at)?;
    let document = Document::of(&known).with(format!(
        "proxy: {{metrics: {{labels: [source_namespace, source_zone, destination_namespace], namespace: shop, services: 2, idle: 20s, \
         push: {{collector: \"http://{at}\", interval: 1s}}}}}}"
    ));
    let client = cluster.pod("client")?;
    let mesh = client.mesh(&document)?;
    let labels = |service, namespace| {
        [
            ("service", service),
            ("source_namespace", "shop"),
            ("source_zone", "unknown"),
            ("destination_namespace", namespace),
        ]
    };
    // One after the other, so that it is known who has a place; each is asked until its series are seen.
    for (service, (name, namespace)) in services.iter().zip([
        ("one.front.svc.cluster.local:80", "front"),
        ("two.front.svc.cluster.local:80", "front"),
        ("other", "unknown"),
    ]) {
        ensure!(clients::ab(&client, service.at(80), 5)?.failed == 0);
        let asked = |page: &Metrics| page.value("evenkeel_requests_total", &labels(name, namespace)) > 4.5;
        mesh.wait_for_metrics(DEADLINE, asked)?;
    }
    ensure!(mesh.metrics()?.value("evenkeel_metrics_others_total", &[]) > 0.5);
    mesh.proxy().wait_for_line("more services and destinations", DEADLINE)?;
    let said = mesh.proxy().said();
    ensure!(
        said.matches("more services and destinations than proxy.metrics.services")
            .count()
            == 1,
        "{said}"
    );

    let gone = |page: &Metrics| {
        page.series("evenkeel_requests_total", &[("direction", "outbound")])
            .count()
            == 0
    };
    mesh.wait_for_metrics(DEADLINE, gone)?;
    // There is room again for the one that had none.
    ensure!(clients::ab(&client, services[2].at(80), 5)?.failed == 0);
    let asked = |page: &Metrics| page.value("evenkeel_requests_total", &labels("three:80", "unknown")) > 4.5;
    mesh.wait_for_metrics(DEADLINE, asked)?;
    // One that comes back counts from 0, and says since when: not since before it was forgotten.
    ensure!(clients::ab(&client, services[0].at(80), 1)?.failed == 0);
    let lives = wait::until(DEADLINE, || {
        let lives = lives(&collector.pushed().ok()?, "one.front.svc.cluster.local:80");
        (lives.len() > 1).then_some(lives)
    });
    let lives = lives.with_context(|| format!("{:?}", collector.pushed().map(|all| all.len())))?;
    let started = lives.values().zip(lives.keys().skip(1)).all(|(last, born)| last < born);
    ensure!(lives.len() == 2 && started, "{lives:?}");
    let setbacks = Pushed::setbacks(&collector.pushed()?);
    ensure!(setbacks.is_empty(), "{}", setbacks.join("\n"));
    collector.stop()
}

/// By when they began, when the requests of a service were told last.
fn lives(pushed: &[Pushed], service: &str) -> BTreeMap<u64, u64> {
    let mut lives = BTreeMap::new();
    for one in pushed {
        for ((name, labels), born) in &one.births {
            if name == "evenkeel_requests_total" && labels.get("service").is_some_and(|said| said == service) {
                let last = lives.entry(*born).or_default();
                *last = one.at.max(*last);
            }
        }
    }
    lives
}

#[test]
fn series_say_who_answers_by_workload_and_zone() -> Result<()> {
    let family = Family::V4;
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(4)?;
    let places = [["v1", "a"], ["v1", "b"], ["v2", "b"]];
    let balanced = |port: Port| port.balance("round_robin").places(&places);
    let web = Service::new("web", family.vip(10)).with(balanced(Port::http(80, &replicas, family)));
    let banner = Service::new("banner", family.vip(11)).with(balanced(Port::banner(9000, &replicas, family)));
    let document = Document::of(&[&web, &banner])
        .with("proxy: {metrics: {labels: [source_workload, source_zone, destination_workload, destination_zone], workload: shop, zone: a}}");
    let client = cluster.pod("client")?;
    let mesh = client.mesh(&document)?;
    ensure!(clients::ab(&client, web.at(80), 40)?.failed == 0);
    ensure!(clients::h2load(&client, web.at(80), 40)?.failed == 0);
    ensure!(clients::banner(&client, banner.at(9000), 12)?.failures == 0);
    let of = |page: &Metrics, name: &str, [workload, zone]: [&str; 2]| {
        let labels = [
            ("source_workload", "shop"),
            ("source_zone", "a"),
            ("destination_workload", workload),
            ("destination_zone", zone),
        ];
        page.value(name, &[&[("direction", "outbound")][..], &labels].concat())
    };
    let all = places.into_iter().chain([["unknown", "unknown"]]);
    let names = [
        "requests_total",
        "request_duration_seconds_count",
        "tcp_connections_opened_total",
        "tcp_connections_closed_total",
        "tcp_connections_open",
    ];
    let seen = |page: &Metrics| -> Vec<_> {
        let counts = |place| names.map(|name| of(page, &format!("evenkeel_{name}"), place) as u64);
        all.clone().map(|place| (place, counts(place))).collect()
    };
    let expected: Vec<_> = all.clone().map(|place| (place, [20, 20, 3, 3, 0])).collect();
    let said = mesh.wait_for_metrics(DEADLINE, |page| seen(page) == expected);
    said.with_context(|| format!("{:?}", mesh.metrics().map(|page| seen(&page))))?;

    // Of what comes in it is the other way round: who answers is known, and nobody knows who asks.
    let section = "proxy: {metrics: {labels: [source_workload, source_zone, destination_workload, destination_zone], workload: v1, zone: b}}";
    let answering = replicas[1].pod().mesh(&Document::of(&[]).with(section))?;
    ensure!(clients::ab(&client, replicas[1].http(family), 10)?.failed == 0);
    let inbound = [
        ("direction", "inbound"),
        ("source_workload", "unknown"),
        ("source_zone", "unknown"),
        ("destination_workload", "v1"),
        ("destination_zone", "b"),
    ];
    answering.wait_for_metrics(DEADLINE, |page| {
        let counted = page.value("evenkeel_requests_total", &inbound);
        let all = page.value("evenkeel_requests_total", &[("direction", "inbound")]);
        counted > 9.5 && (counted - all).abs() < 0.5
    })?;
    Ok(())
}

/// Services that nobody asks, so many that a push is more than a message.
fn crowd() -> Vec<Service> {
    let service = |number: u8| {
        let endpoints = (0..40).map(|index| SocketAddr::from(([10, 98, 0, number], 1_000 + index)));
        Service::new(&format!("s{number}"), [10, 97, 0, number].into()).with(Port::new(80, endpoints))
    };
    (0..20).map(service).collect()
}

/// What a scrape says otherwise than a push.
fn differences(page: &Metrics, pushed: &Pushed) -> Vec<String> {
    let mut scraped: BTreeMap<_, _> = page
        .samples()
        .iter()
        .map(|sample| ((&sample.name, &sample.labels), sample.value))
        .collect();
    let mut differences = Vec::new();
    for sample in &pushed.samples {
        match scraped.remove(&(&sample.name, &sample.labels)) {
            None => differences.push(format!("pushed only: {sample:?}")),
            // What goes on in the process while nobody asks it anything.
            Some(_) if !settled(&sample.name) => {}
            Some(value) if (value - sample.value).abs() <= 1e-9 * value.abs() => {}
            Some(value) => differences.push(format!("{value} scraped: {sample:?}")),
        }
    }
    differences.extend(scraped.keys().map(|only| format!("scraped only: {only:?}")));
    for (name, (kind, unit)) in &pushed.kinds {
        let family = page.families().get(name).and_then(|family| family.kind.as_deref());
        let units = [("seconds", "s"), ("bytes", "By")];
        let base = name.trim_end_matches("_total");
        let expected = units.iter().find(|(word, _)| base.ends_with(&format!("_{word}")));
        if family != Some(kind) || unit != expected.map_or("", |(_, unit)| unit) {
            differences.push(format!("{name}: {kind} in {unit:?}"));
        }
    }
    differences
}

fn settled(name: &str) -> bool {
    let counted = [
        "request",
        "response",
        "tcp",
        "connections",
        "detections",
        "grpc",
        "config",
        "pool",
        "build",
    ];
    let counted = counted.map(|word| format!("evenkeel_{word}"));
    counted.iter().any(|start| name.starts_with(start))
}

#[test]
fn what_is_pushed_is_what_a_scrape_gets() -> Result<()> {
    let family = Family::V4;
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(2)?;
    let services = services(&cluster, &replicas, family)?;
    let crowd = crowd();
    let (few, many): (Vec<_>, Vec<_>) = (services.iter().collect(), services.iter().chain(&crowd).collect());
    let pod = cluster.pod("collector")?;
    let collector = Collector::start(&pod, pod.at(family, 4317))?;
    let client = |name, known: &[&Service], push: &str| -> Result<_> {
        let at = pod.at(family, 4317);
        let push = format!("proxy: {{metrics: {{push: {{collector: \"http://{at}\", service: {name}, {push}}}}}}}");
        let tracing = format!("tracing: {{collector: \"http://{at}\", sample: 100%}}");
        let client = cluster.pod(name)?;
        let mesh = client.mesh(&Document::of(known).with(push).with(tracing))?;
        use_everything(&client, &services)?;
        mesh.wait_for_metrics(DEADLINE, is_booked)?;
        Ok(mesh)
    };
    // From the oldest to the newest, of which a message may be under way.
    let arrived = |name: &str| -> Result<Vec<_>> {
        let mut all = collector.pushed()?;
        all.retain(|one| one.resource.get("service.name").is_some_and(|service| service == name));
        all.sort_by_key(|one| one.at);
        Ok(all)
    };

    let often = client("often", &many, "interval: 1s")?;
    let mut last = Vec::new();
    let same = wait::until(DEADLINE, || {
        let (page, pushed) = (often.metrics().ok()?, arrived("often").ok()?.into_iter().rev().nth(1)?);
        last = differences(&page, &pushed);
        last.is_empty().then_some(pushed)
    });
    let pushed = same.with_context(|| format!("{last:#?}, {:?}", collector.pushed().map(|all| all.len())))?;
    ensure!(pushed.grpc && pushed.messages > 1, "{} messages", pushed.messages);
    ensure!(
        pushed
            .samples
            .iter()
            .any(|one| one.name == "evenkeel_request_duration_seconds_bucket"),
        "no histogram"
    );
    let traces: Vec<_> = collector.spans().into_iter().map(|one| one.span.trace_id).collect();
    ensure!(!pushed.traces.is_empty() && pushed.traces.iter().all(|trace| traces.contains(trace)));
    drop(often);

    // The last push says how it was at the end.
    let seldom = client("seldom", &few, "interval: 1h, protocol: http")?;
    ensure!(arrived("seldom")?.is_empty());
    let page = seldom.metrics()?;
    seldom.admin("POST", "/quit", "")?;
    ensure!(seldom.proxy().wait(DEADLINE)?.success());
    let pushed = arrived("seldom")?.pop().context("a last push")?;
    ensure!(!pushed.grpc);
    for name in ["evenkeel_requests_total", "evenkeel_tcp_sent_bytes_total"] {
        let sum: f64 = pushed
            .samples
            .iter()
            .filter(|one| one.name == name)
            .map(|one| one.value)
            .sum();
        ensure!((sum - page.value(name, &[])).abs() < 0.5, "{name}: {sum}");
    }
    collector.stop()
}

#[test]
fn a_collector_that_is_gone_or_slow_costs_pushes_and_no_request() -> Result<()> {
    let family = Family::V4;
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(1)?;
    let web = Service::new("web", family.vip(10)).with(Port::http(80, &replicas, family));
    cluster.expose(&web)?;
    let crowd = crowd();
    let services: Vec<_> = [&web].into_iter().chain(&crowd).collect();
    let pod = cluster.pod("collector")?;
    let at = pod.at(family, 4317);
    let push = format!("proxy: {{metrics: {{push: {{collector: \"http://{at}\", interval: 1s, timeout: 3s}}}}}}");
    let client = cluster.pod("client")?;
    let mesh = client.mesh(&Document::of(&services).with(push))?;
    let wait_for = |result: &str| {
        ensure!(clients::ab(&client, web.at(80), 50)?.failed == 0);
        let pushes = |page: &Metrics| page.value("evenkeel_metrics_pushes_total", &[("result", result)]);
        let before = pushes(&mesh.metrics()?);
        mesh.wait_for_metrics(DEADLINE, |page| pushes(page) > before)
    };
    let before = wait_for("failed")?;
    mesh.proxy()
        .wait_for_line("the collector does not take metrics", DEADLINE)?;
    // Of two pushes one began after that: all its points are lost, also those of messages that were not sent.
    let points = before.samples().iter();
    let points = points
        .filter(|sample| sample.name.starts_with("evenkeel_endpoint_"))
        .count() as f64;
    let of = |page: &Metrics, name: &str, label| page.value(&format!("evenkeel_metrics_{name}_total"), &[label]);
    let failed = |page: &Metrics| of(page, "pushes", ("result", "failed"));
    let lost = |page: &Metrics| of(page, "points_dropped", ("reason", "export_failed"));
    mesh.wait_for_metrics(DEADLINE, |page| failed(page) > failed(&before) + 1.5)?;
    let lost = lost(&mesh.metrics()?) - lost(&before);
    ensure!(lost >= points && points > 6_000.0, "{lost} of {points}");
    let collector = Collector::start(&pod, at)?;
    wait_for("accepted")?;
    mesh.proxy()
        .wait_for_line("the collector takes metrics again", DEADLINE)?;
    collector.answer(false);
    wait_for("failed")?;
    wait_for("skipped")?;
    collector.answer(true);
    wait_for("accepted")?;

    let lost = |page: &Metrics, reason| page.value("evenkeel_metrics_points_dropped_total", &[("reason", reason)]);
    collector.say(Answers::Rejected(7));
    mesh.wait_for_metrics(DEADLINE, |page| lost(page, "rejected") > 20.5)?;
    collector.answer(true);
    wait_for("accepted")?;
    // Each message is sent, though the collector wants none.
    let failed = |page: &Metrics| page.value("evenkeel_metrics_pushes_total", &[("result", "failed")]);
    let before = mesh.metrics()?;
    collector.say(Answers::Refused);
    let page = mesh.wait_for_metrics(DEADLINE, |page| failed(page) > failed(&before) + 1.5)?;
    ensure!(
        collector.refused() as f64 > 1.9 * (failed(&page) - failed(&before)),
        "{}",
        collector.refused()
    );
    ensure!(lost(&page, "export_failed") > lost(&before, "export_failed") + 0.5);
    let said = mesh.proxy().said();
    ensure!(said.matches("the collector rejects metrics").count() == 1, "{said}");
    collector.stop()
}
