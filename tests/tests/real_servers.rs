//! Servers that speak no HTTP, as distributions ship them, with their own clients: the mesh is not noticed.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::again;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::counts::shares;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

const REDIS: u16 = 6379;
const MARIADB: u16 = 3306;

/// From start to listening, with room for a busy machine.
const START: Duration = Duration::from_secs(30);
/// What the mesh may add to the first byte; it adds a fraction of a millisecond.
const ADDED: Duration = Duration::from_millis(5);
/// Connections to Redis that are open together, and a third of them.
const OPEN: usize = 60;
const THIRD: std::ops::Range<f64> = 0.25..0.42;

/// A pod with a Redis that keeps nothing.
fn redis(cluster: &Cluster, role: &str) -> Result<Pod> {
    let pod = cluster.pod(role)?;
    let mut command = pod.command("redis-server");
    command.args([
        "--port",
        &REDIS.to_string(),
        "--bind",
        "*",
        "-::*",
        "--protected-mode",
        "no",
    ]);
    command.args(["--save", "", "--appendonly", "no"]);
    pod.spawn(command)?
        .wait_for_line("Ready to accept connections", START)?;
    Ok(pod)
}

/// A pod with a MariaDB in which `app` may do everything.
fn mariadb(cluster: &Cluster) -> Result<Pod> {
    let pod = cluster.pod("mariadb")?;
    let folder = pod.folder()?;
    let data = format!("--datadir={}", folder.join("data").display());
    // What a database of a few seconds has no use for.
    let small = [
        "--innodb-log-file-size=4M",
        "--skip-log-bin",
        "--innodb-flush-log-at-trx-commit=0",
    ];
    let mut install = vec![
        "mariadb-install-db",
        "--no-defaults",
        "--user=root",
        "--skip-test-db",
        &data,
    ];
    install.extend(small);
    pod.exec(&install)?;
    let grant = folder.join("grant.sql");
    std::fs::write(&grant, "GRANT ALL ON *.* TO app@'%' IDENTIFIED BY 'secret';\n")?;
    let mut command = pod.command("mariadbd");
    command.args(["--no-defaults", "--user=root", &data]).args(small);
    command.args(["--bind-address=*", "--skip-name-resolve", &format!("--port={MARIADB}")]);
    command.arg(format!("--socket={}", folder.join("socket").display()));
    command.arg(format!("--pid-file={}", folder.join("pid").display()));
    command.arg(format!("--init-file={}", grant.display()));
    pod.spawn(command)?.wait_for_line("ready for connections", START)?;
    Ok(pod)
}

/// One service for each family in front of these pods, exposed, and the document with both.
fn services(cluster: &Cluster, port: u16, pods: &[Pod]) -> Result<([Service; 2], Document)> {
    let service = |family: Family, name| {
        let endpoints = pods.iter().map(|pod| pod.at(family, port));
        Service::new(name, family.vip(30)).with(Port::new(port, endpoints))
    };
    let services = [service(Family::V4, "store"), service(Family::V6, "store6")];
    for service in &services {
        cluster.expose(service)?;
    }
    let document = Document::of(&[&services[0], &services[1]]);
    Ok((services, document))
}

fn detected(mesh: &Mesh, verdict: &str, connections: usize) -> Result<()> {
    let detections = mesh.metrics()?;
    let of = |result| detections.value("evenkeel_detections_total", &[("result", result)]);
    let all = detections.value("evenkeel_detections_total", &[]);
    ensure!(
        of(verdict) as usize == connections && all as usize == connections,
        "{} of {all} were {verdict}, not {connections}",
        of(verdict)
    );
    Ok(())
}

#[test]
fn redis_commands_work_and_its_connections_go_to_all_replicas() -> Result<()> {
    let cluster = Cluster::new()?;
    let replicas = ["r1", "r2", "r3"].map(|role| redis(&cluster, role));
    let replicas = replicas.into_iter().collect::<Result<Vec<_>>>()?;
    let client = cluster.pod("client")?;
    let (services, document) = services(&cluster, REDIS, &replicas)?;
    let mesh = client.mesh(&document)?;
    let mut connections = 0;
    for service in &services {
        let host = service.vip().to_string();
        let line = ["redis-cli", "-h", &host, "-p", &REDIS.to_string()];
        let said = client.exec_with_input(&line, "SET key value\nAPPEND key s\nGET key\n")?;
        assert_eq!(said, "OK\n6\nvalues\n");

        let open = (0..OPEN)
            .map(|_| ping(&client, service.at(REDIS)))
            .collect::<Result<Vec<_>>>()?;
        let clients = replicas.iter().map(connected).collect::<Result<Vec<_>>>()?;
        assert_eq!(clients.iter().sum::<u64>(), OPEN as u64);
        let shares = shares(&clients);
        assert!(shares.iter().all(|share| THIRD.contains(share)), "{shares:?}");
        connections += 1 + OPEN;
        drop(open);
        // The next family counts from zero.
        for replica in &replicas {
            evenkeel_tests::wait::until(START, || (connected(replica).ok()? == 0).then_some(()))?;
        }
    }
    detected(&mesh, "opaque", connections)?;
    Ok(())
}

/// A connection that has been answered once.
fn ping(from: &Pod, to: SocketAddr) -> Result<TcpStream> {
    let mut stream = from.connect(to)?;
    stream.write_all(b"*1\r\n$4\r\nPING\r\n")?;
    let mut pong = [0; 7];
    stream.read_exact(&mut pong)?;
    assert_eq!(&pong, b"+PONG\r\n");
    Ok(stream)
}

/// Connections to this Redis beside the one that asks.
fn connected(replica: &Pod) -> Result<u64> {
    let said = replica.exec(&["redis-cli", "-p", &REDIS.to_string(), "INFO", "clients"])?;
    let clients = said.lines().find_map(|line| line.strip_prefix("connected_clients:"));
    let clients: u64 = clients.unwrap_or_default().trim().parse()?;
    Ok(clients - 1)
}

#[test]
fn mariadb_is_heard_at_once_and_its_client_works() -> Result<()> {
    let cluster = Cluster::new()?;
    let replicas = [mariadb(&cluster)?];
    let (client, plain) = (cluster.pod("client")?, cluster.pod("plain")?);
    let (services, document) = services(&cluster, MARIADB, &replicas)?;
    let mesh = client.mesh(&document)?;
    let mut connections = 0;
    for (number, service) in services.iter().enumerate() {
        assert_eq!(sql(&client, service, &format!("CREATE DATABASE d{number}"))?, "");
        let story = format!("USE d{number}; CREATE TABLE t (a INT); INSERT t VALUES (6), (7); SELECT SUM(a) FROM t");
        assert_eq!(sql(&client, service, &story)?, "13\n");
        connections += 2;

        let measure = || {
            connections += GREETINGS;
            Ok((first_byte(&plain, service)?, first_byte(&client, service)?))
        };
        let (without, with) = again::until_good(measure, |(without, with)| *with < *without + ADDED)?;
        assert!(
            with < without + ADDED,
            "the first byte after {with:?}, without the mesh after {without:?}"
        );
    }
    detected(&mesh, "server_first", connections)?;
    Ok(())
}

fn sql(from: &Pod, service: &Service, statements: &str) -> Result<String> {
    let host = format!("--host={}", service.vip());
    let line = [
        "mariadb",
        "--no-defaults",
        &host,
        "--user=app",
        "--password=secret",
        "--batch",
        "-N",
        "-e",
        statements,
    ];
    from.exec(&line)
}

/// An odd number, so that there is a median.
const GREETINGS: usize = 51;

/// From the beginning of a connection to the server's first byte, the median.
fn first_byte(from: &Pod, service: &Service) -> Result<Duration> {
    let to = service.at(MARIADB);
    let greeting = || -> Result<Duration> {
        let began = Instant::now();
        TcpStream::connect(to)?.read_exact(&mut [0])?;
        Ok(began.elapsed())
    };
    let all = from.enter(|| (0..GREETINGS).map(|_| greeting()).collect::<Result<Vec<_>>>())?;
    let mut all = all?;
    all.sort_unstable();
    Ok(all[GREETINGS / 2])
}
