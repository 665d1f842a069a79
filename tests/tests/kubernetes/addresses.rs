//! Services that are reached otherwise than by one address: those of both families, headless ones by the names of their pods,
//! and names that stand for others.

use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::answers::Answers;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::http;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::kubernetes::object::Condition;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::wait;
use serde_json::Value;
use serde_json::json;

use crate::injection::TELEMETRY;
use crate::routes::condition;
use crate::world::DEADLINE;
use crate::world::PORT;
use crate::world::SHOP;
use crate::world::World;
use crate::world::answered_by;
use crate::world::nothing_failed;

/// The Service that has both families, and the one that its route leads to.
const BOTH: u8 = 40;
const BLUE: u8 = 41;
/// The Services whose routes lead to a headless one, and to a name.
const FRONT: u8 = 42;
const ABROAD: u8 = 43;

/// Requests or connections that show where all of them go. Whoever else could answer would be left out by chance once in 128
/// times, and there are many such looks.
const ENOUGH: u32 = 8;

/// Of such a Service, the slice of one family, with these pods.
fn slice(service: &str, family: Family, pods: &[&Replica]) -> Value {
    let endpoint = |(number, replica): (usize, &&Replica)| {
        let name = format!("{service}-{number}");
        let mut endpoint = object::endpoint(replica.pod().ip(family), &name, Condition::Ready);
        endpoint["hostname"] = json!(name);
        endpoint
    };
    let endpoints: Vec<_> = pods.iter().enumerate().map(endpoint).collect();
    let ports = [object::slice_port("http", 8080), object::slice_port("tcp", 9000)];
    let name = format!("{service}-{family:?}").to_lowercase();
    let mut slice = object::slice(SHOP, &name, service, &ports, &endpoints);
    // One without endpoints does not tell by them.
    slice["addressType"] = if family == Family::V6 { "IPv6" } else { "IPv4" }.into();
    slice
}

/// A Service at the addresses with this number of both families, the world's first; each has endpoints of its own.
fn both(world: &World, name: &str, number: u8, four: usize, six: usize) {
    let mut families = Family::BOTH;
    families.sort_by_key(|family| *family != world.family);
    let vips = families.map(|family| family.vip(number));
    world.api.put([
        object::service(SHOP, name, &vips, &[object::port("http", PORT, 8080)]),
        slice(name, Family::V4, &[&world.replicas[four]]),
        slice(name, Family::V6, &[&world.replicas[six]]),
    ]);
}

/// Requests for a name that the application's resolver has found at this address.
fn ask(world: &World, name: &str, at: SocketAddr) -> Answers {
    let ip = match at {
        SocketAddr::V4(at) => at.ip().to_string(),
        SocketAddr::V6(at) => format!("[{}]", at.ip()),
    };
    let (found, url) = (
        format!("{name}:{}:{ip}", at.port()),
        format!("http://{name}:{}/", at.port()),
    );
    let mut answers = Answers::default();
    for _ in 0..ENOUGH {
        let answer = clients::curl(&world.clients[0], &["--fail", "--resolve", &found, &url]);
        answers.book(answer.map(|answer| answer.trim_end().to_owned()));
        if answers.failures > 0 {
            break;
        }
    }
    answers
}

fn asked(world: &World, name: &str, at: SocketAddr, expected: &[&str]) -> Result<()> {
    answered_by(expected, || Ok(ask(world, name, at)))
}

/// What the client's proxy has counted of this Service, by one of its metrics.
fn counted(world: &World, metric: &str, service: &str) -> Result<f64> {
    let proxy = world.clients[0].at(world.family, TELEMETRY);
    let page = http::get(world.cluster.node(), proxy, "/metrics")?;
    Ok(Metrics::parse(&page.body)?.value(metric, &[("service", service)]))
}

/// Waits until a route's status says this of its only parent.
fn says(world: &World, route: &str, kind: &str, status: &str, reason: &str) -> Result<()> {
    let told = world.api.wait_for("httproutes", SHOP, route, |route| {
        condition(route, "parents", kind).is_some_and(|said| said["status"] == status && said["reason"] == reason)
    });
    told.map(drop)
        .with_context(|| format!("{route}: {kind}={status}/{reason}"))
}

/// A route of this Service to all of this backend.
fn lead(world: &World, service: &str, backend: &str) {
    let rules = json!([{"backendRefs": [{"name": backend, "port": PORT}]}]);
    world.api.put([object::http_route(SHOP, service, service, &rules)]);
}

fn each_address_is_served_by_endpoints_of_its_family(world: &World) -> Result<()> {
    both(world, "both", BOTH, 0, 1);
    let name = "both.shop.svc.cluster.local";
    let four = SocketAddr::new(Family::V4.vip(BOTH), PORT);
    let six = SocketAddr::new(Family::V6.vip(BOTH), PORT);
    asked(world, name, four, &["r1"])?;
    asked(world, name, six, &["r2"])?;
    // Without endpoints of its family, a proxy gets to those of the other.
    world.api.put([slice("both", Family::V6, &[])]);
    asked(world, name, six, &["r1"])?;
    let [one, two] = [&world.replicas[0], &world.replicas[1]];
    world
        .api
        .put([slice("both", Family::V6, &[two]), slice("both", Family::V4, &[])]);
    asked(world, name, four, &["r2"])?;
    world.api.put([slice("both", Family::V4, &[one])]);
    asked(world, name, four, &["r1"])?;
    // So do the routes of one to another.
    both(world, "blue", BLUE, 1, 2);
    lead(world, "both", "blue");
    asked(world, name, four, &["r2"])?;
    asked(world, name, six, &["r3"])?;
    // Who is not ready serves nobody, unless the Service says that it does.
    let mut starting = slice("blue", Family::V4, &[two]);
    starting["endpoints"][0]["conditions"] = json!({"ready": false, "serving": false, "terminating": false});
    world.api.put([starting]);
    asked(world, name, four, &["r3"])?;
    world.api.edit("services", SHOP, "blue", |blue| {
        blue["spec"]["publishNotReadyAddresses"] = json!(true);
    });
    asked(world, name, four, &["r2"])
}

/// Asks until that is counted as the Service's: before the control plane has told of an address, it is nobody's.
fn is_counted(mut ask: impl FnMut(), counted: impl Fn() -> Result<f64>) -> Result<()> {
    let before = counted()?;
    wait::until(DEADLINE, || {
        ask();
        counted().ok().filter(|now| *now > before)
    })
    .map(drop)
    .context("it is never counted as the Service's")
}

fn a_headless_service_is_its_pods(world: &World) -> Result<()> {
    let family = world.family;
    let ports = [object::port("http", PORT, 8080), object::port("tcp", 81, 9000)];
    let mut db = object::service(SHOP, "db", &[], &ports);
    db["spec"]["clusterIP"] = json!("None");
    db["spec"]["clusterIPs"] = json!(["None"]);
    let pods = ["db-0", "db-1", "db-1-anew"].map(|name| world.cluster.replica(name, 0));
    let [first, second, third] = pods.map(|pod| pod.context("a pod"));
    let (first, second, third) = (first?, second?, third?);
    world.api.put([db, slice("db", family, &[&first, &second])]);
    let requests = || counted(world, "evenkeel_requests_total", "db.shop.svc.cluster.local:80");
    let connections = || {
        counted(
            world,
            "evenkeel_tcp_connections_opened_total",
            "db.shop.svc.cluster.local:81",
        )
    };
    // As a resolver has it: the name of the Service is all its pods, the name of one is that one.
    for (name, pod) in [("db-0", &first), ("db-1", &second)] {
        let full = format!("{name}.db.shop.svc.cluster.local");
        is_counted(|| drop(ask(world, &full, pod.http(family))), requests)?;
        asked(world, &full, pod.http(family), &[name])?;
        asked(world, "db.shop.svc.cluster.local", pod.http(family), &[name])?;
        let banner = || clients::banner(&world.clients[0], pod.banner(family), ENOUGH);
        is_counted(|| drop(banner()), connections)?;
        answered_by(&[name], banner)?;
    }
    // A pod that was made anew has another address, at which it is the Service's as well.
    world.api.put([slice("db", family, &[&first, &third])]);
    let name = "db-1.db.shop.svc.cluster.local";
    is_counted(|| drop(ask(world, name, third.http(family))), requests)?;
    asked(world, name, third.http(family), &["db-1-anew"])?;
    // As a backend of a route it is balanced; a route of its own has no address.
    world
        .api
        .put([world.service("front", FRONT), world.slice("front", "front-1", &[1])]);
    lead(world, "front", "db");
    asked(
        world,
        "front.shop.svc.cluster.local",
        world.at(FRONT),
        &["db-0", "db-1-anew"],
    )?;
    lead(world, "db", "front");
    says(world, "db", "Accepted", "False", "UnsupportedValue")?;
    asked(world, name, third.http(family), &["db-1-anew"])
}

fn a_name_that_stands_for_another_leads_where_that_is(world: &World) -> Result<()> {
    let external = |name: &str, to: &str| {
        let mut service = object::service(SHOP, name, &[], &[object::port("http", PORT, PORT)]);
        service["spec"] = json!({"type": "ExternalName", "externalName": to, "ports": service["spec"]["ports"]});
        service
    };
    let outside = world.cluster.replica("outside", 0)?;
    world.api.put([
        external("alias", "web.shop.svc.cluster.local"),
        external("abroad", "db.example.com"),
    ]);
    // The application's resolver follows the name: to a Service, whose requests are balanced, or out of the mesh.
    asked(world, "alias.shop.svc.cluster.local", world.at(10), &["r1", "r2", "r3"])?;
    let passed = || counted(world, "evenkeel_tcp_connections_opened_total", "passthrough");
    let abroad = "abroad.shop.svc.cluster.local";
    asked(world, abroad, outside.http(world.family), &["outside"])?;
    is_counted(|| drop(ask(world, abroad, outside.http(world.family))), passed)?;
    // As a backend it is refused, which the requests and the status say.
    world
        .api
        .put([world.service("via", ABROAD), world.slice("via", "via-1", &[1])]);
    asked(world, "via.shop.svc.cluster.local", world.at(ABROAD), &["r2"])?;
    lead(world, "via", "abroad");
    says(world, "via", "ResolvedRefs", "False", "InvalidKind")?;
    let url = format!("http://{}/", world.at(ABROAD));
    let arguments = ["-o", "/dev/null", "-w", "%{http_code}", &url];
    wait::until(DEADLINE, || {
        (clients::curl(&world.clients[0], &arguments).ok()? == "500").then_some(())
    })?;
    lead(world, "alias", "web");
    says(world, "alias", "Accepted", "False", "UnsupportedValue")?;
    ensure!(world.answer(0, 10).is_ok());
    Ok(())
}

#[test]
fn services_of_both_families_headless_ones_and_names_lead_to_the_pods_that_they_stand_for() -> Result<()> {
    for family in Family::BOTH {
        let world = World::with_clients(family, 1)?;
        world.settles(0, 10, &[0, 1, 2])?;
        let loads = world.loads()?;
        each_address_is_served_by_endpoints_of_its_family(&world)?;
        a_headless_service_is_its_pods(&world)?;
        a_name_that_stands_for_another_leads_where_that_is(&world)?;
        nothing_failed(loads)?;
    }
    Ok(())
}
