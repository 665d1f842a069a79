//! What is said on a stream.

use crate::client;
use crate::resources::assignment;
use crate::resources::bad_cluster;
use crate::resources::cluster;
use crate::resources::http_listener;
use crate::resources::routes;
use crate::resources::tcp_listener;
use crate::serve_web;
use crate::server::Knows;
use crate::server::Server;
use crate::until;
use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
use evenkeel_control_api::ads::Answer;
use evenkeel_control_api::ads::Clusters;
use evenkeel_control_api::ads::Connection;
use evenkeel_control_api::ads::Listeners;
use evenkeel_control_api::ads::Mode;
use evenkeel_control_api::ads::Options;
use evenkeel_control_api::ads::State;
use evenkeel_control_api::mesh::FIELDS;
use evenkeel_control_api::resource::Kind;
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_client_says_who_it_is_once_and_becomes_ready() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let mut talk = server.delta().await;
    let first = talk.hear(Kind::Cluster).await;
    let node = first.node.expect("the first request has the node");
    assert_eq!((node.id.as_str(), node.user_agent_name.as_str()), ("test", "evenkeel"));
    let metadata = node.metadata.expect("metadata").fields;
    assert_eq!(
        metadata["NAMESPACE"].kind,
        Some(ValueKind::StringValue("shop".to_owned()))
    );
    assert_eq!(
        metadata["evenkeel.fields"].kind,
        Some(ValueKind::NumberValue(f64::from(FIELDS)))
    );
    let nonce = talk.say(Kind::Cluster, vec![], &[]).await;
    // An empty answer settles clusters, and listeners come next.
    let second = talk.hear(Kind::Listener).await;
    assert!(second.node.is_none());
    assert_eq!(talk.hear(Kind::Cluster).await.response_nonce, nonce);
    assert!(!client.status().is_ready());
    talk.say(Kind::Listener, vec![], &[]).await;
    client.ready().wait_for(|ready| *ready).await.unwrap();
    assert!(client.status().is_ready());
}

#[tokio::test]
async fn a_new_stream_says_what_is_here_and_disturbs_nothing() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let mut talk = server.delta().await;
    serve_web(&mut talk, 80).await;
    assert_eq!(client.changed().await.update.set.len(), 3);
    drop(talk);
    let mut talk = server.delta().await;
    for kind in [Kind::Cluster, Kind::Assignment, Kind::Listener] {
        let request = talk.hear(kind).await;
        let versions: Vec<_> = request.initial_resource_versions.values().collect();
        assert_eq!(versions, ["1"], "{request:?}");
    }
    // The next change is that of the new stream: the end of the old one was none.
    talk.say(Kind::Assignment, vec![("web", assignment("web", 81))], &[])
        .await;
    let change = client.changed().await;
    assert_eq!(change.update.set.len(), 1);
    assert!(change.update.removed.is_empty());
    assert_eq!(client.status().servers()[0].streams, 2);
    assert_eq!(client.status().servers()[0].failures, 0);
}

#[tokio::test]
async fn a_server_without_delta_is_asked_for_the_state_of_the_world() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = Server::serve(listener, Knows::SotwOnly, None);
    let client = client(&[&server.address], Options::default());
    let mut talk = server.sotw().await;
    assert!(talk.hear(Kind::Cluster).await.node.is_some());
    talk.say(Kind::Cluster, vec![cluster("web", "web")]).await;
    assert_eq!(talk.hear(Kind::Assignment).await.resource_names, ["web"]);
    let acknowledged = talk.hear(Kind::Cluster).await;
    assert_eq!(
        (acknowledged.version_info.as_str(), acknowledged.response_nonce.as_str()),
        ("v1", "n1")
    );
    talk.say(Kind::Assignment, vec![assignment("web", 80)]).await;
    talk.hear(Kind::Listener).await;
    assert_eq!(client.changed().await.update.set.len(), 2);
    let status = client.status().servers().swap_remove(0);
    assert!(
        matches!(status.connection, Connection::Connected { mode: Mode::Sotw, .. }),
        "{status:?}"
    );
    assert_eq!(status.failures, 0);
}

#[tokio::test]
async fn a_refused_resource_is_told_by_name_and_the_last_good_one_stays() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let mut talk = server.delta().await;
    serve_web(&mut talk, 80).await;
    client.changed().await;
    let nonce = talk.say(Kind::Cluster, vec![("web", bad_cluster("web"))], &[]).await;
    let refused = talk.hear(Kind::Cluster).await;
    assert_eq!(refused.response_nonce, nonce);
    let detail = refused.error_detail.expect("a refusal");
    assert_eq!(detail.code, 3);
    assert!(
        detail.message.starts_with("1 resource refused: web: "),
        "{}",
        detail.message
    );
    let entry = client.status().entry(Kind::Cluster, "web").expect("an entry");
    assert_eq!((entry.state(), entry.version()), (State::Nacked, "1"));
    assert!(entry.resource().is_some() && entry.refusal().is_some());
    let kinds = client.status().kinds();
    let of = |kind| kinds.iter().find(|status| status.kind == kind).expect("a status");
    assert_eq!((of(Kind::Cluster).refused, of(Kind::Cluster).accepted), (1, 1));
    assert_eq!(of(Kind::Assignment).subscribed, 1);
    assert!(of(Kind::Cluster).wildcard);
}

#[tokio::test]
async fn a_listener_goes_live_with_its_routes() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let mut talk = server.delta().await;
    serve_web(&mut talk, 80).await;
    client.changed().await;
    talk.say(Kind::Listener, vec![("h", http_listener("h", "r"))], &[])
        .await;
    assert_eq!(talk.hear(Kind::Route).await.resource_names_subscribe, ["r"]);
    talk.hear(Kind::Listener).await;
    assert_eq!(client.status().listener("h"), Answer::Pending);
    talk.say(Kind::Route, vec![("r", routes("r", "web"))], &[]).await;
    let update = client.changed().await.update;
    let names: Vec<_> = update.set.iter().map(|one| (one.kind(), one.name())).collect();
    assert_eq!(names, [(Kind::Listener, "h"), (Kind::Route, "r")]);
}

#[tokio::test]
async fn a_slow_consumer_gets_the_last_of_a_thousand_updates() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let mut talk = server.delta().await;
    serve_web(&mut talk, 80).await;
    client.changed().await;
    for port in 1..=1000 {
        talk.say(Kind::Assignment, vec![("web", assignment("web", port))], &[])
            .await;
        talk.hear(Kind::Assignment).await;
    }
    let change = client.changed().await;
    assert_eq!(change.update.set.len(), 1);
    // All of them are accepted, and nothing is left to be told.
    assert_eq!(client.status().kinds()[1].accepted, 1001);
    let last = tokio::time::timeout(Duration::ZERO, client.changed()).await;
    assert!(last.is_err(), "{last:?}");
}

#[tokio::test]
async fn a_listener_on_demand_is_found_or_does_not_exist() {
    let mut server = Server::start().await;
    let options = Options {
        listeners: Listeners::Named(vec!["inbound".to_owned()]),
        clusters: Clusters::Referenced,
        ..Options::default()
    };
    let client = client(&[&server.address], options);
    let mut talk = server.delta().await;
    assert_eq!(talk.hear(Kind::Listener).await.resource_names_subscribe, ["inbound"]);
    talk.say(Kind::Listener, vec![], &["inbound"]).await;
    talk.hear(Kind::Listener).await;
    client.ready().wait_for(|ready| *ready).await.unwrap();

    let subscriptions = client.subscriptions();
    subscriptions.want_listener("10.0.0.1:80");
    subscriptions.want_listener("10.0.0.2:80");
    let mut asked = talk.hear_any().await.resource_names_subscribe;
    if asked.len() == 1 {
        asked.extend(talk.hear_any().await.resource_names_subscribe);
    }
    assert_eq!(asked, ["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!(client.status().listener("10.0.0.1:80"), Answer::Pending);
    let found = vec![("10.0.0.1:80", tcp_listener("10.0.0.1:80", "web"))];
    talk.say(Kind::Listener, found, &["10.0.0.2:80"]).await;
    assert_eq!(client.changed().await.answers["10.0.0.2:80"], Answer::DoesNotExist);
    assert_eq!(talk.hear(Kind::Cluster).await.resource_names_subscribe, ["web"]);
    talk.hear(Kind::Listener).await;
    talk.say(Kind::Cluster, vec![("web", cluster("web", "web"))], &[]).await;
    talk.hear(Kind::Assignment).await;
    talk.say(Kind::Assignment, vec![("web", assignment("web", 80))], &[])
        .await;
    let change = client.changed().await;
    assert_eq!(change.answers["10.0.0.1:80"], Answer::Found);
    assert_eq!(change.update.set.len(), 3);

    subscriptions.forget_listener("10.0.0.1:80");
    loop {
        if talk.hear_any().await.resource_names_unsubscribe == ["10.0.0.1:80"] {
            break;
        }
    }
    let gone = || client.status().entry(Kind::Cluster, "web").is_none();
    until("what only it needed is gone", gone).await;
    assert_eq!(client.changed().await.update.removed.len(), 3);
}

#[tokio::test]
async fn a_unix_socket_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("XDS");
    let mut server = Server::unix(&path);
    let client = client(&[&format!("unix://{}", path.display())], Options::default());
    let mut talk = server.delta().await;
    serve_web(&mut talk, 80).await;
    assert_eq!(client.changed().await.update.set.len(), 3);
}
