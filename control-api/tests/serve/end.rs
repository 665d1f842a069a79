//! How a server ends.

use crate::support::{World, document, soon};
use evenkeel_control_api::resource::Kind;
use tonic::Code;

#[tokio::test]
async fn streams_end_with_unavailable_and_the_server_when_they_have() {
    let mut world = World::begin(&document(3, "10.9.0.1:80")).await;
    let (mut client, mut silent) = (world.delta().await, world.delta().await);
    client.subscribe(Kind::Cluster, &[]);
    client.next().await;
    world.end();
    for stream in [&mut client, &mut silent] {
        let status = soon(stream.responses.message()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
    soon(&mut world.task).await.unwrap();
    assert_eq!(world.server.status().streams, 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_keep_the_server() {
    let mut world = World::begin(&document(1_000, "10.9.0.1:80")).await;
    let mut client = world.delta().await;
    client.subscribe(Kind::Listener, &[]);
    world
        .until(|status| status.kinds[Kind::Listener as usize].pushes == 1)
        .await;
    world.end();
    soon(&mut world.task).await.unwrap();
}

#[tokio::test]
async fn a_client_that_ends_its_requests_ends_the_stream() {
    let world = World::begin("").await;
    let mut client = world.delta().await;
    client.subscribe(Kind::Cluster, &[]);
    client.next().await;
    drop(client.requests);
    assert!(soon(client.responses.message()).await.unwrap().is_none());
    world.until(|status| status.streams == 0).await;
}
