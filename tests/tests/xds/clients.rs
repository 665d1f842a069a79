//! gRPC's own xDS client (`grpcio`) under our control plane.
//!
//! It reads our answers and says what it takes. It cannot be served yet: its targets are listeners with an `api_listener`, which
//! belong to applications without a proxy, and ours are for proxies.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::binaries;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::http;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::xds;
use serde::Deserialize;

use crate::world::CONTROL_PLANE;

/// Of the control plane.
const TELEMETRY: ([u8; 4], u16) = ([127, 0, 0, 1], 15014);
const START: Duration = Duration::from_secs(20);
/// Longer than gRPC waits until it believes that a name does not exist (15 s).
const PATIENCE: &str = "25";

/// What became of a call.
#[derive(Debug, Deserialize)]
struct Outcome {
    code: String,
    details: String,
}

#[test]
fn grpcs_own_client_reads_our_answers_and_says_what_it_takes() -> Result<()> {
    let cluster = Cluster::new()?;
    let pod = cluster.pod("control")?;
    let port = Port::new(80, [pod.at(Family::V4, 8080)]).protocol("grpc");
    let service = Service::new("web", Family::V4.vip(10)).with(port);
    serve(&pod, &Document::of(&[&service]))?;

    // The listener of a proxy is one that it knows, and not one that it can use.
    let known = call(&pod, "xds:///10.96.0.10:80")?;
    ensure!(known.code == "UNAVAILABLE", "{known:?}");
    let words = "LDS resource 10.96.0.10:80: invalid resource: errors validating server Listener";
    ensure!(known.details.contains(words), "{known:?}");
    let unknown = call(&pod, "xds:///nobody")?;
    ensure!(
        unknown.details.contains("LDS resource nobody: does not exist"),
        "{unknown:?}"
    );

    let page = http::get(&pod, TELEMETRY.into(), "/metrics")?;
    let metrics = Metrics::parse(&page.body)?;
    for name in ["evenkeel_control_acks_total", "evenkeel_control_nacks_total"] {
        ensure!(metrics.value(name, &[("type", "lds")]) >= 1.0, "{name}: {}", page.body);
    }
    Ok(())
}

fn serve(pod: &Pod, mesh: &Document) -> Result<()> {
    let file = pod.folder()?.join("mesh.yaml");
    std::fs::write(&file, mesh.text())?;
    let mut command = pod.command(binaries::path("evenkeel-control")?);
    command.args(["serve", "--mesh"]).arg(file);
    let process = pod.spawn(command)?;
    process.wait_for_line("serving", START)?;
    Ok(())
}

fn call(pod: &Pod, target: &str) -> Result<Outcome> {
    let mut command = pod.command(binaries::python("bin/python")?);
    command.arg("-B").arg(xds::script("grpc_client.py"));
    let control_plane = std::net::SocketAddr::from(CONTROL_PLANE).to_string();
    command.args([
        "--control-plane",
        &control_plane,
        "--seconds",
        PATIENCE,
        target,
        "/evenkeel.test.Echo/Unary",
    ]);
    let output = command.output()?;
    let line = String::from_utf8(output.stdout)?;
    serde_json::from_str(&line).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
