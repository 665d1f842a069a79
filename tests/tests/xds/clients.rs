//! gRPC's own xDS clients (`grpcio` and `@grpc/grpc-js-xds`) under our control plane.
//!
//! An application without a proxy that finds its services by name, and balances its calls by itself.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::again;
use evenkeel_tests::binaries;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::http;
use evenkeel_tests::metrics::Metrics;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::readings;
use evenkeel_tests::replica::served;
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
/// Round robin shares them by hundreds.
const CALLS: u64 = 300;
const METHOD: &str = "/evenkeel.test.Echo/Unary";

/// What became of a call.
#[derive(Debug, Deserialize)]
struct Outcome {
    code: String,
    details: String,
}

#[test]
fn grpcs_own_clients_find_a_service_by_name_and_balance_its_calls() -> Result<()> {
    let cluster = Cluster::new()?;
    let pod = cluster.pod("control")?;
    let replicas = cluster.replicas(3)?;
    let port = Port::http(80, &replicas, Family::V4).protocol("grpc");
    let service = Service::new("web", Family::V4.vip(10)).with(port);
    serve(&pod, &Document::of(&[&service]))?;

    for call in [call, call_from_javascript] {
        let measure = || {
            let before = readings(&replicas)?;
            let called = call(&pod, "xds:///web:80", CALLS)?;
            ensure!(called.code == "OK", "{called:?}");
            let served = served(&replicas, &before, |counts| counts.grpc)?;
            ensure!(served.iter().sum::<u64>() == CALLS, "{served:?}");
            Ok(served)
        };
        // It takes turns among what is connected: who is connected first has the first calls alone.
        let even = |served: &Vec<u64>| served.iter().all(|count| (80..=120).contains(count));
        let served = again::until_good(measure, even)?;
        ensure!(even(&served), "{served:?}");
    }

    // The listener of a proxy is one that it knows, and not one that it can use.
    let known = call(&pod, "xds:///10.96.0.10:80", 1)?;
    ensure!(known.code == "UNAVAILABLE", "{known:?}");
    let words = "LDS resource 10.96.0.10:80: invalid resource: errors validating server Listener";
    ensure!(known.details.contains(words), "{known:?}");
    let unknown = call(&pod, "xds:///nobody", 1)?;
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

fn call(pod: &Pod, target: &str, calls: u64) -> Result<Outcome> {
    let mut command = pod.command(binaries::python("bin/python")?);
    command.arg("-B").arg(xds::script("grpc_client.py"));
    let control_plane = std::net::SocketAddr::from(CONTROL_PLANE).to_string();
    command.args([
        "--control-plane",
        &control_plane,
        "--seconds",
        PATIENCE,
        "--calls",
        &calls.to_string(),
        target,
        METHOD,
    ]);
    outcome(command)
}

fn call_from_javascript(pod: &Pod, target: &str, calls: u64) -> Result<Outcome> {
    let mut command = pod.command("node");
    let modules = binaries::fetched("node/node_modules/@grpc/grpc-js-xds/package.json")?;
    let modules = modules.ancestors().nth(3).context("the folder of the packages")?;
    command
        .env("NODE_PATH", modules)
        .arg(xds::node_script("grpc_client.js"));
    let control_plane = std::net::SocketAddr::from(CONTROL_PLANE).to_string();
    command.args([&control_plane, target, METHOD, &calls.to_string(), PATIENCE]);
    outcome(command)
}

fn outcome(mut command: Command) -> Result<Outcome> {
    let output = command.output()?;
    let line = String::from_utf8(output.stdout)?;
    serde_json::from_str(&line).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
