//! The ADS client against servers that are scripted, over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod before;
mod credentials;
mod csds;
mod hostile;
#[path = "../recorded/mod.rs"]
mod recorded;
mod resources;
mod server;
mod servers;
mod streams;
mod tls;

use evenkeel_control_api::ads::Client;
use evenkeel_control_api::ads::Options;
use evenkeel_control_api::ads::ServerStatus;
use evenkeel_control_api::ads::bootstrap::Bootstrap;
use evenkeel_control_api::resource::Kind;
use server::DeltaTalk;
use std::fmt::Display;
use std::time::Duration;

/// A client of these servers, in plaintext.
fn client(servers: &[&dyn Display], options: Options) -> Client {
    let credentials = r#"[{"type": "insecure"}]"#;
    let servers: Vec<_> = servers
        .iter()
        .map(|uri| format!(r#"{{"server_uri": "{uri}", "channel_creds": {credentials}}}"#))
        .collect();
    let text = format!(
        r#"{{"xds_servers": [{}], "node": {{"id": "test", "metadata": {{"NAMESPACE": "shop"}}}}}}"#,
        servers.join(",")
    );
    let (bootstrap, notes) = Bootstrap::parse(&text).unwrap();
    assert_eq!(notes, []);
    Client::start(bootstrap, options)
}

/// Between two looks at a fact: whoever makes it has the processor meanwhile.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits for a fact. What is waited for comes by itself, or the test has failed.
async fn until(what: &str, fact: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !fact() {
            tokio::time::sleep(PAUSE).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

fn server_status(client: &Client, index: usize) -> ServerStatus {
    client.status().servers().swap_remove(index)
}

/// Serves one cluster with its endpoint and a listener that leads there, up to where all of it is acknowledged.
async fn serve_web(talk: &mut DeltaTalk, port: u16) {
    talk.hear(Kind::Cluster).await;
    talk.say(Kind::Cluster, vec![("web", resources::cluster("web", "web"))], &[])
        .await;
    assert_eq!(talk.hear(Kind::Assignment).await.resource_names_subscribe, ["web"]);
    talk.hear(Kind::Cluster).await;
    talk.say(Kind::Assignment, vec![("web", resources::assignment("web", port))], &[])
        .await;
    talk.hear(Kind::Listener).await;
    talk.hear(Kind::Assignment).await;
    talk.say(Kind::Listener, vec![("l", resources::tcp_listener("l", "web"))], &[])
        .await;
    talk.hear(Kind::Listener).await;
}
