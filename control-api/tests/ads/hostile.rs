//! Servers that send what no server should.

use crate::client;
use crate::resources::assignment;
use crate::resources::cluster;
use crate::serve_web;
use crate::server::Server;
use crate::server_status;
use crate::until;
use envoy_types::pb::google::protobuf::Any;
use evenkeel_control_api::ads::Options;
use evenkeel_control_api::resource::Kind;
use std::net::SocketAddr;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Serves raw bytes to everybody, each time.
async fn bytes(what: &'static [u8], tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.write_all(what).await;
        }
    });
    address
}

/// Passes on what a server says, and on the first connection no more than so many bytes of it.
async fn cut_once(server: SocketAddr, after: u64, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let mut limit = after;
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(server).await.unwrap();
            let allowed = std::mem::replace(&mut limit, u64::MAX);
            tokio::spawn(async move {
                let ((mut from_near, mut to_near), (from_far, mut to_far)) = (near.into_split(), far.into_split());
                let mut cut = from_far.take(allowed);
                tokio::select! {
                    _ = tokio::io::copy(&mut from_near, &mut to_far) => {}
                    _ = tokio::io::copy(&mut cut, &mut to_near) => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn garbage_is_a_failure_and_the_next_server_is_used() {
    let mut tasks = JoinSet::new();
    let text = bytes(b"SSH-2.0-OpenSSH_9.7\r\n", &mut tasks).await;
    // A frame header of HTTP/2 that promises 16 MiB, and half of a SETTINGS frame.
    let frame = bytes(b"\xff\xff\xff\x04\x00\x00\x00\x00\x00\x00\x01", &mut tasks).await;
    let mut server = Server::start().await;
    let client = client(&[&text, &frame, &server.address], Options::default());
    let mut talk = server.delta().await;
    talk.hear(Kind::Cluster).await;
    for index in [0, 1] {
        assert!(
            server_status(&client, index).failures > 0,
            "{:?}",
            server_status(&client, index)
        );
    }
}

#[tokio::test]
async fn half_a_message_is_none_and_comes_whole_on_the_next_stream() {
    let mut tasks = JoinSet::new();
    let mut server = Server::start().await;
    let address = cut_once(server.address, 4000, &mut tasks).await;
    let client = client(&[&address], Options::default());
    let many: Vec<_> = (0..500).map(|number| format!("c{number}")).collect();
    for _ in 0..2 {
        let mut talk = server.delta().await;
        talk.hear(Kind::Cluster).await;
        let clusters = many.iter().map(|name| (name.as_str(), cluster(name, name))).collect();
        talk.say(Kind::Cluster, clusters, &[]).await;
        // The first time this ends with the connection.
        while let Ok(Some(_)) = talk.heard().await {
            if client.status().kinds()[0].accepted > 0 {
                break;
            }
        }
    }
    assert_eq!(client.status().kinds()[0].accepted, 500);
    assert_eq!(server_status(&client, 0).responses, 1);
}

#[tokio::test]
async fn a_message_of_a_hundred_megabytes_is_refused_by_name_and_the_stream_goes_on() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let mut talk = server.delta().await;
    talk.hear(Kind::Cluster).await;
    let huge = Any {
        type_url: Kind::Cluster.type_url(),
        value: vec![0; 100 << 20],
    };
    talk.say(Kind::Cluster, vec![("huge", huge), ("web", cluster("web", "web"))], &[])
        .await;
    assert_eq!(talk.hear(Kind::Assignment).await.resource_names_subscribe, ["web"]);
    let detail = talk.hear(Kind::Cluster).await.error_detail.expect("a refusal");
    assert_eq!(
        detail.message,
        "1 resource refused: huge: is 104857600 bytes long, which is more than 16777216"
    );
    assert_eq!(server_status(&client, 0).streams, 1);
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_stream_and_nothing_else() {
    let mut server = Server::start().await;
    let options = Options {
        most_message_bytes: 10_000,
        ..Options::default()
    };
    let client = client(&[&server.address], options);
    let mut talk = server.delta().await;
    serve_web(&mut talk, 80).await;
    client.changed().await;
    let long = Any {
        type_url: Kind::Cluster.type_url(),
        value: vec![0; 20_000],
    };
    talk.say(Kind::Cluster, vec![("long", long)], &[]).await;
    let mut talk = server.delta().await;
    assert_eq!(talk.hear(Kind::Cluster).await.initial_resource_versions["web"], "1");
    let end = server_status(&client, 0).last_end.expect("an end");
    assert!(end.reason.contains("too large"), "{end:?}");
    assert!(client.status().entry(Kind::Cluster, "web").is_some());
}

#[tokio::test]
async fn types_nonces_and_names_that_are_wrong_are_answered_and_change_nothing() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let mut talk = server.delta().await;
    serve_web(&mut talk, 80).await;
    client.changed().await;

    talk.say_raw("type.googleapis.com/envoy.unknown.v9.Thing", "x1", vec![], &["web"])
        .await;
    let answer = talk.hear_any().await;
    assert_eq!(answer.type_url, "type.googleapis.com/envoy.unknown.v9.Thing");
    assert_eq!(answer.response_nonce, "x1");
    assert!(answer.error_detail.is_some());

    // A resource of another type inside, under a nonce that was used before.
    talk.say_raw(
        &Kind::Cluster.type_url(),
        "n1",
        vec![("web", assignment("web", 80))],
        &[],
    )
    .await;
    let answer = talk.hear(Kind::Cluster).await;
    assert_eq!(answer.response_nonce, "n1");
    assert!(answer.error_detail.is_some());

    let twice = vec![("web", cluster("web", "a")), ("web", cluster("web", "b"))];
    talk.say(Kind::Cluster, twice, &[]).await;
    let detail = talk.hear(Kind::Cluster).await.error_detail.expect("a refusal");
    assert_eq!(
        detail.message,
        "2 resources refused: web: is there twice; web: is there twice"
    );

    let misnamed = vec![("web", cluster("other", "web"))];
    talk.say(Kind::Cluster, misnamed, &[]).await;
    let detail = talk.hear(Kind::Cluster).await.error_detail.expect("a refusal");
    assert_eq!(detail.message, "1 resource refused: web: is called \"other\" inside");

    // Without a nonce there is nothing to answer with; what it says holds.
    talk.say_raw(
        &Kind::Assignment.type_url(),
        "",
        vec![("web", assignment("web", 81))],
        &[],
    )
    .await;
    let change = client.changed().await;
    assert_eq!(change.update.set.len(), 1);
    assert_eq!(server_status(&client, 0).streams, 1);
    until("all responses are counted", || server_status(&client, 0).responses == 8).await;
}
