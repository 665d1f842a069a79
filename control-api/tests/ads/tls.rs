//! TLS, and certificates that change.

use crate::server::Knows;
use crate::server::Server;
use crate::server_status;
use crate::until;
use evenkeel_control_api::ads::Client;
use evenkeel_control_api::ads::Options;
use evenkeel_control_api::ads::bootstrap::Bootstrap;
use evenkeel_control_api::resource::Kind;
use std::path::Path;
use std::path::PathBuf;
use tokio::net::TcpListener;
use tonic::transport::Certificate;
use tonic::transport::Identity;
use tonic::transport::ServerTlsConfig;

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ads/certificates")
        .join(name)
}

fn text(name: &str) -> Vec<u8> {
    std::fs::read(certificate(name)).unwrap()
}

/// A server that asks its clients who they are.
async fn server() -> Server {
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(text("server.pem"), text("server.key")))
        .client_ca_root(Certificate::from_pem(text("authority.pem")));
    Server::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), Knows::Both, Some(tls))
}

fn client(server: &Server, authorities: &Path) -> Client {
    let (certificates, key) = (certificate("client.pem"), certificate("client.key"));
    let [authorities, certificates, key] = [authorities, &certificates, &key].map(Path::display);
    let document = format!(
        r#"{{"xds_servers": [{{"server_uri": "dns:///localhost:{}", "channel_creds": [{{"type": "tls", "config": {{
            "ca_certificate_file": "{authorities}", "certificate_file": "{certificates}", "private_key_file": "{key}",
            "refresh_interval": "600s"}}}}]}}], "node": {{"id": "test"}}}}"#,
        server.address.port()
    );
    Client::start(Bootstrap::parse(&document).unwrap().0, Options::default())
}

#[tokio::test]
async fn both_sides_know_each_other() {
    let mut server = server().await;
    let _client = client(&server, &certificate("authority.pem"));
    server.delta().await.hear(Kind::Cluster).await;
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted_until_the_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let authorities = folder.path().join("authorities.pem");
    std::fs::copy(certificate("other-authority.pem"), &authorities).unwrap();
    let mut server = server().await;
    let client = client(&server, &authorities);
    until("it is refused", || server_status(&client, 0).failures > 0).await;
    let end = server_status(&client, 0).last_end.expect("an end");
    assert!(end.reason.contains("certificate"), "{end:?}");
    assert_eq!(server_status(&client, 0).streams, 0);
    std::fs::copy(certificate("authority.pem"), &authorities).unwrap();
    server.delta().await.hear(Kind::Cluster).await;
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let server = server().await;
    let client = client(&server, Path::new("/nowhere/authorities.pem"));
    until("it fails", || server_status(&client, 0).failures > 0).await;
    let end = server_status(&client, 0).last_end.expect("an end");
    assert!(end.reason.starts_with("/nowhere/authorities.pem: "), "{end:?}");
}
