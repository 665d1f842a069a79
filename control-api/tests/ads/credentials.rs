//! What a client shows, to a server that asks for it: the server kit, over TLS.

use crate::server_status;
use crate::until;
use evenkeel_control_api::ads::Client;
use evenkeel_control_api::ads::Options;
use evenkeel_control_api::ads::bootstrap::Authorities;
use evenkeel_control_api::ads::bootstrap::Bootstrap;
use evenkeel_control_api::ads::bootstrap::Node;
use evenkeel_control_api::ads::bootstrap::Server;
use evenkeel_control_api::mesh;
use evenkeel_control_api::serve;
use evenkeel_control_api::serve::Denied;
use evenkeel_control_api::serve::Guard;
use evenkeel_control_api::serve::Peer;
use evenkeel_control_api::serve::View;
use http::HeaderValue;
use rustls::ServerConfig;
use rustls::crypto::ring;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A control plane that knows one token, and its authority in PEM.
struct World {
    uri: String,
    authority: String,
    _task: JoinSet<()>,
}

impl World {
    async fn begin(name: &str) -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned(), name.to_owned()]).unwrap();
        let key = own.signing_key.serialize_der().try_into().unwrap();
        let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let guard = Guard::new(Arc::new(tls), |headers| async move {
            match headers.get("authorization").map(HeaderValue::as_bytes) {
                Some(b"Bearer good") => Ok(Peer {
                    namespace: "shop".to_owned(),
                    pod: "web".to_owned(),
                    uid: "1".to_owned(),
                    service_account: "web".to_owned(),
                }),
                Some(_) => Err(Denied::Invalid("this token is not good".to_owned())),
                None => Err(Denied::Missing("there is no token".to_owned())),
            }
        });
        let document = mesh::parse("").unwrap();
        let view = View::default().with(&mesh::translate(&document)).unwrap();
        let views = watch::Sender::new(Arc::new(view));
        let server = serve::Server::new(move |_, _| Ok(views.subscribe()));
        let listener = TcpListener::bind(format!("{name}:0")).await.unwrap();
        let uri = listener.local_addr().unwrap().to_string();
        let mut task = JoinSet::new();
        task.spawn(async move { server.serve_guarded(listener, guard, std::future::pending()).await });
        Self {
            uri,
            authority: own.cert.pem(),
            _task: task,
        }
    }

    fn client(&self, id: &str, token: Option<&Path>) -> Client {
        let authorities = Authorities::Text(self.authority.clone());
        let server = Server::secure(&self.uri, authorities, token.map(Path::to_owned)).unwrap();
        let node = Node {
            id: id.to_owned(),
            ..Node::default()
        };
        let servers = vec![server];
        Client::start(Bootstrap { servers, node }, Options::default())
    }
}

async fn failed(client: &Client, words: &str) {
    let says = || {
        let end = server_status(client, 0).last_end;
        end.is_some_and(|end| end.reason.contains(words))
    };
    until(words, says).await;
    assert!(server_status(client, 0).failures > 0);
}

#[tokio::test]
async fn the_token_of_the_moment_is_shown_over_both_families() {
    for address in ["127.0.0.1", "::1"] {
        let world = World::begin(address).await;
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let client = world.client("web.shop", Some(&token));
        failed(&client, &format!("{}: No such file", token.display())).await;
        std::fs::write(&token, "\n").unwrap();
        failed(&client, "is empty, and should hold a token").await;
        std::fs::write(&token, "good\u{1}").unwrap();
        failed(&client, "holds what cannot be in a token").await;
        std::fs::write(&token, "old\n").unwrap();
        failed(&client, "this token is not good").await;
        std::fs::write(&token, "good\n").unwrap();
        let mut ready = client.ready();
        ready.wait_for(|ready| *ready).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_not_served_says_why_and_tries_again() {
    let world = World::begin("127.0.0.1").await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "good").unwrap();
    failed(&world.client("web.shop", None), "there is no token").await;
    let other = world.client("db.shop", Some(&token));
    failed(&other, "the node says that it is \"db.shop\"").await;
    until("it tries again", || server_status(&other, 0).failures > 1).await;
}

#[tokio::test]
async fn a_server_of_another_name_or_authority_gets_no_token() {
    let (world, other) = (World::begin("127.0.0.1").await, World::begin("127.0.0.1").await);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "good").unwrap();
    let confused = World {
        authority: other.authority.clone(),
        ..world
    };
    failed(&confused.client("web.shop", Some(&token)), "certificate").await;
    let elsewhere = other.uri.replace("127.0.0.1", "127.0.0.2");
    let listener = TcpListener::bind(&elsewhere).await.unwrap();
    let mut relays = JoinSet::new();
    let target = other.uri.clone();
    relays.spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = tokio::net::TcpStream::connect(&target).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
        }
    });
    let misled = World {
        uri: elsewhere,
        ..other
    };
    failed(&misled.client("web.shop", Some(&token)), "certificate").await;
}
