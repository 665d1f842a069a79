//! The demo tells its story, in JSON too, and leaves nothing behind however it ends.

use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::again;
use evenkeel_tests::binaries;
use evenkeel_tests::namespace::Namespace;
use evenkeel_tests::process::Process;
use evenkeel_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;
use serde_json::json;

const DEADLINE: Duration = Duration::from_mins(5);

fn demo() -> Result<Process> {
    // Dies with the test, as everything that a namespace spawns does.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(binaries::path("demo")?)
        .stdin(Stdio::null());
    Process::spawn(command)
}

/// The namespaces that a process has made and that still exist.
fn left_behind(pid: u32) -> Result<Vec<String>> {
    let entries = std::fs::read_dir("/run/netns")?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| name.starts_with(&format!("ek-{pid}-"))).collect())
}

/// What it tells from its beginning to its end.
fn facts() -> Result<Vec<Value>> {
    let output = Command::new(binaries::path("demo")?)
        .arg("--json")
        .stdin(Stdio::null())
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn the_demo_shows_one_replica_without_the_mesh_and_thirds_with_it() -> Result<()> {
    // The default looks at latencies, which a machine that does much else makes uneven.
    let facts = again::until_good(facts, |facts| facts.iter().take(10).all(is_even))?;
    let (compared, followed) = facts.split_at(10);
    assert_eq!(followed.len(), 9, "three protocols, three steps");
    thirds_with_the_mesh(compared)?;
    a_fourth_comes_and_goes(followed)
}

fn shares(fact: &Value) -> Result<Vec<f64>> {
    let shares = fact["shares"].as_array().context("shares")?;
    let shares: Vec<f64> = shares.iter().filter_map(Value::as_f64).collect();
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{fact}");
    Ok(shares)
}

/// Whether what is balanced by request went to all alike, where there is a mesh.
fn is_even(fact: &Value) -> bool {
    let shares = fact["shares"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64);
    fact["mesh"] != true || !is_per_request(fact) || shares.into_iter().all(|share| (0.28..=0.39).contains(&share))
}

fn is_per_request(fact: &Value) -> bool {
    ["http1", "http2", "grpc"]
        .iter()
        .any(|protocol| fact["protocol"] == *protocol)
}

/// Five protocols, without and with.
fn thirds_with_the_mesh(facts: &[Value]) -> Result<()> {
    for fact in facts {
        let shares = shares(fact)?;
        if fact["mesh"] == true {
            assert!(is_even(fact), "{fact}");
        } else if is_per_request(fact) {
            assert!(shares.contains(&1.0), "{fact}");
        }
        assert_eq!(
            fact["first_byte_ms"].is_number(),
            fact["protocol"] == "server_first",
            "{fact}"
        );
    }
    Ok(())
}

fn a_fourth_comes_and_goes(facts: &[Value]) -> Result<()> {
    for fact in facts {
        let shares = shares(fact)?;
        let taking = if fact["step"] == "fourth_added" { 4 } else { 3 };
        let (taking, others) = shares.split_at(taking);
        let part = 1.0 / taking.len() as f64;
        assert!(taking.iter().all(|share| (share - part).abs() < 0.08), "{fact}");
        assert!(others.iter().all(|&share| share == 0.0), "{fact}");
        assert_eq!(
            (&fact["failures"], &fact["connections_opened"]),
            (&json!(0), &json!(0)),
            "{fact}"
        );
    }
    Ok(())
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() -> Result<()> {
    for (signal, line) in [(Signal::SIGINT, "HTTP/1.1"), (Signal::SIGTERM, "a fourth is added")] {
        let demo = demo()?;
        demo.wait_for_line(line, DEADLINE)?;
        assert!(
            !left_behind(demo.pid())?.is_empty(),
            "it has made its namespaces by now"
        );
        demo.signal(signal)?;
        assert!(!demo.wait(DEADLINE)?.success());
        assert_eq!(left_behind(demo.pid())?, Vec::<String>::new(), "after {signal}");
    }
    Ok(())
}

#[test]
fn what_a_killed_demo_left_behind_is_swept_by_the_next_run() -> Result<()> {
    let killed = demo()?;
    killed.wait_for_line("HTTP/1.1", DEADLINE)?;
    killed.kill();
    assert!(!left_behind(killed.pid())?.is_empty());

    let next = demo()?;
    next.wait_for_line("without the mesh", DEADLINE)?;
    wait::until(DEADLINE, || left_behind(killed.pid()).ok()?.is_empty().then_some(()))?;
    next.signal(Signal::SIGTERM)?;
    next.wait(DEADLINE)?;
    Ok(())
}

#[test]
fn a_process_in_a_namespace_ends_with_it() -> Result<()> {
    let namespace = Namespace::new("ending")?;
    let mut command = namespace.command("tail");
    command.args(["-f", "/dev/null"]);
    let process = namespace.spawn(command)?;
    assert!(process.ended()?.is_none());
    drop(namespace);
    assert!(process.ended()?.is_some());
    Ok(())
}
