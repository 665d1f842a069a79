//! What one client is told.

use crate::support::{Delta, Sotw, World, document, names, node, soon};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::google::rpc::Status as Detail;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::serve::{Refusal, View};
use std::collections::BTreeSet;
use std::sync::Arc;
use tonic::Code;

#[tokio::test]
async fn a_delta_client_gets_everything_once_and_then_what_changes() {
    let world = World::begin(&document(3, "10.9.0.1:80")).await;
    let mut client = world.delta().await;
    client.subscribe(Kind::Cluster, &[]);
    let clusters = client.next().await;
    assert_eq!(clusters.resources.len(), 5, "three services, passthrough and inbound");
    client.subscribe(
        Kind::Assignment,
        &["outbound|80||s0", "outbound|80||s1", "outbound|80||s2"],
    );
    assert_eq!(client.next().await.resources.len(), 3);
    client.subscribe(Kind::Listener, &[]);
    let listeners = client.next().await;
    let expected = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "inbound", "outbound"];
    assert_eq!(names(&listeners), BTreeSet::from(expected));

    let changed = document(3, "10.9.0.1:80").replacen("10.9.0.1:80", "10.9.0.2:80", 1);
    world.change(&changed);
    let assignments = client.next().await;
    assert_eq!(names(&assignments), BTreeSet::from(["outbound|80||s0"]));
    assert!(assignments.removed_resources.is_empty());
}

#[tokio::test]
async fn a_client_that_asks_by_address_is_answered_at_once_and_again_when_it_comes() {
    let world = World::begin(&document(2, "10.9.0.1:80")).await;
    let mut client = world.delta().await;
    client.subscribe(Kind::Listener, &["inbound", "outbound"]);
    assert_eq!(names(&client.next().await), BTreeSet::from(["inbound", "outbound"]));
    client.subscribe(Kind::Listener, &["10.0.0.1:80", "10.0.0.3:80", "[fd00::1]:80"]);
    let answer = client.next().await;
    assert_eq!(names(&answer), BTreeSet::from(["10.0.0.1:80"]));
    assert_eq!(
        answer
            .removed_resources
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        BTreeSet::from(["10.0.0.3:80", "[fd00::1]:80"])
    );
    world.change(&document(3, "10.9.0.1:80").replace("10.0.0.3", "10.0.0.3, 'fd00:0::1'"));
    assert_eq!(
        names(&client.next().await),
        BTreeSet::from(["10.0.0.3:80", "[fd00::1]:80"])
    );
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_does_not_have() {
    let world = World::begin(&document(50, "10.9.0.1:80")).await;
    let mut client = world.delta().await;
    client.subscribe(Kind::Cluster, &[]);
    let had = client.next().await;
    drop(client);
    world.change(&document(51, "10.9.0.1:80"));

    let mut client = world.delta().await;
    let versions = had
        .resources
        .into_iter()
        .map(|resource| (resource.name, resource.version));
    client.send(
        Kind::Cluster,
        DeltaDiscoveryRequest {
            initial_resource_versions: versions.collect(),
            ..DeltaDiscoveryRequest::default()
        },
    );
    assert_eq!(names(&client.next().await), BTreeSet::from(["outbound|80||s50"]));
}

#[tokio::test]
async fn the_state_of_the_world_is_whole_for_listeners_and_partial_for_assignments() {
    let world = World::begin(&document(2, "10.9.0.1:80")).await;
    let mut client = Sotw::open(world.connect().await).await;
    client.ask(Kind::Listener, &[], "");
    let listeners = client.receive().await;
    assert_eq!(listeners.resources.len(), 4);
    client.ask(Kind::Listener, &[], &listeners.nonce);
    let wanted = ["outbound|80||s0", "outbound|80||s1"];
    client.ask(Kind::Assignment, &wanted, "");
    let assignments = client.receive().await;
    assert_eq!(assignments.resources.len(), 2);
    client.ask(Kind::Assignment, &wanted, &assignments.nonce);

    world.change(&document(2, "10.9.0.1:80").replacen("10.9.0.1:80", "10.9.0.2:80", 1));
    let changed = client.receive().await;
    assert_eq!(
        (&*changed.type_url, changed.resources.len()),
        (&*Kind::Assignment.type_url(), 1)
    );
    assert_ne!(changed.version_info, assignments.version_info);
    client.ask(Kind::Assignment, &wanted, &changed.nonce);

    world.change(&document(1, "10.9.0.2:80"));
    let less = client.receive().await;
    assert_eq!(
        (&*less.type_url, less.resources.len()),
        (&*Kind::Listener.type_url(), 3)
    );
}

#[tokio::test]
async fn a_refusal_can_be_seen_until_the_node_takes_something_better() {
    let world = World::begin(&document(1, "10.9.0.1:80")).await;
    let mut client = world.delta().await;
    client.subscribe(Kind::Cluster, &[]);
    let response = client.receive().await;
    let detail = Detail {
        message: "outbound|80||s0: lb_policy: is not supported".to_owned(),
        ..Detail::default()
    };
    client.send(
        Kind::Cluster,
        DeltaDiscoveryRequest {
            response_nonce: response.nonce,
            error_detail: Some(detail),
            ..DeltaDiscoveryRequest::default()
        },
    );
    let status = world
        .until(|status| status.kinds[Kind::Cluster as usize].refused == 1)
        .await;
    let Refusal { kind, reason, .. } = &status.refusals["a"];
    assert_eq!(
        (*kind, reason.as_str()),
        (Kind::Cluster, "outbound|80||s0: lb_policy: is not supported")
    );
    world.change(&document(2, "10.9.0.1:80"));
    client.next().await;
    world.until(|status| status.refusals.is_empty()).await;
}

#[tokio::test]
async fn a_stream_without_a_node_is_refused() {
    let world = World::begin("").await;
    let nameless = Node {
        id: String::new(),
        ..node()
    };
    for said in [None, Some(nameless)] {
        let mut client = world.delta().await;
        let request = DeltaDiscoveryRequest {
            node: said,
            type_url: Kind::Cluster.type_url(),
            ..DeltaDiscoveryRequest::default()
        };
        client.requests.send(request).unwrap();
        let status = soon(client.responses.message()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    world.until(|status| status.streams == 0 && status.opened == 2).await;
}

#[tokio::test]
async fn a_type_that_is_not_served_is_counted_and_the_stream_goes_on() {
    let world = World::begin("").await;
    let mut client = world.delta().await;
    let request = DeltaDiscoveryRequest {
        node: Some(node()),
        type_url: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret".to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    client.requests.send(request).unwrap();
    client.subscribe(Kind::Cluster, &[]);
    assert_eq!(client.next().await.resources.len(), 2);
    assert_eq!(world.server.status().unserved, 1);
}

#[tokio::test]
async fn a_request_that_is_too_large_ends_its_stream_alone() {
    let world = World::begin("").await;
    let mut other = world.delta().await;
    let mut client = world.delta().await;
    client.subscribe(Kind::Listener, &["x".repeat(17 << 20).as_str()]);
    let status = soon(client.responses.message()).await.unwrap_err();
    assert!(
        [Code::OutOfRange, Code::ResourceExhausted].contains(&status.code()),
        "{status}"
    );
    other.subscribe(Kind::Cluster, &[]);
    other.next().await;
}

#[tokio::test]
async fn who_does_not_read_holds_nobody_and_then_gets_what_is_in_force() {
    let world = World::begin(&document(1_000, "10.9.0.1:80")).await;
    let (mut slow, mut quick) = (world.delta().await, world.delta().await);
    slow.subscribe(Kind::Listener, &[]);
    quick.subscribe(Kind::Listener, &[]);
    quick.next().await;
    let base: Arc<View> = Arc::clone(&world.views.borrow());
    for services in 1_001..1_021 {
        world.change(&document(services, "10.9.0.1:80"));
        assert_eq!(quick.next().await.resources.len(), 1);
    }
    assert_eq!(base.count(Kind::Listener), 1_002);
    let first = slow.next().await;
    assert_eq!(first.resources.len(), 1_002, "as it was when it asked");
    assert_eq!(slow.next().await.resources.len(), 20, "all changes at once");
}

#[tokio::test]
async fn delta_streams_of_one_connection_do_not_hold_each_other() {
    let world = World::begin(&document(1_000, "10.9.0.1:80")).await;
    let channel = world.connect().await;
    let mut idle = Delta::open(channel.clone()).await;
    idle.subscribe(Kind::Listener, &[]);
    let mut other = Delta::open(channel).await;
    other.subscribe(Kind::Cluster, &["outbound|80||s1"]);
    assert_eq!(other.next().await.resources.len(), 1);
}
