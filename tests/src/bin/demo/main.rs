//! The story in two tables: one client with a kept-alive connection and three replicas, without the mesh and with it; then the
//! mesh from a control plane, with a replica that comes and goes.
//!
//! `demo` prints the tables, `demo --json` the same facts as JSON. Progress and faults go to stderr. The status is not 0
//! when something failed, or when the mesh did not give each replica its part.

mod follow;
mod interrupt;
mod measure;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

use crate::follow::Followed;
use crate::follow::follow;
use crate::measure::Row;
use crate::measure::measure;

/// Shows what a service mesh is for, with real iptables and real clients, on this machine.
#[derive(Parser)]
struct Arguments {
    /// Print the facts as JSON on stdout instead of the table.
    #[arg(long)]
    json: bool,
}

/// What was measured.
struct Story {
    compared: Vec<Row>,
    followed: Vec<Followed>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match interrupt::take_over().and_then(|()| tell()) {
        Ok(story) => show(&story, arguments.json),
        Err(error) => {
            report::note(&format!("demo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Both parts, with the same service and the same replicas.
fn tell() -> Result<Story> {
    report::note("a cluster of network namespaces: a client, three replicas, a VIP balanced as kube-proxy does it");
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(3)?;
    let service = Service::new("web.demo.svc.cluster.local", Family::V4.vip(10))
        .with(Port::http(80, &replicas, Family::V4))
        .with(Port::banner(9000, &replicas, Family::V4));
    cluster.expose(&service)?;

    let compared = compare(&cluster, &service, &replicas)?;
    interrupt::check()?;
    report::note(
        "configured over gRPC: evenkeel-control serve, clients that keep their connections, a replica that comes and goes",
    );
    let followed = follow(&cluster, &service, &replicas)?;
    Ok(Story { compared, followed })
}

/// Both halves of the comparison: the same client with the same arguments.
fn compare(cluster: &Cluster, service: &Service, replicas: &[Replica]) -> Result<Vec<Row>> {
    let client = cluster.pod("client")?;
    report::note("without the mesh");
    let mut rows = measure(&client, service, replicas, false)?;
    interrupt::check()?;
    report::note("with the mesh: evenkeel-init install, evenkeel-proxy run");
    let _mesh = client.mesh(&Document::of(&[service]))?.quiet();
    rows.extend(measure(&client, service, replicas, true)?);
    Ok(rows)
}

fn show(story: &Story, json: bool) -> ExitCode {
    report::print(&if json {
        report::json(story)
    } else {
        report::tables(story)
    });
    let uneven = story
        .compared
        .iter()
        .filter(|row| row.mesh && row.protocol.per_request() && !row.even());
    let uneven = uneven.map(|row| format!("with the mesh {} is not even: {:?}", row.protocol.name(), row.shares));
    let unlike = story.followed.iter().filter(|row| !row.good());
    let faults: Vec<_> = uneven
        .chain(unlike.map(|row| format!("not as it should be: {row:?}")))
        .collect();
    for fault in &faults {
        report::note(&format!("demo: {fault}"));
    }
    if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
