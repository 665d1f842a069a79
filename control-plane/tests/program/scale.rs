//! How much of a control plane many proxies and services take. Run by hand, for its figures are of the machine:
//! `cargo test --release -p evenkeel-control-plane --test program -- --ignored --nocapture --test-threads 1 scale`

use crate::api::{Api, token};
use crate::client::{ASSIGNMENT, Client, Dial};
use crate::objects::{namespace, node, pod, service, slice};
use crate::program::Program;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const SERVICES: usize = 1_000;
const ENDPOINTS: usize = 10;
const STREAMS: usize = 1_000;
const ROUNDS: usize = 20;
/// Of which the processor time is taken.
const STEADY: Duration = Duration::from_secs(20);

/// The name in the certificate.
const NAME: &str = "evenkeel-control.evenkeel-system.svc";

/// How clients come in.
#[derive(Clone, Copy)]
enum Way {
    /// All as somebody on this host.
    Plaintext,
    /// Each as a pod of its own, with its token.
    Guarded,
}

#[tokio::test]
#[ignore = "takes a minute, and its figures are of the machine"]
async fn scale_on_demand() {
    measure("on demand, 20 services each", 20, Way::Plaintext).await;
}

#[tokio::test]
#[ignore = "takes a minute, and its figures are of the machine"]
async fn scale_everything() {
    measure("everything", SERVICES, Way::Plaintext).await;
}

#[tokio::test]
#[ignore = "takes a minute, and its figures are of the machine"]
async fn scale_on_demand_over_tls_with_tokens() {
    measure("on demand, 20 services each, over TLS with tokens", 20, Way::Guarded).await;
}

#[tokio::test]
#[ignore = "takes a minute, and its figures are of the machine"]
async fn scale_everything_over_tls_with_tokens() {
    measure("everything, over TLS with tokens", SERVICES, Way::Guarded).await;
}

/// The program with a certificate of its own, and the way to it.
async fn guarded(kubeconfig: &Path, folder: &Path) -> (Program, Dial) {
    let names = [NAME.to_owned(), format!("{NAME}.cluster.local")];
    let own = rcgen::generate_simple_self_signed(names).unwrap();
    for (file, text) in [
        ("tls.crt", own.cert.pem()),
        ("tls.key", own.signing_key.serialize_pem()),
        ("ca.crt", own.cert.pem()),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
    let mut program = Program::run_guarded(kubeconfig, folder);
    let address = program.guarded().await;
    (program, Dial::new(address, NAME, own.cert.der()))
}

async fn measure(what: &str, each: usize, way: Way) {
    let api = Api::start().await;
    api.put("namespaces", namespace("shop"));
    api.put("nodes", node("n1", "a"));
    for number in 0..STREAMS {
        api.put("pods", pod(&format!("p{number}"), "n1"));
    }
    for number in 0..SERVICES {
        let name = format!("s{number}");
        api.put(
            "services",
            service(&name, &format!("10.96.{}.{}", number / 250, number % 250 + 1)),
        );
        api.put("endpointslices", slice(&name, &name, &endpoints(number, 1)));
    }
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    fs::write(&kubeconfig, api.kubeconfig()).unwrap();
    let begun = Instant::now();
    let (program, dial) = match way {
        Way::Plaintext => {
            let mut program = Program::run(&kubeconfig);
            program.log_says("serving").await;
            (program, None)
        }
        Way::Guarded => {
            let (program, dial) = guarded(&kubeconfig, folder.path()).await;
            (program, Some(dial))
        }
    };
    let known = begun.elapsed();

    // The service that changes is one of everybody's.
    let names: Vec<String> = (0..each)
        .map(|number| format!("outbound|80||s{number}.shop.svc.cluster.local"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (sender, mut told) = mpsc::unbounded_channel();
    for number in 0..STREAMS {
        let mut client = match &dial {
            None => Client::connect(program.listen).await,
            Some(dial) => {
                let pod = format!("p{number}");
                Client::connect_guarded(dial, &format!("{pod}.shop"), &token(&pod)).await
            }
        };
        client.subscribe(ASSIGNMENT, &names);
        let mut has = 0;
        while has < each {
            has += client.next().await.resources.len();
        }
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(answer) = client.receive().await {
                sender.send(answer).unwrap();
            }
        });
    }
    let mut latencies = Vec::with_capacity(STREAMS * ROUNDS);
    for round in 0..ROUNDS {
        let changed = Instant::now();
        api.put("endpointslices", slice("s0", "s0", &endpoints(0, round + 2)));
        for _ in 0..STREAMS {
            told.recv().await.unwrap();
            latencies.push(changed.elapsed());
        }
    }
    latencies.sort_unstable();
    let quantile = |part: f64| latencies[(latencies.len() as f64 * part) as usize];
    let before = processor_time(program.id());
    tokio::time::sleep(STEADY).await;
    let steady = processor_time(program.id()).saturating_sub(before).as_secs_f64() / STEADY.as_secs_f64();
    let resident = resident(program.id());
    let (half, most, last) = (quantile(0.5), quantile(0.99), latencies[latencies.len() - 1]);
    let figures = format!(
        "{what}: known after {known:?}; a change reaches {STREAMS} streams: half within {half:?}, 99 % within {most:?}, all within \
         {last:?}; resident {resident} MiB; steady {:.2} % of a core\n",
        steady * 100.0
    );
    io::stdout().write_all(figures.as_bytes()).unwrap();
    assert!(most < Duration::from_millis(500), "{most:?}");
    assert!(resident < 300, "{resident} MiB");
    assert!(steady < 0.02, "{steady}");
}

fn endpoints(service: usize, version: usize) -> Vec<String> {
    let (high, low) = (service / 250, service % 250);
    (0..ENDPOINTS)
        .map(|number| format!("10.{}.{low}.{}", 100 + high, number * 20 + version % 20 + 1))
        .collect()
}

/// MiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

/// Of user and system, in ticks of 10 ms.
fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
