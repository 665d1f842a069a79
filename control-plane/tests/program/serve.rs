//! `serve`: a mesh document.

use crate::client::{ASSIGNMENT, CLUSTER, Client, LISTENER};
use crate::program::{self, Program, within};
use std::fs;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

const MESH: &str = "services:\n- name: web\n  vips: [10.96.0.10, 'fd00::10']\n  ports:\n  - port: 80\n    endpoints: [{address: 10.1.0.1:80}]\n";

#[tokio::test]
async fn a_file_is_served_and_so_is_every_good_change_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = folder.path().join("mesh.yaml");
    fs::write(&mesh, MESH).unwrap();
    let mut program = Program::serve(&mesh);
    let mut client = Client::connect(program.listen).await;

    client.subscribe(CLUSTER, &[]);
    assert_eq!(
        client.next().await.names(),
        ["inbound", "outbound|80||web", "passthrough"]
    );
    client.subscribe(ASSIGNMENT, &["outbound|80||web"]);
    let before = client.next().await;
    client.subscribe(LISTENER, &["10.96.0.10:80", "[fd00::10]:80", "10.96.0.11:80"]);
    let listeners = client.next().await;
    assert_eq!(listeners.names(), ["10.96.0.10:80", "[fd00::10]:80"]);
    assert_eq!(listeners.removed, ["10.96.0.11:80"]);

    fs::write(&mesh, MESH.replace("endpoints:", "endpionts:")).unwrap();
    program.log_says("a change was refused").await;
    program.log_says("mesh.yaml:6:5: ").await;
    assert!(
        program
            .metric("evenkeel_control_document_changes_total{result=\"refused\"}")
            .await
            >= 1
    );

    fs::write(&mesh, MESH.replace("10.1.0.1", "10.1.0.2")).unwrap();
    let after = client.next().await;
    assert_eq!(after.names(), ["outbound|80||web"], "nothing of the bad one was sent");
    assert_ne!(before.resources[0].version, after.resources[0].version);
    assert_eq!(program.metric("evenkeel_control_pushes_total{type=\"eds\"}").await, 2);
    assert_eq!(program.metric("evenkeel_control_streams").await, 1);
    assert_eq!(program.page("/ready").await, "ready\n");

    program.terminate();
    let end = within(client.responses.message()).await.unwrap_err();
    assert_eq!(end.code(), tonic::Code::Unavailable, "{end}");
    assert_eq!(program.exit_code().await, Some(0));
}

#[tokio::test]
async fn an_address_that_the_document_takes_from_a_name_is_the_documents() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = folder.path().join("mesh.yaml");
    fs::write(&mesh, MESH).unwrap();
    let mut program = Program::serve_with(&mesh, &["--dns", "10.96.0.40:80=localhost:8080"]);
    let mut client = Client::connect(program.listen).await;
    client.subscribe(LISTENER, &["10.96.0.40:80"]);
    let mut leads_to = async |service: &str| {
        loop {
            let answer = client.next().await;
            if answer.resources.iter().any(|listener| listener.says(service)) {
                break;
            }
        }
    };
    leads_to("localhost@10.96.0.40").await;
    // Whatever the order of their names.
    for name in ["above", "zebra"] {
        let taken = MESH.replace("web", name).replace("10.96.0.10", "10.96.0.40");
        fs::write(&mesh, taken).unwrap();
        leads_to(name).await;
        let said = program.log_says("the mesh document has taken an address").await;
        assert!(said.contains("10.96.0.40:80") && said.contains(name), "{said}");
        fs::write(&mesh, MESH).unwrap();
        leads_to("localhost@10.96.0.40").await;
        program.log_says("it is the name's again").await;
    }
}

/// As many as its pages have places.
const CONNECTIONS: usize = 64;

#[tokio::test]
async fn connections_that_ask_nothing_keep_nobody_from_the_pages() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = folder.path().join("mesh.yaml");
    fs::write(&mesh, MESH).unwrap();
    let program = Program::serve(&mesh);
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        idle.push(program.connect().await);
    }
    let began = Instant::now();
    assert_eq!(program.page("/ready").await, "ready\n");
    // By themselves they would have made room after half a minute.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(within(idle[0].read(&mut [0])).await.unwrap(), 0);
    let still = idle[1..].iter().all(|stream| stream.try_read(&mut [0]).is_err());
    assert!(still, "one was enough");
}

#[tokio::test]
async fn without_a_good_file_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = folder.path().join("mesh.yaml");
    let failed = |arguments: &[&str]| program::failed(&mesh, arguments);
    let (code, said) = failed(&[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("it cannot be read: No such file"), "{said}");
    fs::write(&mesh, "servcies: []\n").unwrap();
    let (code, said) = failed(&[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("mesh.yaml:1:1: servcies: "), "{said}");
    fs::write(&mesh, MESH).unwrap();
    let (code, said) = failed(&["--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is not loopback"), "{said}");
    assert_eq!(failed(&["--bind", "127.0.0.1:0"]).0, Some(2));
}
