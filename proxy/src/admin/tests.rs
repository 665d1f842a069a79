//! The pages over real sockets, as operators, probes and scrapers see them.

mod app_health;
mod control_plane;
mod pages;
mod watchers;

use super::Door;
use super::Face;
use super::Probes;
use super::Watchers;
use super::serve;
use crate::control::status::Refusal;
use crate::control::status::Status;
use crate::lifecycle::Lifecycle;
use crate::lifecycle::Phase;
use crate::snapshot;
use crate::telemetry::Book;
use crate::telemetry::Direction;
use crate::telemetry::log;
use crate::telemetry::tests::read;
use crate::upstream::shared::Registry;
use crate::upstream::shared::Shared;
use evenkeel_control_api::ads;
use evenkeel_control_api::mesh;
use serde_json::Value;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

const MESH: &str = "
services:
- name: web
  vips: [10.96.0.10, 'fd00:96::10']
  ports:
  - port: 80
    endpoints: [{address: 10.244.1.11:8080, weight: 3}, {address: '[fd00:1::12]:8080'}]
inbound:
  ports: [{port: 8080, protocol: http}]
";

/// A door on loopback with everything that it shows.
struct House {
    admin: SocketAddr,
    telemetry: SocketAddr,
    status: watch::Sender<Status>,
    lifecycle: Arc<Lifecycle>,
    registry: Arc<Registry>,
    books: Vec<Arc<Book>>,
    door: Arc<Door>,
    /// The log lives as long as its subscriber.
    _log: Box<dyn std::any::Any>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl House {
    fn open() -> Self {
        Self::with(None)
    }

    fn with(control_plane: Option<ads::Status>) -> Self {
        Self::at("127.0.0.1:0", control_plane, MESH)
    }

    fn at(address: &str, control_plane: Option<ads::Status>, mesh: &str) -> Self {
        let (subscriber, log) = log::subscriber("info").unwrap();
        let status = watch::Sender::new(Status::default());
        let (lifecycle, registry) = (Arc::<Lifecycle>::default(), Arc::<Registry>::default());
        let door = Arc::new(Door {
            books: vec![Book::new(0), Book::new(1)],
            registry: Arc::clone(&registry),
            status: status.subscribe(),
            control_plane,
            lifecycle: Arc::clone(&lifecycle),
            log,
            access_log: None,
            spans: None,
            pushes: None,
            tap: Arc::default(),
            probes: Probes::default(),
            listening: Vec::new(),
            watchers: Watchers::default(),
            settings: Arc::new(mesh::load(mesh).unwrap().settings),
            epoch: Instant::now(),
        });
        door.books[0].service(Direction::Outbound, "web:80");
        let open = |face| {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(serve(listener, Arc::clone(&door), face));
            address
        };
        let (admin, telemetry) = (open(Face::Admin), open(Face::Telemetry));
        Self {
            admin,
            telemetry,
            status,
            lifecycle,
            registry,
            books: door.books.clone(),
            door,
            _log: Box::new(subscriber),
        }
    }

    fn watchers(&self) -> &Watchers {
        &self.door.watchers
    }

    fn configure(&self) -> Arc<snapshot::Snapshot> {
        let snapshot = Arc::new(snapshot::compile(mesh::load(MESH).unwrap().resources, 7));
        self.status
            .send_modify(|status| status.accept(Arc::clone(&snapshot), SystemTime::now()));
        snapshot
    }

    /// The state of an endpoint that somebody uses.
    fn used(&self, snapshot: &snapshot::Snapshot, address: &str) -> Arc<Shared> {
        let cluster = named_cluster(snapshot).into();
        self.registry.endpoint(&cluster, address.parse().unwrap())
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    send(
        address,
        &format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"),
    )
    .await
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, "").await
}

async fn send(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// Waits for a fact that nobody tells, and looks whenever everybody else has had a turn. It comes by itself, or the test has failed.
async fn until(what: &str, fact: impl AsyncFn() -> bool) {
    let looking = async {
        while !fact().await {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), looking).await;
    assert!(waited.is_ok(), "never: {what}");
}

#[tokio::test]
async fn ready_says_what_is_missing_until_nothing_is_and_again_when_draining() {
    let house = House::open();
    let ready = async || {
        let answer = get(house.telemetry, "/ready").await;
        (answer.status, answer.body)
    };
    assert_eq!(ready().await, (503, "no configuration yet\n".to_owned()));
    house.configure();
    assert_eq!(ready().await, (503, "listeners not bound yet\n".to_owned()));
    house.lifecycle.enter(Phase::Ready);
    assert_eq!(ready().await, (200, "ready\n".to_owned()));
    let answer = ask(house.admin, "POST", "/drain?until=later", "").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (400, "/drain takes ?until=terminated\n")
    );
    assert_eq!(ready().await, (200, "ready\n".to_owned()));
    let answer = ask(house.admin, "POST", "/drain?until=terminated", "").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "draining until terminated\n")
    );
    assert_eq!(ready().await, (503, "draining until terminated\n".to_owned()));
    let answer = ask(house.admin, "POST", "/drain", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "draining\n"));
    assert_eq!(ready().await, (503, "draining\n".to_owned()));
    assert_eq!(get(house.telemetry, "/live").await.status, 200);
}

#[tokio::test]
async fn quit_is_answered_before_the_process_ends() {
    let house = House::open();
    assert_eq!(ask(house.admin, "POST", "/quit", "").await.body, "quitting\n");
    house.lifecycle.reached(Phase::Quitting).await;
}

#[tokio::test]
async fn a_wrong_method_names_the_right_one_and_changes_nothing() {
    let house = House::open();
    for (method, path, allow) in [
        ("GET", "/drain", "post"),
        ("GET", "/quit", "post"),
        ("POST", "/ready", "get, head"),
        ("DELETE", "/log-level", "get, head, put, post"),
    ] {
        let answer = ask(house.admin, method, path, "").await;
        assert_eq!(answer.status, 405, "{path}");
        assert!(
            answer.head.contains(&format!("\r\nallow: {allow}\r\n")),
            "{}",
            answer.head
        );
    }
    assert_eq!(house.lifecycle.phase(), Phase::Starting);
}

#[tokio::test]
async fn an_unknown_path_names_the_pages_of_this_port() {
    let house = House::open();
    let answer = get(house.admin, "/metric").await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("/metrics") && answer.body.contains("/config_dump"));
    let answer = get(house.telemetry, "/").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (404, "no such page; there are /metrics /ready /live\n")
    );
}

#[tokio::test]
async fn the_telemetry_port_changes_nothing() {
    let house = House::open();
    for path in ["/drain", "/quit"] {
        assert_eq!(ask(house.telemetry, "POST", path, "").await.status, 404);
    }
    for path in ["/config_dump", "/clusters", "/log-level"] {
        assert_eq!(get(house.telemetry, path).await.status, 404);
    }
}

#[tokio::test]
async fn a_request_of_a_foreign_page_is_refused_on_the_admin_port_only() {
    let house = House::open();
    let rebound = "POST /quit HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(send(house.admin, rebound).await.status, 403);
    assert_eq!(house.lifecycle.phase(), Phase::Starting);
    assert_eq!(
        send(house.telemetry, "GET /live HTTP/1.1\r\nHost: pod.example\r\n\r\n")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_log_level_can_be_read_and_changed() {
    let house = House::open();
    assert_eq!(get(house.admin, "/log-level").await.body, "info\n");
    assert_eq!(ask(house.admin, "PUT", "/log-level", "debug\n").await.body, "debug\n");
    assert_eq!(get(house.admin, "/log-level").await.body, "debug\n");
    let bad = ask(house.admin, "PUT", "/log-level", "inof").await;
    assert_eq!(bad.status, 400);
    assert!(bad.body.starts_with("`inof` is not a log level: "), "{}", bad.body);
    assert_eq!(
        ask(house.admin, "PUT", "/log-level", &"x".repeat(5_000)).await.status,
        400
    );
    assert_eq!(get(house.admin, "/log-level").await.body, "debug\n");
}

#[tokio::test]
async fn metrics_have_the_configuration_the_phase_and_the_endpoints_that_it_names() {
    let house = House::open();
    let page = read(&get(house.telemetry, "/metrics").await.body);
    assert_eq!(page.value("evenkeel_config_generation", &[]), Some(0.0));
    assert_eq!(page.value("evenkeel_phase", &[("phase", "starting")]), Some(1.0));

    let snapshot = house.configure();
    let named = house.used(&snapshot, "10.244.1.11:8080");
    let foreign = house.used(&snapshot, "192.0.2.1:99");
    named.load.started();
    named.opened.fetch_add(5, Ordering::Relaxed);
    let faults = vec!["bad".to_owned()];
    house
        .status
        .send_modify(|status| status.refuse(Refusal { faults }, SystemTime::now()));
    house.lifecycle.enter(Phase::Ready);
    let body = get(house.admin, "/metrics").await.body;
    let page = read(&body);
    let cluster = named_cluster(&snapshot);
    let labels = [("cluster", cluster.as_str()), ("endpoint", "10.244.1.11:8080")];
    assert_eq!(page.value("evenkeel_endpoint_in_flight", &labels), Some(1.0));
    assert_eq!(page.value("evenkeel_endpoint_weight", &labels), Some(3.0));
    assert_eq!(
        page.value("evenkeel_endpoint_connections_opened_total", &labels),
        Some(5.0)
    );
    assert_eq!(page.value("evenkeel_endpoint_latency_seconds", &labels), None);
    assert_eq!(page.value("evenkeel_config_generation", &[]), Some(7.0));
    assert_eq!(page.value("evenkeel_config_refused", &[]), Some(1.0));
    assert_eq!(
        page.value("evenkeel_config_updates_total", &[("result", "refused")]),
        Some(1.0)
    );
    assert!(
        page.value(
            "evenkeel_config_last_update_timestamp_seconds",
            &[("result", "accepted")]
        ) > Some(1e9)
    );
    assert_eq!(page.value("evenkeel_phase", &[("phase", "ready")]), Some(1.0));
    assert!(
        !body.contains("192.0.2.1"),
        "what the configuration does not name makes no series"
    );
    drop(foreign);
}

fn named_cluster(snapshot: &snapshot::Snapshot) -> String {
    snapshot
        .clusters()
        .find(|(_, cluster)| cluster.name.contains("web"))
        .unwrap()
        .1
        .name
        .to_string()
}

#[tokio::test]
async fn clusters_show_every_endpoint_with_its_state() {
    let house = House::open();
    let empty = "starting, configuration 0\nfrom a mesh document\n";
    assert_eq!(get(house.admin, "/clusters").await.body, empty);
    let snapshot = house.configure();
    let removed = house.used(&snapshot, "10.9.9.9:1");
    removed.load.started();
    let text = get(house.admin, "/clusters").await.body;
    let line = |address: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(address));
        line.unwrap_or_else(|| panic!("{text}"))
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        line("10.244.1.11:8080"),
        [
            "10.244.1.11:8080",
            "3",
            "healthy",
            "0",
            "0",
            "-",
            "0",
            "0",
            "0",
            "0",
            "0",
            "0"
        ]
    );
    assert_eq!(line("[fd00:1::12]:8080")[1], "1");
    assert_eq!(line("10.9.9.9:1")[..5], ["10.9.9.9:1", "-", "removed", "0", "1"]);

    let json: Value = serde_json::from_str(&get(house.admin, "/clusters?format=json").await.body).unwrap();
    assert_eq!(json["generation"], 7);
    let cluster = json["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|cluster| cluster["endpoints"][0]["weight"] == 3);
    assert_eq!(cluster.unwrap()["endpoints"][0]["address"], "10.244.1.11:8080");
    assert_eq!(get(house.admin, "/clusters?format=xml").await.status, 400);

    let faults = vec!["mesh.yaml:3:7: bad".to_owned(), "mesh.yaml:4:1: worse".to_owned()];
    house
        .status
        .send_modify(|status| status.refuse(Refusal { faults }, SystemTime::now()));
    let text = get(house.admin, "/clusters").await.body;
    let told = "the newest update was refused, faults: 2, all of them in /config_dump\n  mesh.yaml:3:7: bad\n";
    assert!(text.contains(told), "{text}");
}

#[tokio::test]
async fn the_configuration_in_force_is_shown_with_the_refusal_of_a_newer_one() {
    let house = House::open();
    house.configure();
    let faults = vec!["mesh.yaml:3:7: services: is missing".to_owned()];
    house
        .status
        .send_modify(|status| status.refuse(Refusal { faults }, SystemTime::now()));
    let answer = get(house.admin, "/config_dump").await;
    assert!(answer.head.contains("content-type: application/json"));
    let dump: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(dump["generation"], 7);
    assert_eq!(dump["control_plane"], Value::Null);
    assert_eq!(dump["updates"]["refusal"][0], "mesh.yaml:3:7: services: is missing");
    assert_eq!(
        dump["services"][0]["addresses"],
        serde_json::json!(["10.96.0.10:80", "[fd00:96::10]:80"])
    );
    assert_eq!(dump["services"][0]["detection"], "race");
    let cluster = dump["services"][0]["http"]["routes"][0]["cluster"].as_str().unwrap();
    let found = dump["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == cluster)
        .unwrap();
    assert_eq!(found["endpoints"][0]["weight"], 3);
    assert_eq!(dump["inbound"][0]["port"], 8_080);
    assert_eq!(dump["inbound"][0]["detection"], "http");
    assert_eq!(dump["settings"]["limits"]["connections"], 16_384);
}

#[tokio::test]
async fn the_index_is_one_page_that_loads_nothing_from_elsewhere() {
    let house = House::open();
    let browser = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nAccept: text/html,*/*;q=0.8\r\n\r\n",
        house.admin
    );
    let answer = send(house.admin, &browser).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-security-policy: default-src 'none'"));
    // A name that the drawing of lines has, and nothing that is fetched.
    let body = answer.body.replace("http://www.w3.org/2000/svg", "");
    assert!(!body.contains("http://") && !body.contains("https://") && !body.contains("NONCE"));
    let nonce = |answer: &Answer| {
        let after = answer.head.split_once("script-src 'nonce-").unwrap().1;
        after.split('\'').next().unwrap().to_owned()
    };
    assert!(answer.body.contains(&format!("<script nonce=\"{}\">", nonce(&answer))));
    assert_ne!(
        nonce(&answer),
        nonce(&send(house.admin, &browser).await),
        "each answer has its own"
    );
}

#[tokio::test]
async fn the_head_of_a_page_can_be_had_alone() {
    let house = House::open();
    let answer = ask(house.admin, "HEAD", "/live", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
}
