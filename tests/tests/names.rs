//! A name as a service: `evenkeel-control serve --dns` resolves it again and again, and a proxy's requests follow.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::binaries;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::load::Load;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::process::Process;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::wait;

/// What is waited for happens sooner, also on a busy machine; names are asked for every five seconds.
const DEADLINE: Duration = Duration::from_secs(40);
const NAME: &str = "db.example.com";
/// Becomes the program where the resolver of the system reads our hosts file.
const ENTER: &str = r#"mount --bind "$HOSTS" /etc/hosts && exec "$@""#;

/// A control plane, and what it is told of the name.
struct Resolving {
    hosts: PathBuf,
    family: Family,
    control: Process,
    at: SocketAddr,
    /// It ends with its pod.
    _pod: Pod,
}

// === impl Resolving ===

impl Resolving {
    fn start(pod: Pod, family: Family, service: SocketAddr, replicas: &[&Replica]) -> Result<Self> {
        let (at, folder) = (pod.at(family, 15010), pod.folder()?);
        let (hosts, mesh) = (folder.join("hosts"), folder.join("mesh.yaml"));
        std::fs::write(&mesh, Document::of(&[]).text())?;
        let mut command = pod.command("unshare");
        command.args(["--mount", "bash", "-c", ENTER, "control"]);
        command.arg(binaries::path("evenkeel-control")?);
        let port = replicas[0].http(family).port();
        command.args(["serve", "--plaintext-beyond-loopback", "--listen", &at.to_string()]);
        command.args(["--log", "debug", "--dns", &format!("{service}={NAME}:{port}")]);
        command.arg("--mesh").arg(mesh).env("HOSTS", &hosts);
        says(&hosts, family, replicas)?;
        let control = pod.spawn(command)?;
        control.wait_for_line("serving", DEADLINE)?;
        Ok(Self {
            hosts,
            family,
            control,
            at,
            _pod: pod,
        })
    }

    /// From now on the name has these addresses.
    fn says(&self, replicas: &[&Replica]) -> Result<()> {
        says(&self.hosts, self.family, replicas)
    }
}

/// Into the same file: another one would not be seen where it is mounted.
fn says(hosts: &PathBuf, family: Family, replicas: &[&Replica]) -> Result<()> {
    let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for replica in replicas {
        writeln!(text, "{} {NAME}", replica.http(family).ip())?;
    }
    Ok(std::fs::write(hosts, text)?)
}

/// Waits until a client's requests come to exactly these replicas.
fn settles(client: &Pod, service: SocketAddr, expected: &[&str]) -> Result<()> {
    let url = format!("http://{service}/");
    wait::until(DEADLINE, || {
        let answers = (0..4 * expected.len()).map(|_| clients::curl(client, &["--fail", &url]));
        let answers: Result<Vec<_>> = answers.collect();
        let mut found: Vec<_> = answers.ok()?.iter().map(|name| name.trim_end().to_owned()).collect();
        found.sort();
        found.dedup();
        (found == expected).then_some(())
    })
}

#[test]
fn requests_follow_the_addresses_of_a_name_and_go_on_when_it_has_none() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(3)?;
        let service = SocketAddr::new(family.vip(40), 5432);
        let [one, two, three] = [&replicas[0], &replicas[1], &replicas[2]];
        let names = Resolving::start(cluster.pod("control")?, family, service, &[one])?;
        let client = cluster.pod("client")?;
        let _mesh = client.mesh(&Document::under(&format!("{{servers: [\"{}\"]}}", names.at)))?;
        settles(&client, service, &["r1"])?;
        let load = Load::start(&client, service, Spoken::Http1, 100)?;
        names.says(&[two, three])?;
        settles(&client, service, &["r2", "r3"])?;
        // What cannot be resolved any more stays as it was.
        names.says(&[])?;
        names.control.wait_for_line("a name is not resolved", DEADLINE)?;
        settles(&client, service, &["r2", "r3"])?;
        names.says(&[one])?;
        settles(&client, service, &["r1"])?;
        let outcome = load.stop()?;
        ensure!(outcome.answers.failures == 0, "{outcome:?}");
    }
    Ok(())
}
