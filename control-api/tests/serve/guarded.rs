//! Who is let in: TLS that is real, and credentials that a hook of the test looks into.

use crate::support::{Delta, World, document, node, soon};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient as Ads;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::serve::{Denial, Denied, Guard, Peer, Status};
use rustls::ServerConfig;
use rustls::crypto::ring;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};

/// More than may be in a handshake at once.
const STALLED: usize = 1_000;

/// A certificate of its own authority, for `localhost`, and the same as PEM.
fn tls() -> (Arc<ServerConfig>, String) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = own.signing_key.serialize_der().try_into().unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (Arc::new(config), own.cert.pem())
}

fn peer(pod: &str) -> Peer {
    Peer {
        namespace: "shop".to_owned(),
        pod: pod.to_owned(),
        uid: "1".to_owned(),
        service_account: "web".to_owned(),
    }
}

/// `Bearer pod NAME` is the pod of that name; the others say how they are refused.
async fn world() -> (World, String) {
    let (tls, authority) = tls();
    let guard = Guard::new(tls, |headers| async move {
        let Some(token) = headers.get("authorization").and_then(|value| value.to_str().ok()) else {
            return Err(Denied::Missing("no token".to_owned()));
        };
        match token.strip_prefix("Bearer ").and_then(|token| token.split_once(' ')) {
            Some(("pod", name)) => Ok(peer(name)),
            Some(("away", _)) => Err(Denied::Unavailable("nobody to ask".to_owned())),
            _ => Err(Denied::Invalid("a bad token".to_owned())),
        }
    });
    (World::guarded(&document(1, "10.9.0.1:80"), guard).await, authority)
}

async fn connect(world: &World, authority: &str) -> Channel {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authority))
        .domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", world.address)).unwrap();
    soon(endpoint.tls_config(tls).unwrap().connect()).await.unwrap()
}

/// Asks as this node with this token, and says how that ends; `Ok`: there is an answer.
async fn ask(channel: Channel, id: &str, token: Option<&str>) -> Result<usize, Code> {
    let (requests, stream) = tokio::sync::mpsc::unbounded_channel();
    let first = DeltaDiscoveryRequest {
        node: Some(Node {
            id: id.to_owned(),
            ..node()
        }),
        type_url: Kind::Cluster.type_url(),
        ..DeltaDiscoveryRequest::default()
    };
    requests.send(first).unwrap();
    let mut request = Request::new(UnboundedReceiverStream::new(stream));
    if let Some(token) = token {
        let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let answered = async {
        let mut responses = Ads::new(channel)
            .delta_aggregated_resources(request)
            .await?
            .into_inner();
        responses.message().await
    };
    let answer = soon(answered).await.map_err(|status| status.code())?;
    Ok(answer.expect("an answer").resources.len())
}

fn denied(status: &Status, denial: Denial) -> u64 {
    status.denials[denial as usize]
}

#[tokio::test]
async fn a_pod_gets_what_is_meant_for_it_and_nobody_else_does() {
    let (world, authority) = world().await;
    let channel = connect(&world, &authority).await;
    let ask = |id, token| ask(channel.clone(), id, token);
    assert_eq!(ask("web.shop", Some("pod web")).await, Ok(3));
    assert_eq!(ask("web.shop", None).await, Err(Code::Unauthenticated));
    assert_eq!(ask("web.shop", Some("bad")).await, Err(Code::Unauthenticated));
    assert_eq!(ask("web.shop", Some("away now")).await, Err(Code::Unavailable));
    for other in ["web.bank", "db.shop", "web", "web.shop.svc", "a"] {
        assert_eq!(
            ask(other, Some("pod web")).await,
            Err(Code::PermissionDenied),
            "{other}"
        );
    }
    let status = world.server.status();
    let counts = Denial::ALL.map(|denial| denied(&status, denial));
    assert_eq!(counts, [0, 0, 1, 1, 5, 1]);
}

#[tokio::test]
async fn plaintext_and_garbage_end_with_their_connection() {
    let (world, authority) = world().await;
    let endpoint = Endpoint::from_shared(format!("http://{}", world.address)).unwrap();
    if let Ok(channel) = endpoint.connect().await {
        assert!(ask(channel, "web.shop", Some("pod web")).await.is_err());
    }
    world.until(|status| denied(status, Denial::Handshake) == 1).await;
    let channel = connect(&world, &authority).await;
    assert_eq!(ask(channel, "web.shop", Some("pod web")).await, Ok(3));
}

#[tokio::test]
async fn clients_that_stall_in_the_handshake_keep_nobody_out() {
    let (world, authority) = world().await;
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(TcpStream::connect(world.address).await.unwrap());
    }
    let channel = connect(&world, &authority).await;
    assert_eq!(ask(channel, "web.shop", Some("pod web")).await, Ok(3));
    // All of them get their end, without a byte.
    for mut stream in stalled {
        let read = soon(stream.read(&mut [0; 1])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    world
        .until(|status| denied(status, Denial::Handshake) == STALLED as u64)
        .await;
}

#[tokio::test]
async fn the_end_waits_for_no_handshake() {
    let (mut world, _) = world().await;
    let _stalled = TcpStream::connect(world.address).await.unwrap();
    let begun = std::time::Instant::now();
    world.end();
    soon(&mut world.task).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_door_without_a_guard_asks_nobody() {
    let world = World::begin(&document(1, "10.9.0.1:80")).await;
    let mut client = Delta::open(world.connect().await).await;
    client.subscribe(Kind::Cluster, &[]);
    assert_eq!(client.next().await.resources.len(), 3);
    assert_eq!(world.server.status().denials, [0; 6]);
}
