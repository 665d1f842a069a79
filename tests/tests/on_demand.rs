//! A proxy under `evenkeel-control` that asks for what its application uses, and for nothing else.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::control::ControlPlane;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::replica::readings;
use evenkeel_tests::replica::served;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::usage::Usage;
use evenkeel_tests::wait;
use serde_json::Value;

/// What is waited for happens sooner, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(40);
/// Requests of a client, each replica's part of which is looked at.
const REQUESTS: u32 = 300;
/// How many of them each of three replicas has at least; at random it is 100, give or take 8.
const LEAST: u64 = 60;
/// What a proxy may grow by for services that its application does not use.
const BOUND: u64 = 5 << 20;

/// Three replicas, a client, and a control plane in a pod of its own.
struct World {
    family: Family,
    replicas: Vec<Replica>,
    client: Pod,
    control: ControlPlane,
    cluster: Cluster,
}

// === impl World ===

impl World {
    /// With a document that knows the service `web` and one that nobody uses.
    fn new(family: Family, settings: &[&'static str]) -> Result<Self> {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(3)?;
        let services = [
            service("web", 10, &replicas, family),
            service("unused", 11, &replicas, family),
        ];
        let document = settings
            .iter()
            .fold(Document::of(&services.each_ref()), |document, setting| {
                document.with(*setting)
            });
        Ok(Self {
            family,
            client: cluster.pod("client")?,
            control: ControlPlane::start(&cluster.pod("control")?, family, &document)?,
            replicas,
            cluster,
        })
    }

    /// The client's proxy; `on_demand` are keys of that section.
    fn mesh(&self, on_demand: &str) -> Result<Mesh> {
        let document = self.control.client(&format!(", on_demand: {{{on_demand}}}"));
        Ok(self.client.mesh(&document)?.quiet())
    }

    fn vip(&self, number: u8, port: u16) -> SocketAddr {
        SocketAddr::new(self.family.vip(number), port)
    }

    /// A service that the cluster has and the control plane does not know, with one replica.
    fn beyond(&self, number: u8) -> Result<SocketAddr> {
        let service = service("beyond", number, &self.replicas[..1], self.family);
        self.cluster.expose(&service)?;
        Ok(service.at(80))
    }

    /// What each replica had of the requests on one connection.
    fn shared_out(&self, to: SocketAddr) -> Result<Vec<u64>> {
        let before = readings(&self.replicas)?;
        let load = clients::ab(&self.client, to, REQUESTS)?;
        ensure!(load.failed == 0, "{load:?}");
        served(&self.replicas, &before, |counts| counts.http1)
    }

    fn balanced(&self, to: SocketAddr) -> Result<()> {
        let counts = self.shared_out(to)?;
        ensure!(counts.iter().all(|&count| count >= LEAST), "{to}: {counts:?}");
        Ok(())
    }

    /// One request on a connection of its own. Returns the replica's name.
    fn ask(&self, to: SocketAddr) -> Result<String> {
        let answer = clients::curl(&self.client, &["--fail", &format!("http://{to}/")])?;
        Ok(answer.trim_end().to_owned())
    }
}

/// In turn, so that shares say who is asked, not who had the processor.
fn service(name: &str, number: u8, replicas: &[Replica], family: Family) -> Service {
    Service::new(name, family.vip(number))
        .with(Port::http(80, replicas, family).balance("round_robin"))
        .with(Port::banner(9000, replicas, family).balance("round_robin"))
}

/// The names of a type, such as `lds`, that the proxy has asked for or has.
fn names(mesh: &Mesh, kind: &str) -> Result<Vec<String>> {
    let resources = resources(mesh)?;
    let ours = resources.iter().filter(|one| one["type"] == kind);
    let mut names: Vec<_> = ours.filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect();
    names.sort_unstable();
    Ok(names)
}

fn resources(mesh: &Mesh) -> Result<Vec<Value>> {
    let page: Value = serde_json::from_str(&mesh.admin("GET", "/config_dump", "")?.body)?;
    let resources = page["control_plane"]["resources"].as_array();
    Ok(resources.with_context(|| page.to_string())?.clone())
}

/// What became of the question for a listener.
fn state(mesh: &Mesh, listener: SocketAddr) -> Result<String> {
    let (resources, name) = (resources(mesh)?, listener.to_string());
    let one = resources
        .iter()
        .find(|one| one["type"] == "lds" && one["name"] == *name);
    let state = one.and_then(|one| one["state"].as_str());
    Ok(state.with_context(|| format!("{name}: {resources:?}"))?.to_owned())
}

#[test]
fn the_first_connection_to_an_address_asks_for_its_listener_and_for_nothing_else() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, &[])?;
        let mesh = world.mesh("wait: 30s")?;
        assert_eq!(names(&mesh, "lds")?, ["inbound", "outbound"]);
        assert_eq!(names(&mesh, "eds")?, [""; 0]);

        let http = world.vip(10, 80);
        world.balanced(http)?;
        assert_eq!(
            names(&mesh, "lds")?,
            [http.to_string(), "inbound".to_owned(), "outbound".to_owned()]
        );
        assert_eq!(names(&mesh, "eds")?, ["outbound|80||web"]);

        let banner = world.vip(10, 9000);
        let answers = clients::banner(&world.client, banner, REQUESTS)?;
        assert_eq!(answers.failures, 0, "{answers:?}");
        assert!(
            answers.by_replica.len() == 3 && answers.by_replica.values().all(|&count| count >= LEAST),
            "{answers:?}"
        );
        assert!(names(&mesh, "lds")?.contains(&banner.to_string()));
        assert_eq!(names(&mesh, "eds")?, ["outbound|80||web", "outbound|9000||web"]);

        // Once for all connections, and everything that was sent for it was of use.
        let metrics = world.control.metrics()?;
        let pushes = |kind| metrics.value("evenkeel_control_pushes_total", &[("type", kind)]) as u64;
        assert_eq!(["lds", "cds", "eds"].map(pushes), [3, 3, 2]);
        assert_eq!(metrics.value("evenkeel_control_nacks_total", &[]) as u64, 0);
    }
    Ok(())
}

#[test]
fn an_address_that_the_mesh_does_not_have_is_said_to_be_unknown_at_once() -> Result<()> {
    for family in Family::BOTH {
        for (settings, passes) in [(&[][..], true), (&["unknown: refuse"][..], false)] {
            let world = World::new(family, settings)?;
            // A client that had to wait so long would have given up.
            let mesh = world.mesh("wait: 60s")?;
            let beyond = world.beyond(12)?;
            let asked = world.ask(beyond);
            assert_eq!(asked.is_ok(), passes, "{asked:?}");
            assert_eq!(state(&mesh, beyond)?, "does_not_exist");
            world.balanced(world.vip(10, 80))?;
        }
    }
    Ok(())
}

#[test]
fn a_dead_control_plane_is_not_noticed_by_what_is_known_and_a_new_one_is_asked_again() -> Result<()> {
    const WAIT: Duration = Duration::from_millis(1500);
    for (family, passes) in [
        (Family::V4, true),
        (Family::V4, false),
        (Family::V6, true),
        (Family::V6, false),
    ] {
        let mut world = World::new(family, &[])?;
        let without_answer = if passes { "passthrough" } else { "refuse" };
        let mesh = world.mesh(&format!(
            "wait: {}ms, without_answer: {without_answer}",
            WAIT.as_millis()
        ))?;
        // An answer that comes later than it is waited for is there all the same.
        wait::until(DEADLINE, || world.balanced(world.vip(10, 80)).ok())?;
        world.control.process().kill();
        mesh.proxy().wait_for_line("cannot be reached", DEADLINE)?;
        for _ in 0..5 {
            world.balanced(world.vip(10, 80))?;
        }

        let (beyond, began) = (world.beyond(12)?, Instant::now());
        let asked = world.ask(beyond);
        assert_eq!(asked.is_ok(), passes, "{without_answer}: {asked:?}");
        assert!(began.elapsed() >= WAIT, "{:?}", began.elapsed());
        world.balanced(world.vip(10, 80))?;

        // The next one knows it.
        let services = [(10, "web"), (12, "late"), (13, "later")]
            .map(|(number, name)| service(name, number, &world.replicas, family));
        world.control.publish(&Document::of(&services.each_ref()))?;
        world.control.restart()?;
        wait::until(DEADLINE, || {
            Some(()).filter(|()| state(&mesh, beyond).is_ok_and(|state| state == "acked"))
        })?;
        wait::until(DEADLINE, || world.balanced(beyond).ok())?;
        wait::until(DEADLINE, || world.balanced(world.vip(13, 80)).ok())?;
        world.balanced(world.vip(10, 80))?;
    }
    Ok(())
}

/// What a proxy takes with five services in use out of so many.
fn resident(family: Family, count: u16) -> Result<u64> {
    const USED: u16 = 5;
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(3)?;
    let services: Vec<_> = (0..count)
        .map(|number| {
            Service::new(&format!("s{number}"), numbered(family, number)).with(Port::http(80, &replicas, family))
        })
        .collect();
    let all: Vec<_> = services.iter().collect();
    let control = ControlPlane::start(&cluster.pod("control")?, family, &Document::of(&all))?;
    let client = cluster.pod("client")?;
    let mesh = client.mesh(&control.client(", on_demand: {wait: 30s}"))?.quiet();
    for service in services.iter().step_by(usize::from(count / USED)) {
        let load = clients::ab(&client, service.at(80), REQUESTS)?;
        ensure!(load.failed == 0, "{load:?}");
    }
    ensure!(
        names(&mesh, "lds")?.len() == usize::from(USED) + 2,
        "{:?}",
        names(&mesh, "lds")?
    );
    Ok(Usage::of(mesh.proxy())?.resident)
}

/// An address for each of many services.
fn numbered(family: Family, number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    match family {
        Family::V4 => Ipv4Addr::new(10, 97, high, low).into(),
        Family::V6 => Ipv6Addr::new(0xfd00, 0x97, 0, 0, 0, 0, 0, number).into(),
    }
}

#[test]
#[allow(clippy::print_stdout)] // the figures are what somebody wants to read
fn memory_follows_what_is_used_and_not_what_there_is() -> Result<()> {
    for family in Family::BOTH {
        let (few, many) = (resident(family, 10)?, resident(family, 10_000)?);
        println!("{family:?}: resident {few} bytes with 10 services and {many} with 10,000, of which 5 are used");
        ensure!(many <= few + BOUND, "{family:?}: {few} bytes became {many}");
    }
    Ok(())
}
