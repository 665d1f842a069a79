//! When replicas fail: what the client sees, and how little of it.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

const DEADLINE: Duration = Duration::from_mins(1);
/// Connections of a client, each with a request at any time.
const CROWD: u32 = 50;

/// A client in the mesh in front of replicas that may be stopped.
struct World {
    replicas: Vec<Replica>,
    client: Pod,
    service: Service,
    _mesh: Mesh,
    _cluster: Cluster,
}

// === impl World ===

impl World {
    fn new(family: Family, replicas: usize) -> Result<Self> {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(replicas)?;
        let client = cluster.pod("client")?;
        let service = Service::new("web", family.vip(10))
            .with(Port::http(80, &replicas, family))
            .with(Port::banner(9000, &replicas, family));
        cluster.expose(&service)?;
        let mesh = client.mesh(&Document::of(&[&service]))?;
        Ok(Self {
            replicas,
            client,
            service,
            _mesh: mesh,
            _cluster: cluster,
        })
    }

    /// Its pod stays, so that connections to it are refused.
    fn stop(&self, replica: usize) {
        self.replicas[replica].process().kill();
    }

    /// The same, and refused before any connection ends. Of a process that is killed the kernel closes what was opened last
    /// first: until it comes to the listener it takes new connections for an application that is dead already, and a request
    /// that was sent on one of these is not sent again.
    fn stop_listener_first(&self, replica: usize) -> Result<()> {
        let refuse = "iptables -I INPUT -p tcp --syn -j REJECT --reject-with tcp-reset";
        self.replicas[replica]
            .pod()
            .exec(&refuse.split(' ').collect::<Vec<_>>())?;
        self.stop(replica);
        Ok(())
    }
}

#[test]
fn a_refused_upstream_is_a_503_with_a_reason_for_http() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, 1)?;
        world.stop(0);
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let url = format!("http://{}/", world.service.at(80));
            let answer = clients::curl(&world.client, &[version, "-i", &url])?.to_lowercase();
            let (head, _) = answer.split_once("\r\n\r\n").context("a head")?;
            assert!(
                head.lines().next().is_some_and(|line| line.contains(" 503")),
                "{version}: {answer}"
            );
            assert!(
                head.contains("\r\nx-evenkeel-reason: connect_refused"),
                "{version}: {answer}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_refused_upstream_is_unavailable_for_grpc() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, 1)?;
        world.stop(0);
        let answers = clients::grpc(&world.client, world.service.at(80), 3, Kind::Unary)?;
        assert_eq!(answers.failures, 3);
        let failure = answers.first_failure.context("what the first said")?;
        assert!(failure.contains("grpc-status \"14\""), "{failure}");
    }
    Ok(())
}

#[test]
fn a_dead_replica_among_three_fails_nothing() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, 3)?;
        world.stop(1);
        assert_eq!(clients::ab(&world.client, world.service.at(80), 300)?.failed, 0);
        assert_eq!(clients::h2load(&world.client, world.service.at(80), 300)?.failed, 0);
        assert_eq!(
            clients::grpc(&world.client, world.service.at(80), 100, Kind::Unary)?.failures,
            0
        );
        assert_eq!(clients::websocket(&world.client, world.service.at(80), 30)?.failures, 0);
        assert_eq!(clients::banner(&world.client, world.service.at(9000), 30)?.failures, 0);
    }
    Ok(())
}

#[test]
fn a_replica_that_dies_under_load_fails_no_request_that_can_be_sent_again() -> Result<()> {
    let world = World::new(Family::V4, 3)?;
    let load = world
        .client
        .spawn(clients::ab_command(&world.client, world.service.at(80), 10_000))?;
    load.wait_for_line("Completed 1000 requests", DEADLINE)?;
    world.stop_listener_first(1)?;
    load.wait(DEADLINE)?;
    assert_eq!(clients::ab_report(&load.said())?.failed, 0, "{}", load.said());
    Ok(())
}

#[test]
fn a_replica_that_dies_under_a_crowd_fails_no_more_than_were_at_it_and_cuts_none() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, 3)?;
        let mut command = world.client.command("ab");
        let url = format!("http://{}/", world.service.at(80));
        command.args(["-k", "-l", "-c", &CROWD.to_string(), "-n", "10000", &url]);
        let load = world.client.spawn(command)?;
        load.wait_for_line("Completed 3000 requests", DEADLINE)?;
        world.stop(1);
        load.wait(DEADLINE)?;
        // It gives up without a report when a connection is reset under it.
        let report = clients::ab_report(&load.said())?;
        // Those that have been sent, and that the retry budget has no room for, are told.
        assert!(report.failed <= u64::from(CROWD), "{}", load.said());
    }
    Ok(())
}
