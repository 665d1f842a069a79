//! What running programs expose is what `docs/metrics.md` says, no more and no less.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::time::Duration;

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
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

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
    ensure!(clients::curl(client, &[&status[..], &[&url]].concat())? == "503");
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
    let document = Document::of(&known).with(
        "proxy: {metrics: {labels: [source_namespace, source_zone, destination_namespace], namespace: shop, services: 2, idle: 20s}}",
    );
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
    let said = mesh.proxy().said();
    ensure!(
        said.matches("more services than proxy.metrics.services").count() == 1,
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
    Ok(())
}
