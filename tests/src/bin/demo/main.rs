//! The story in one table: one client with a kept-alive connection and three replicas, without the mesh and with it.
//!
//! `demo` prints the table, `demo --json` the same facts as JSON. Progress and faults go to stderr. The status is not 0
//! when something failed, or when the mesh did not give each replica its third.

mod interrupt;
mod measure;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

use crate::measure::Row;
use crate::measure::measure;

/// Shows what a service mesh is for, with real iptables and real clients, on this machine.
#[derive(Parser)]
struct Arguments {
    /// Print the facts as JSON on stdout instead of the table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match interrupt::take_over().and_then(|()| tell()) {
        Ok(rows) => show(&rows, arguments.json),
        Err(error) => {
            report::note(&format!("demo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Both halves of the comparison: the same client, the same arguments, the same replicas.
fn tell() -> Result<Vec<Row>> {
    report::note("a cluster of network namespaces: a client, three replicas, a VIP balanced as kube-proxy does it");
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(3)?;
    let client = cluster.pod("client")?;
    let service = Service::new("web.demo.svc.cluster.local", Family::V4.vip(10))
        .with(Port::http(80, &replicas, Family::V4))
        .with(Port::banner(9000, &replicas, Family::V4));
    cluster.expose(&service)?;

    report::note("without the mesh");
    let mut rows = measure(&client, &service, &replicas, false)?;
    interrupt::check()?;
    report::note("with the mesh: evenkeel-init install, evenkeel-proxy run");
    let _mesh = client.mesh(&Document::of(&[&service]))?.quiet();
    rows.extend(measure(&client, &service, &replicas, true)?);
    Ok(rows)
}

fn show(rows: &[Row], json: bool) -> ExitCode {
    report::print(&if json { report::json(rows) } else { report::table(rows) });
    let uneven: Vec<_> = rows
        .iter()
        .filter(|row| row.mesh && row.protocol.per_request() && !row.even())
        .collect();
    for row in &uneven {
        report::note(&format!(
            "demo: with the mesh {} is not even: {:?}",
            row.protocol.name(),
            row.shares
        ));
    }
    if uneven.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
