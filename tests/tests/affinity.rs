//! A service with affinity by client: each client pod keeps its replica as long as that is there.

use std::collections::BTreeSet;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

/// New connections of one client, of either version of HTTP.
const CONNECTIONS: usize = 10;

/// The replica that answers all of a client's connections.
fn replica_of(client: &Pod, service: &Service) -> Result<String> {
    let url = format!("http://{}/", service.at(80));
    let mut seen = BTreeSet::new();
    for _ in 0..CONNECTIONS {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            seen.insert(clients::curl(client, &[version, "--fail", &url])?.trim_end().to_owned());
        }
    }
    ensure!(seen.len() == 1, "{seen:?}");
    Ok(seen.into_iter().collect())
}

fn meshed(cluster: &Cluster, name: &str, service: &Service) -> Result<(Pod, Mesh)> {
    let client = cluster.pod(name)?;
    let document = Document::of(&[service]);
    let mesh = client.mesh(&document)?.quiet();
    let sticky = document.text().replace(BALANCE, "    affinity: client_ip\n");
    ensure!(sticky != document.text(), "{sticky}");
    mesh.applied(|| mesh.configure_text(&sticky))?;
    Ok((client, mesh))
}

/// The line that the other takes the place of.
const BALANCE: &str = "    balance: {algorithm: round_robin}\n";

#[test]
fn a_client_keeps_its_replica_and_only_the_clients_of_one_that_is_gone_move() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(3)?;
        let port = Port::http(80, &replicas, family).balance("round_robin");
        let service = Service::new("web", family.vip(10)).with(port);
        cluster.expose(&service)?;
        let mut clients = Vec::new();
        for name in ["c1", "c2", "c3", "c4"] {
            clients.push(meshed(&cluster, name, &service)?);
        }
        let before: Vec<_> = clients
            .iter()
            .map(|(client, _)| replica_of(client, &service))
            .collect::<Result<_>>()?;
        let gone = before[0].clone();
        let number: usize = gone.trim_start_matches('r').parse()?;
        replicas[number - 1].process().kill();
        for ((client, _), kept) in clients.iter().zip(&before) {
            let now = replica_of(client, &service)?;
            ensure!(now != gone, "{family:?}: {now}");
            ensure!(*kept == gone || now == *kept, "{family:?}: from {kept} to {now}");
        }
    }
    Ok(())
}
