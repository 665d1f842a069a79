//! Routes of the other kinds, and traffic policies: calls, connections and requests go as they say.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::answers::Answers;
use evenkeel_tests::binaries;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::wait;
use serde_json::Value;
use serde_json::json;

use crate::asker::Asker;
use crate::routes::condition;
use crate::world::DEADLINE;
use crate::world::PORT;
use crate::world::SHOP;
use crate::world::World;
use crate::world::answered_by;
use crate::world::nothing_failed;

/// Of the Services that have a route, whose own endpoints are the first replica.
const CALLS: u8 = 20;
const BYTES: u8 = 21;
const NAMES: u8 = 22;
/// Of the Service that has a policy, whose endpoints are all replicas.
const SPREAD: u8 = 23;
/// The backends of every route, with the second and the third replica.
const BLUE: u8 = 30;
const GREEN: u8 = 31;

/// Where the replicas speak TLS, besides what they always do.
const HTTPS: u16 = 8443;
/// Calls or connections that show where all of them go.
const FEW: u32 = 12;
/// Of two equal backends, one would be left out of so many once in 2^47.
const MANY: u32 = 48;
/// Requests in a row of which round robin gives each replica one.
const REPLICAS: usize = 3;
/// Such rows: by chance they would all be so once in (27/6)^20.
const ROWS: usize = 20;

/// A Service that says what is spoken at its one port, in front of this port of a replica.
fn service(world: &World, name: &str, number: u8, spoken: &str, target: u16, replica: usize) -> [Value; 2] {
    let address = world.replicas[replica].pod().ip(world.family);
    let endpoint = object::endpoint(address, "r", object::Condition::Ready);
    [
        object::service(
            SHOP,
            name,
            &[world.family.vip(number)],
            &[object::port(spoken, PORT, target)],
        ),
        object::slice(
            SHOP,
            &format!("{name}-1"),
            name,
            &[object::slice_port(spoken, target)],
            &[endpoint],
        ),
    ]
}

/// The Service `name` with its route; `blue-name` and `green-name`, which are meant to be its backends, get the numbers after those of
/// the kinds before.
fn stage(world: &World, name: &str, number: u8, spoken: &str, target: u16) {
    let kinds = 4 * (number - CALLS);
    world.api.put(service(world, name, number, spoken, target, 0));
    for (colour, base, replica) in [("blue", BLUE, 1), ("green", GREEN, 2)] {
        let backend = format!("{colour}-{name}");
        world
            .api
            .put(service(world, &backend, base + kinds, spoken, target, replica));
    }
}

/// Backends of the route of this Service, with their weights.
fn backends(name: &str, blue: u32, green: u32) -> Value {
    [("blue", blue), ("green", green)]
        .map(|(colour, weight)| json!({"name": format!("{colour}-{name}"), "port": PORT, "weight": weight}))
        .into_iter()
        .collect()
}

/// Puts a route of this Service, and waits until its status says that it is in force.
fn attach(world: &World, kind: (&str, &str, &str), service: &str, spec: &Value) -> Result<()> {
    let (plural, kind, version) = kind;
    let mut route = json!({
        "apiVersion": format!("gateway.networking.k8s.io/{version}"), "kind": kind,
        "metadata": {"namespace": SHOP, "name": service}, "spec": spec,
    });
    route["spec"]["parentRefs"] = json!([{"group": "", "kind": "Service", "name": service}]);
    world.api.put([route]);
    let generation = |route: &Value| route["metadata"]["generation"].clone();
    world.api.wait_for(plural, SHOP, service, |route| {
        ["Accepted", "ResolvedRefs"].iter().all(|kind| {
            condition(route, "parents", kind)
                .is_some_and(|said| said["status"] == "True" && said["observedGeneration"] == generation(route))
        })
    })?;
    Ok(())
}

fn calls_follow_a_grpc_route(world: &World) -> Result<()> {
    stage(world, "calls", CALLS, "grpc", 8080);
    let at = world.at(CALLS);
    let call = |calls, kind| move || clients::grpc(&world.clients[0], at, calls, kind);
    answered_by(&["r1"], call(FEW, Kind::Unary))?;
    let method = |method: &str| json!([{"method": {"service": "evenkeel.test.Echo", "method": method}}]);
    let rule =
        |name: &str, blue, green| json!({"matches": method(name), "backendRefs": backends("calls", blue, green)});
    let spec = json!({"rules": [rule("Unary", 1, 0), rule("ServerStream", 0, 1), rule("ClientStream", 1, 1)]});
    attach(world, ("grpcroutes", "GRPCRoute", "v1"), "calls", &spec)?;
    answered_by(&["r2"], call(FEW, Kind::Unary))?;
    answered_by(&["r3"], call(FEW, Kind::ServerStream))?;
    answered_by(&["r2", "r3"], call(MANY, Kind::ClientStream))?;
    // What no rule speaks of is answered, and goes to nobody.
    let others = call(1, Kind::Bidirectional)()?;
    ensure!(others.failures == 1 && others.by_replica.is_empty(), "{others:?}");
    Ok(())
}

fn connections_follow_a_tcp_route(world: &World) -> Result<()> {
    stage(world, "bytes", BYTES, "tcp", 9000);
    let at = world.at(BYTES);
    let connect = |connections| move || clients::banner(&world.clients[0], at, connections);
    answered_by(&["r1"], connect(FEW))?;
    let kind = ("tcproutes", "TCPRoute", "v1alpha2");
    let weighted = |blue, green| json!({"rules": [{"backendRefs": backends("bytes", blue, green)}]});
    for (blue, green, expected) in [(1, 0, &["r2"][..]), (1, 1, &["r2", "r3"]), (0, 1, &["r3"])] {
        attach(world, kind, "bytes", &weighted(blue, green))?;
        let count = if expected.len() > 1 { MANY } else { FEW };
        answered_by(expected, connect(count))?;
    }
    world.api.delete("tcproutes", SHOP, "bytes");
    answered_by(&["r1"], connect(FEW))
}

/// Starts the replicas once more, speaking TLS.
fn speak_tls(world: &World) -> Result<()> {
    for (index, replica) in world.replicas.iter().enumerate() {
        let mut command: Command = replica.pod().command(binaries::path("replica")?);
        command.args(["--name", &format!("r{}", index + 1), "--https", &HTTPS.to_string()]);
        command.args(["--http", "8180", "--banner", "9180", "--control", "9181"]);
        replica.pod().spawn(command)?.wait_for_line("is ready", DEADLINE)?;
    }
    Ok(())
}

fn names_follow_a_tls_route(world: &World) -> Result<()> {
    speak_tls(world)?;
    stage(world, "names", NAMES, "tls", HTTPS);
    let address = match world.at(NAMES).ip() {
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    };
    let ask = |name: &str| {
        let (to, url) = (format!("{name}:{PORT}:{address}"), format!("https://{name}:{PORT}/"));
        clients::curl(&world.clients[0], &["--insecure", "--resolve", &to, &url])
    };
    let asked = |name: &'static str| {
        move || -> Result<Answers> {
            let mut answers = Answers::default();
            for _ in 0..4 {
                answers.book(ask(name).map(|answer| answer.trim_end().to_owned()));
            }
            Ok(answers)
        }
    };
    answered_by(&["r1"], asked("a.example"))?;
    let spec = |host: &str, blue, green| json!({"hostnames": [host], "rules": [{"backendRefs": backends("names", blue, green)}]});
    let kind = ("tlsroutes", "TLSRoute", "v1");
    attach(world, kind, "names", &spec("a.example", 1, 0))?;
    answered_by(&["r2"], asked("a.example"))?;
    ensure!(ask("b.example").is_err(), "a name that no route speaks of");
    attach(world, kind, "names", &spec("*.example", 0, 1))?;
    answered_by(&["r3"], asked("b.example"))
}

/// Whether each three requests in a row come to all three replicas.
fn takes_turns(world: &World) -> Result<bool> {
    let mut asker = Asker::connect(&world.clients[0], world.at(SPREAD))?;
    for _ in 0..ROWS {
        let row: BTreeSet<_> = (0..REPLICAS).map(|_| asker.ask()).collect::<Result<_>>()?;
        if row.len() < REPLICAS {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Puts a policy, and waits until its status says this.
fn decree(world: &World, name: &str, spec: &Value, accepted: &str, reason: &str) -> Result<()> {
    let mut policy = json!({
        "apiVersion": "evenkeel.io/v1alpha1", "kind": "TrafficPolicy",
        "metadata": {"namespace": SHOP, "name": name}, "spec": spec,
    });
    policy["spec"]["targetRefs"] = json!([{"group": "", "kind": "Service", "name": "spread"}]);
    world.api.put([policy]);
    world.api.wait_for("trafficpolicies", SHOP, name, |policy| {
        condition(policy, "ancestors", "Accepted").is_some_and(|said| {
            said["status"] == accepted
                && said["reason"] == reason
                && said["observedGeneration"] == policy["metadata"]["generation"]
        })
    })?;
    Ok(())
}

/// Waits until a request with so many fields more than usual is answered with this.
fn with_fields(world: &World, count: usize, status: &str) -> Result<()> {
    let url = format!("http://{}/", world.at(SPREAD));
    let fields: Vec<_> = (0..count).map(|number| format!("x-{number}: y")).collect();
    let fields = fields.iter().flat_map(|field| ["-H", field]);
    let arguments: Vec<_> = ["-o", "/dev/null", "-w", "%{http_code}", &url]
        .into_iter()
        .chain(fields)
        .collect();
    wait::until(DEADLINE, || {
        let found = clients::curl(&world.clients[0], &arguments).ok()?;
        (found == status).then_some(())
    })
}

fn requests_follow_a_traffic_policy(world: &World) -> Result<()> {
    world.api.put([
        world.service("spread", SPREAD),
        world.slice("spread", "spread-1", &[0, 1, 2]),
    ]);
    world.settles(0, SPREAD, &[0, 1, 2])?;
    ensure!(!takes_turns(world)?, "the better of two is no round");
    with_fields(world, 30, "200")?;
    let settled = |turns| wait::until(DEADLINE, || (takes_turns(world).ok()? == turns).then_some(()));
    let rounds = json!({"balancer": {"algorithm": "round_robin"}, "limits": {"headerFields": 20}});
    decree(world, "turns", &rounds, "True", "Accepted")?;
    settled(true)?;
    with_fields(world, 30, "431")?;
    with_fields(world, 5, "200")?;

    // What cannot be done is said, and what was in force stays.
    let later = json!({"balancer": {"algorithm": "random"}, "retryBudget": {"percent": 20}});
    decree(world, "later", &later, "False", "UnsupportedValue")?;
    ensure!(takes_turns(world)?);
    world.api.delete("trafficpolicies", SHOP, "turns");
    settled(false)?;
    with_fields(world, 30, "200")
}

#[test]
fn calls_connections_and_requests_go_as_routes_and_policies_say_and_nobody_else_is_hurt() -> Result<()> {
    for family in Family::BOTH {
        let world = World::with_clients(family, 1)?;
        world.settles(0, 10, &[0, 1, 2])?;
        let loads = world.loads()?;
        calls_follow_a_grpc_route(&world)?;
        connections_follow_a_tcp_route(&world)?;
        names_follow_a_tls_route(&world)?;
        requests_follow_a_traffic_policy(&world)?;
        nothing_failed(loads)?;
    }
    Ok(())
}
