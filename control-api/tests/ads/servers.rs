//! Which server is turned to, and when.

use crate::client;
use crate::serve_web;
use crate::server::Knows;
use crate::server::Server;
use crate::server_status;
use crate::until;
use evenkeel_control_api::ads::Connection;
use evenkeel_control_api::ads::Options;
use evenkeel_control_api::resource::Kind;
use std::time::Duration;
use std::time::Instant;
use tokio::net::TcpSocket;
use tonic::Status;

/// Bound to an address where nobody listens yet, and that nobody else gets.
fn nobody() -> TcpSocket {
    let bound = TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    bound
}

#[tokio::test]
async fn the_next_server_is_used_until_the_first_can_be_reached() {
    let later = nobody();
    let first = later.local_addr().unwrap();
    let mut second = Server::start().await;
    let client = client(&[&first, &second.address], Options::default());
    let mut talk = second.delta().await;
    serve_web(&mut talk, 80).await;
    assert_eq!(client.changed().await.update.set.len(), 3);
    assert!(server_status(&client, 0).failures > 0);
    assert!(server_status(&client, 0).last_end.is_some());

    let mut first = Server::serve(later.listen(1024).unwrap(), Knows::Both, None);
    let mut talk = first.delta().await;
    // The other server's versions say nothing to this one: it is told names, so that it can say what is gone.
    let request = talk.hear(Kind::Cluster).await;
    assert_eq!(request.initial_resource_versions["web"], "");
    assert_eq!(server_status(&client, 1).connection, Connection::Idle);
    talk.say(Kind::Cluster, vec![], &["web"]).await;
    talk.hear(Kind::Assignment).await;
    talk.hear(Kind::Listener).await;
    talk.say(Kind::Listener, vec![], &["l"]).await;
    assert_eq!(client.changed().await.update.removed.len(), 3);
}

#[tokio::test]
async fn a_server_that_answers_once_and_dies_is_not_hammered() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let mut ended = None;
    for _ in 0..3 {
        let mut talk = server.delta().await;
        if let Some(ended) = ended {
            let pause = Instant::now().duration_since(ended);
            assert!(pause >= Duration::from_millis(500), "{pause:?}");
        }
        talk.hear(Kind::Cluster).await;
        let before = server_status(&client, 0).responses;
        talk.say(Kind::Cluster, vec![], &[]).await;
        until("the response is there", || server_status(&client, 0).responses > before).await;
        ended = Some(Instant::now());
        talk.fail(Status::unavailable("dying")).await;
    }
    // It has answered each time: it was never out of reach.
    assert_eq!(server_status(&client, 0).failures, 0);
}

#[tokio::test]
async fn a_server_that_never_answers_is_asked_less_and_less() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    for failures in 1..4 {
        server.delta().await.fail(Status::internal("no")).await;
        until("the failure is seen", || server_status(&client, 0).failures == failures).await;
    }
    let end = server_status(&client, 0).last_end.expect("an end");
    assert!(end.reason.contains("no"), "{end:?}");
}
