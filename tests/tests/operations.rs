//! What an operator does to a running proxy: look at it, change its configuration, drain it.

use std::time::Duration;

use anyhow::Result;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::counts::Counts;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::replica::readings;
use evenkeel_tests::replica::served;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::wait;
use nix::sys::signal::Signal;

const DEADLINE: Duration = Duration::from_mins(1);

/// Two replicas; the service knows only the first.
struct World {
    client: Pod,
    replicas: Vec<Replica>,
    before: Vec<Counts>,
    mesh: Mesh,
    _cluster: Cluster,
}

// === impl World ===

impl World {
    fn new() -> Result<Self> {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(2)?;
        let client = cluster.pod("client")?;
        cluster.expose(&web(&replicas[..1]))?;
        let mesh = client.mesh(&Document::of(&[&web(&replicas[..1])]))?;
        let before = readings(&replicas)?;
        Ok(Self {
            client,
            replicas,
            before,
            mesh,
            _cluster: cluster,
        })
    }

    fn get(&self) -> Result<String> {
        clients::curl(&self.client, &[&format!("http://{}/", web(&[]).at(80))])
    }

    fn served(&self) -> Result<Vec<u64>> {
        served(&self.replicas, &self.before, |counts| counts.http1)
    }
}

fn web(replicas: &[Replica]) -> Service {
    let port = Port::http(80, replicas, Family::V4).balance("round_robin");
    Service::new("web", Family::V4.vip(10)).with(port)
}

#[test]
fn metrics_are_what_a_scraper_takes_and_count_every_request() -> Result<()> {
    let world = World::new()?;
    for _ in 0..5 {
        assert_eq!(world.get()?, "r1\n");
    }
    let labels = [
        ("direction", "outbound"),
        ("service", "web:80"),
        ("protocol", "http1"),
        ("status", "200"),
    ];
    let metrics = world
        .mesh
        .wait_for_metrics(DEADLINE, |page| page.value("evenkeel_requests_total", &labels) > 4.5)?;
    assert!(metrics.value("evenkeel_requests_total", &labels) < 5.5);
    assert!(metrics.value("evenkeel_request_duration_seconds_count", &labels[..3]) > 4.5);
    Ok(())
}

#[test]
fn series_do_not_grow_with_what_clients_send() -> Result<()> {
    let world = World::new()?;
    world.get()?;
    // A request is booked after its client has the answer, and its connection after that.
    let booked = |page: &Metrics| {
        page.value("evenkeel_requests_total", &[("direction", "outbound")]) > 0.5
            && page.value("evenkeel_connections_closed_total", &[("direction", "outbound")]) > 0.5
    };
    let before = world.mesh.wait_for_metrics(DEADLINE, booked)?.samples().len();
    for number in 0..20 {
        let (path, host) = (
            format!("http://{}/{number}", web(&[]).at(80)),
            format!("Host: host-{number}"),
        );
        clients::curl(&world.client, &[&path, "-H", &host, "-A", &format!("client-{number}")])?;
    }
    assert_eq!(world.mesh.metrics()?.samples().len(), before);
    Ok(())
}

#[test]
fn a_running_proxy_says_that_it_is_ready_and_alive() -> Result<()> {
    let world = World::new()?;
    assert_eq!(world.mesh.telemetry("/ready")?.status, 200);
    assert_eq!(world.mesh.telemetry("/live")?.status, 200);
    assert_eq!(
        world.mesh.telemetry("/quit")?.status,
        404,
        "the operator's door is not on this port"
    );
    Ok(())
}

#[test]
fn clusters_and_config_dump_show_the_endpoints() -> Result<()> {
    let world = World::new()?;
    world.get()?;
    let endpoint = world.replicas[0].http(Family::V4).to_string();
    for path in ["/clusters", "/config_dump"] {
        let page = world.mesh.admin("GET", path, "")?;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains(&endpoint), "{path}: {}", page.body);
    }
    Ok(())
}

#[test]
fn the_log_level_can_be_read_and_changed() -> Result<()> {
    let world = World::new()?;
    assert_eq!(world.mesh.admin("PUT", "/log-level", "debug")?.status, 200);
    assert_eq!(world.mesh.admin("GET", "/log-level", "")?.body.trim(), "debug");
    assert_eq!(world.mesh.admin("PUT", "/log-level", "=,=")?.status, 400);
    assert_eq!(world.mesh.admin("GET", "/log-level", "")?.body.trim(), "debug");
    Ok(())
}

#[test]
fn a_change_of_configuration_under_load_loses_no_request() -> Result<()> {
    let world = World::new()?;
    let load = world
        .client
        .spawn(clients::ab_command(&world.client, web(&[]).at(80), 20_000))?;
    load.wait_for_line("Completed 2000 requests", DEADLINE)?;
    world.mesh.configure(&Document::of(&[&web(&world.replicas)]))?;
    wait::until(DEADLINE, || world.served().ok().filter(|served| served[1] > 0))?;
    assert!(load.wait(DEADLINE)?.success(), "{}", load.said());
    assert_eq!(clients::ab_report(&load.said())?.failed, 0);
    assert_eq!(world.served()?.iter().sum::<u64>(), 20_000);
    Ok(())
}

#[test]
fn a_wrong_document_is_refused_aloud_and_the_last_good_one_stays() -> Result<()> {
    let world = World::new()?;
    world
        .mesh
        .configure_text("services:\n- nam: web\n  vips: [nowhere]\n")?;
    // All faults at once, each with its line and what is wrong there.
    for fault in ["nam", "nowhere"] {
        world.mesh.proxy().wait_for_line(fault, DEADLINE)?;
    }
    assert_eq!(world.get()?, "r1\n");

    world.mesh.configure(&Document::of(&[&web(&world.replicas[1..])]))?;
    wait::until(DEADLINE, || world.get().ok().filter(|answer| answer == "r2\n"))?;
    Ok(())
}

#[test]
fn a_drained_proxy_is_not_ready_serves_on_and_ends() -> Result<()> {
    let world = World::new()?;
    world.get()?;
    assert_eq!(world.mesh.admin("POST", "/drain", "")?.status, 200);
    assert_eq!(world.mesh.telemetry("/ready")?.status, 503);
    assert_eq!(
        world.get()?,
        "r1\n",
        "the application is still draining, so its proxy still serves"
    );
    assert!(world.mesh.proxy().wait(DEADLINE)?.success());
    Ok(())
}

#[test]
fn a_proxy_that_was_killed_starts_again_and_serves() -> Result<()> {
    let mut world = World::new()?;
    world.mesh.proxy().signal(Signal::SIGKILL)?;
    world.mesh.proxy().wait(DEADLINE)?;
    world.mesh.restart()?;
    assert_eq!(world.get()?, "r1\n");
    Ok(())
}
