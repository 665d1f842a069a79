//! What the pages say of a control plane: ours serves, with one cluster that cannot be used and one field without effect.

use super::House;
use super::MESH;
use super::get;
use super::until;
use crate::telemetry::tests::read;
use bytes::Bytes;
use evenkeel_control_api::ads::Client;
use evenkeel_control_api::ads::Connection;
use evenkeel_control_api::ads::Options;
use evenkeel_control_api::ads::bootstrap::Bootstrap;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::serve::Server;
use evenkeel_control_api::serve::View;
use evenkeel_control_api::xds::Packed;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::StatusCode;
use hyper::header;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

const WEB: &str = "outbound|80||web";
/// `track_timeout_budgets: true` of a cluster.
const WITHOUT_EFFECT: [u8; 3] = [0xf8, 0x02, 0x01];
/// A cluster of this name, whose `type` is one that does not exist.
const BAD: &[u8] = b"\x0a\x03bad\x10\x63";

const FETCH: &str = "/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus";
const STREAM: &str = "/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus";
/// An empty message, framed.
const ANYTHING: &[u8] = &[0, 0, 0, 0, 0];
/// A message with one empty node matcher, framed.
const ONE_NODE: &[u8] = &[0, 0, 0, 0, 2, 0x0a, 0];

/// A control plane, and a client of it that has everything.
struct Plane {
    address: SocketAddr,
    views: watch::Sender<Arc<View>>,
    client: Client,
    server: JoinSet<()>,
}

impl Plane {
    async fn open() -> Self {
        let mut messages = mesh::translate(&mesh::parse(MESH).unwrap());
        let web = messages.clusters.iter_mut().find(|packed| {
            let mut windows = packed.value.windows(WEB.len());
            windows.any(|window| window == WEB.as_bytes())
        });
        web.unwrap().value.extend(WITHOUT_EFFECT);
        messages.clusters.push(Packed {
            type_url: Kind::Cluster.type_url(),
            value: BAD.to_vec(),
        });
        let view = View::default().with(&messages).unwrap();
        let views = watch::Sender::new(Arc::new(view));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        let seen = views.clone();
        server.spawn(async move {
            let serving = Server::new(move |_, _| Ok(seen.subscribe()));
            serving.serve(listener, std::future::pending()).await;
        });
        let client = client_of(address).await;
        Self {
            address,
            views,
            client,
            server,
        }
    }
}

/// A client that has everything.
async fn client_of(address: SocketAddr) -> Client {
    let credentials = r#"[{"type": "insecure"}]"#;
    let text = format!(
        r#"{{"xds_servers": [{{"server_uri": "{address}", "channel_creds": {credentials}}}], "node": {{"id": "test"}}}}"#
    );
    let client = Client::start(Bootstrap::parse(&text).unwrap().0, Options::default());
    let ready = client.ready().wait_for(|ready| *ready).await.map(|ready| *ready);
    assert!(ready.unwrap());
    client
}

#[tokio::test]
async fn the_dump_has_every_resource_with_its_state_and_the_reason_of_its_refusal() {
    let plane = Plane::open().await;
    let house = House::with(Some(plane.client.status()));
    let dump: Value = serde_json::from_str(&get(house.admin, "/config_dump").await.body).unwrap();
    let shown = &dump["control_plane"];
    let server = &shown["servers"][0];
    assert_eq!(server["uri"], plane.address.to_string());
    assert_eq!(
        (&server["connection"], &server["mode"]),
        (&"connected".into(), &"delta".into())
    );
    assert_eq!((&server["streams"], &server["last_end"]), (&1.into(), &Value::Null));
    assert!(server["responses"].as_u64() >= Some(3), "{server}");

    let resource = |kind: &str, name: &str| {
        let resources = shown["resources"].as_array().unwrap();
        let found = resources.iter().find(|one| one["type"] == kind && one["name"] == name);
        found.unwrap_or_else(|| panic!("{shown:#}")).clone()
    };
    let bad = resource("cds", "bad");
    assert_eq!((&bad["state"], &bad["version"]), (&"nacked".into(), &"".into()));
    let fault = bad["refusal"]["faults"][0].as_str().unwrap();
    assert!(fault.contains("type: "), "{fault}");
    assert!(
        bad["refusal"]["version"]
            .as_str()
            .is_some_and(|version| !version.is_empty())
    );
    assert!(bad["refusal"]["seconds_ago"].as_f64() < Some(60.0));
    assert_eq!(bad["refusal"]["source"], plane.address.to_string());
    assert!(
        bad["refusal"]["at"]
            .as_str()
            .is_some_and(|at| at.starts_with("20") && at.ends_with('Z'))
    );
    assert_eq!(bad["source"], "", "there was no good version");

    let web = resource("cds", WEB);
    assert_eq!((&web["state"], &web["refusal"]), (&"acked".into(), &Value::Null));
    assert!(web["version"].as_str().is_some_and(|version| !version.is_empty()));
    assert_eq!(web["source"], plane.address.to_string());
    assert!(
        web["changed_at"]
            .as_str()
            .is_some_and(|at| at.starts_with("20") && at.ends_with('Z'))
    );
    let note = web["notes"][0].as_str().unwrap();
    assert!(note.starts_with("track_timeout_budgets: "), "{note}");
    assert_eq!(resource("eds", WEB)["state"], "acked");

    let words = get(house.admin, "/config_dump?format=text").await.body;
    let refused = words
        .split_once("\nrefused: cds bad, version ")
        .unwrap_or_else(|| panic!("{words}"))
        .1;
    assert!(refused.lines().nth(1).unwrap().contains("type: "), "{refused}");

    let clusters = &shown["types"][0];
    assert_eq!(
        (&clusters["type"], &clusters["wildcard"]),
        (&"cds".into(), &true.into())
    );
    assert_eq!(clusters["refused"], 1);
    assert!(
        clusters["last_response_seconds_ago"].as_f64() < Some(60.0),
        "{clusters}"
    );
}

#[tokio::test]
async fn metrics_tell_a_refusal_and_a_control_plane_that_has_gone() {
    let mut plane = Plane::open().await;
    let house = House::with(Some(plane.client.status()));
    let server = plane.address.to_string();
    let page = read(&get(house.telemetry, "/metrics").await.body);
    let of_server = |name: &str| page.value(name, &[("server", &server)]);
    assert_eq!(of_server("evenkeel_control_plane_connected"), Some(1.0));
    assert_eq!(of_server("evenkeel_control_plane_streams_total"), Some(1.0));
    assert_eq!(of_server("evenkeel_control_plane_failures_total"), Some(0.0));
    let state = |state| page.value("evenkeel_xds_resources", &[("type", "cds"), ("state", state)]);
    assert_eq!((state("nacked"), state("timeout")), (Some(1.0), Some(0.0)));
    assert!(state("acked") > Some(0.0));
    let clusters = [("type", "cds")];
    assert_eq!(page.value("evenkeel_xds_refused_total", &clusters), Some(1.0));
    assert_eq!(page.value("evenkeel_xds_accepted_total", &clusters), state("acked"));
    assert_eq!(page.value("evenkeel_xds_ignored_fields", &clusters), Some(1.0));
    assert!(page.value("evenkeel_xds_last_response_timestamp_seconds", &clusters) > Some(1e9));

    let text = get(house.admin, "/clusters").await.body;
    assert!(
        text.lines()
            .nth(1)
            .unwrap()
            .starts_with(&format!("from {server}, connected for ")),
        "{text}"
    );
    plane.server.shutdown().await;
    let status = plane.client.status();
    until("it is gone", async || {
        !matches!(status.servers()[0].connection, Connection::Connected { .. })
    })
    .await;
    let page = read(&get(house.telemetry, "/metrics").await.body);
    assert_eq!(
        page.value("evenkeel_control_plane_connected", &[("server", &server)]),
        Some(0.0)
    );
    let json: Value = serde_json::from_str(&get(house.admin, "/clusters?format=json").await.body).unwrap();
    let source = json["source"].as_str().unwrap();
    assert!(
        source.starts_with(&format!("from {server}, NOT CONNECTED; {server} ")),
        "{source}"
    );
}

#[tokio::test]
async fn the_version_of_what_is_in_use_is_the_same_where_that_is() {
    let plane = Plane::open().await;
    let other = client_of(plane.address).await;
    let (house, neighbour) = (
        House::with(Some(plane.client.status())),
        House::with(Some(other.status())),
    );
    let versions = async |house: &House| {
        let page = read(&get(house.telemetry, "/metrics").await.body);
        let of = |kind: Kind| page.value("evenkeel_xds_version", &[("type", kind.label())]);
        let of = |kind: Kind| of(kind).unwrap().to_bits();
        Kind::ALL.map(of)
    };
    let before = versions(&house).await;
    assert!(before.iter().all(|version| *version > 0), "{before:?}");
    assert_eq!(versions(&neighbour).await, before);

    // Another weight of an endpoint, and nothing else.
    let changed = mesh::translate(&mesh::parse(&MESH.replace("weight: 3", "weight: 5")).unwrap());
    let mut view = View::clone(&plane.views.borrow());
    for packed in &changed.assignments {
        view.set(packed).unwrap();
    }
    plane.views.send_replace(Arc::new(view));
    until("both are told", async || {
        versions(&house).await != before && versions(&house).await == versions(&neighbour).await
    })
    .await;
    let after = versions(&house).await;
    for (kind, (before, after)) in Kind::ALL.iter().zip(before.iter().zip(after)) {
        assert_eq!(*before != after, *kind == Kind::Assignment, "{kind:?}");
    }
}

#[tokio::test]
async fn a_mesh_document_has_no_metrics_of_a_control_plane() {
    let house = House::open();
    let body = get(house.telemetry, "/metrics").await.body;
    assert!(
        !body.contains("evenkeel_xds_") && !body.contains("evenkeel_control_plane_"),
        "{body}"
    );
}

/// What came back over HTTP/2: the head, the body, and trailers or, where there are none, the head again.
struct Reply {
    status: StatusCode,
    body: Vec<u8>,
    end: HeaderMap,
}

impl Reply {
    fn grpc_status(&self) -> &str {
        self.end["grpc-status"].to_str().unwrap()
    }

    fn names(&self, name: &str) -> bool {
        self.body.windows(name.len()).any(|window| window == name.as_bytes())
    }
}

async fn call(address: SocketAddr, path: &str, content_type: &str, message: &'static [u8]) -> Reply {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _ = connection.await;
    });
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{address}{path}"))
        .header(header::CONTENT_TYPE, content_type)
        .header(header::TE, "trailers");
    let (response, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(message), true).unwrap();
    let (head, mut incoming) = response.await.unwrap().into_parts();
    let mut body = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data.unwrap();
        incoming.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    Reply {
        status: head.status,
        body,
        end: incoming.trailers().await.unwrap().unwrap_or(head.headers),
    }
}

async fn grpc(address: SocketAddr, path: &str, message: &'static [u8]) -> Reply {
    call(address, path, "application/grpc", message).await
}

#[tokio::test]
async fn csds_is_served_over_http2_beside_the_pages() {
    let plane = Plane::open().await;
    let house = House::with(Some(plane.client.status()));
    for path in [FETCH, STREAM] {
        let reply = grpc(house.admin, path, ANYTHING).await;
        assert_eq!((reply.status, reply.grpc_status()), (StatusCode::OK, "0"), "{path}");
        assert_eq!(reply.end.get(header::CONTENT_TYPE), None, "a status in trailers");
        for name in [WEB, "bad", "track_timeout_budgets"] {
            assert_eq!(reply.names(name), name != "track_timeout_budgets", "{path} {name}");
        }
        assert_eq!(grpc(house.admin, path, ONE_NODE).await.grpc_status(), "12", "{path}");
    }
    let other = grpc(house.admin, "/grpc.health.v1.Health/Check", ANYTHING).await;
    assert_eq!(other.grpc_status(), "12");
    assert_eq!(get(house.admin, "/live").await.status, 200);
}

#[tokio::test]
async fn csds_without_a_control_plane_and_pages_over_http2_are_refused_in_words() {
    let house = House::open();
    let reply = grpc(house.admin, FETCH, ANYTHING).await;
    assert_eq!((reply.status, reply.grpc_status()), (StatusCode::OK, "12"));
    let reply = call(house.admin, "/quit", "text/plain", b"").await;
    assert_eq!(reply.status, StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    assert!(reply.names("pages are for HTTP/1"));
}

#[tokio::test]
async fn the_telemetry_port_does_not_speak_http2() {
    let house = House::open();
    let stream = TcpStream::connect(house.telemetry).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _ = connection.await;
    });
    let request = Request::builder().uri("http://127.0.0.1/ready").body(()).unwrap();
    let answered = match sender.send_request(request, true) {
        Ok((response, _)) => response.await.is_ok(),
        Err(_) => false,
    };
    assert!(!answered);
}
