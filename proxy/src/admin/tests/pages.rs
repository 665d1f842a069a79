//! The pages that have a form for people and one for programs.

use super::Answer;
use super::House;
use super::MESH;
use super::ask;
use super::get;
use super::named_cluster;
use super::send;
use crate::control::status::Document;
use crate::control::status::Refusal;
use crate::snapshot;
use crate::telemetry::ConnectionRecord;
use crate::telemetry::Direction;
use crate::telemetry::tests::read;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Catalog;
use evenkeel_control_api::resource::Update;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::UNIX_EPOCH;

async fn accepting(address: SocketAddr, path: &str, accept: &str) -> Answer {
    send(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n"),
    )
    .await
}

async fn json(address: SocketAddr, path: &str) -> Value {
    let answer = accepting(address, path, "application/json").await;
    assert!(answer.head.contains("content-type: application/json"), "{path}");
    serde_json::from_str(&answer.body).unwrap()
}

/// What makes the second of the first.
fn difference(first: &str, second: &str) -> Update {
    let catalog = |text: &str| Catalog::from(mesh::load(text).unwrap().resources);
    catalog(first).difference(&catalog(second))
}

#[tokio::test]
async fn every_page_with_two_forms_gives_words_to_people_and_json_to_programs() {
    let house = House::open();
    house.configure();
    for path in [
        "/",
        "/clusters",
        "/listeners",
        "/stats",
        "/runtime",
        "/memory",
        "/log-level",
    ] {
        let words = get(house.admin, path).await;
        assert_eq!(words.status, 200, "{path}");
        assert!(
            words.head.contains("content-type: text/plain"),
            "{path}: {}",
            words.head
        );
        assert!(serde_json::from_str::<Value>(&words.body).is_err(), "{path}");
        json(house.admin, path).await;
        let asked = get(house.admin, &format!("{path}?format=json")).await;
        assert!(serde_json::from_str::<Value>(&asked.body).is_ok(), "{path}");
        let forced = accepting(house.admin, &format!("{path}?format=text"), "application/json").await;
        assert!(forced.head.contains("content-type: text/plain"), "{path}");
        let refused = get(house.admin, &format!("{path}?format=xml")).await;
        assert_eq!(refused.status, 400, "{path}");
        assert!(
            refused.body.starts_with("`format=xml` is not understood"),
            "{}",
            refused.body
        );
        let head = ask(house.admin, "HEAD", path, "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        let wrong = ask(house.admin, "DELETE", path, "").await;
        assert!(
            wrong.status == 405 && wrong.head.contains("\r\nallow: get, head"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_index_names_every_page_that_answers() {
    let house = House::open();
    let index = json(house.admin, "/").await;
    let words = get(house.admin, "/").await.body;
    let pages = index.as_array().unwrap();
    assert!(pages.len() > 12);
    for page in pages {
        let (path, methods) = (page["path"].as_str().unwrap(), page["methods"].as_str().unwrap());
        assert!(words.contains(&format!("  {path} ")), "{path}: {words}");
        if methods.starts_with("GET") {
            let status = ask(house.admin, "HEAD", path, "").await.status;
            assert!(status == 200 || path == "/ready", "{path}: {status}");
        }
    }
}

#[tokio::test]
async fn stats_are_the_metrics_in_other_words() {
    let house = House::open();
    let snapshot = house.configure();
    let _used = house.used(&snapshot, "10.244.1.11:8080");
    let metrics = get(house.admin, "/metrics").await.body;
    let stats = json(house.admin, "/stats").await;
    let stats = stats.as_array().unwrap();
    let lines: Vec<_> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(stats.len(), lines.len());
    let page = read(&metrics);
    let changing = ["process_", "evenkeel_endpoint_latency"];
    for stat in stats {
        let labels: Vec<_> = stat["labels"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let name = stat["name"].as_str().unwrap();
        if !changing.iter().any(|prefix| name.starts_with(prefix)) {
            let (shown, told) = (page.value(name, &labels).unwrap(), stat["value"].as_f64().unwrap());
            // Who reads JSON may lose the last bit of a number.
            assert!((shown - told).abs() <= shown.abs() * 1e-12, "{stat}: {shown}");
        }
    }
    let some = get(house.admin, "/stats?filter=endpoint_weight").await.body;
    assert_eq!(some.lines().count(), 2, "{some}");
    assert!(
        some.lines().all(|line| line.starts_with("evenkeel_endpoint_weight{")),
        "{some}"
    );
    let one = get(house.admin, "/stats?filter=weight%7Bcluster%3D&format=json")
        .await
        .body;
    assert_eq!(
        serde_json::from_str::<Value>(&one).unwrap().as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn metrics_tell_how_a_retry_budget_stands() {
    let house = House::open();
    let snapshot = house.configure();
    let endpoint = house.used(&snapshot, "10.244.1.11:8080");
    let cluster: Arc<str> = named_cluster(&snapshot).into();
    let budget = house.registry.budget(&cluster);
    let stand = async || {
        let page = read(&get(house.telemetry, "/metrics").await.body);
        let value = |name: &str| page.value(&format!("evenkeel_retry_budget_{name}"), &[("cluster", &cluster)]);
        (value("used").unwrap(), value("left").unwrap())
    };
    for _ in 0..10 {
        endpoint.load.started();
    }
    assert_eq!(stand().await, (0.0, 12.0), "a fifth of ten, and ten that are saved");
    // Whatever is spent then is not earned again while this test runs.
    let later = Duration::from_hours(1);
    let first = budget.permit(10, later).unwrap();
    assert_eq!(stand().await, (1.0, 11.0));
    let _second = budget.permit(10, later).unwrap();
    assert!(budget.permit(10, later).is_some(), "out of what is saved");
    assert_eq!(stand().await, (2.0, 0.0));
    drop(first);
    assert_eq!(stand().await, (1.0, 1.0));
}

#[tokio::test]
async fn listeners_say_what_becomes_of_connections() {
    let house = House::open();
    let words = get(house.admin, "/listeners").await.body;
    assert!(words.contains("no configuration yet"), "{words}");
    house.configure();
    let words = get(house.admin, "/listeners").await.body;
    let line = |start: &str| {
        let line = words.lines().find(|line| line.trim_start().starts_with(start));
        line.unwrap_or_else(|| panic!("{words}"))
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(line("10.96.0.10:80")[1..4], ["web:80", "race", "both"]);
    assert_eq!(line("8080")[2..4], ["http", "both"]);
    let page = json(house.admin, "/listeners").await;
    let destinations = page["destinations"].as_array().unwrap();
    let ours = destinations.iter().find(|one| one["to"] == "[fd00:96::10]:80").unwrap();
    assert_eq!((&ours["service"], &ours["http"]), (&"web:80".into(), &"both".into()));
    assert!(destinations.iter().any(|one| one["to"] == "others"));
    assert_eq!(page["connections"][1]["direction"], "outbound");
}

#[tokio::test]
async fn the_runtime_has_every_worker_and_the_memory_is_plausible() {
    let house = House::open();
    house.configure();
    let accept = |worker: usize, direction| ConnectionRecord::new(Arc::clone(&house.books[worker]), direction);
    let _open = [
        accept(0, Direction::Inbound),
        accept(1, Direction::Outbound),
        accept(1, Direction::Outbound),
    ];
    drop(accept(0, Direction::Outbound));
    let runtime = json(house.admin, "/runtime").await;
    for (worker, connections) in [(0, [1, 0]), (1, [0, 2])] {
        let worker = &runtime["workers"][worker];
        let open = ["inbound_connections", "outbound_connections"].map(|name| worker[name].as_i64().unwrap());
        assert_eq!(open, connections, "{worker}");
    }
    assert_eq!(runtime["workers"].as_array().unwrap().len(), 2);
    assert_eq!(runtime["workers"][1]["worker"], 1);
    assert_eq!(
        (&runtime["generation"], &runtime["phase"]),
        (&7.into(), &"starting".into())
    );
    assert!(runtime["open_descriptors"].as_f64() > Some(3.0));
    let memory = json(house.admin, "/memory").await;
    let resident = memory["process"]["resident_bytes"].as_u64();
    assert!(resident > Some(500_000) && resident <= memory["process"]["peak_resident_bytes"].as_u64());
    assert_eq!(memory["holds"]["endpoints"], 2);
    assert_eq!(memory["holds"]["services"], 1);
}

#[tokio::test]
async fn a_module_has_a_level_of_its_own() {
    let house = House::open();
    let change = async |method: &str, body: &str| ask(house.admin, method, "/log-level", body).await;
    assert_eq!(change("POST", "evenkeel_proxy::control=debug").await.status, 200);
    let levels = json(house.admin, "/log-level").await;
    let mut modules: Vec<_> = levels["modules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["module"].as_str().unwrap_or("all"), one["level"].as_str().unwrap()))
        .collect();
    modules.sort_unstable();
    assert_eq!(modules, [("all", "info"), ("evenkeel_proxy::control", "debug")]);

    let bad = change("POST", "evenkeel_proxy::control=loud").await;
    assert_eq!(bad.status, 400);
    assert!(
        bad.body
            .starts_with("`evenkeel_proxy::control=loud` is not a log level: "),
        "{}",
        bad.body
    );
    assert_eq!(change("POST", "[span{field=1}]=debug").await.status, 400);
    assert_eq!(
        json(house.admin, "/log-level").await,
        levels,
        "a bad one changes nothing"
    );

    change("POST", "warn").await;
    let directive = json(house.admin, "/log-level").await["directive"].to_string();
    assert!(
        directive.contains("warn") && directive.contains("evenkeel_proxy::control=debug"),
        "{directive}"
    );
    assert_eq!(change("PUT", "error").await.body, "error\n", "all of it anew");
}

#[tokio::test]
async fn each_resource_of_a_document_has_the_version_and_the_time_at_which_it_came() {
    let house = House::open();
    let weight = |weight: u32| MESH.replace("weight: 3", &format!("weight: {weight}"));
    let compiled =
        |text: &str, generation| Arc::new(snapshot::compile(mesh::load(text).unwrap().resources, generation));
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    house.status.send_modify(|status| {
        status.document = Some(Document::new("/etc/mesh.yaml"));
        status.put(&difference("", MESH), compiled(MESH, 1), at(1_000));
        status.put(&difference(MESH, &weight(5)), compiled(&weight(5), 2), at(2_000));
        let faults = vec!["/etc/mesh.yaml:3:7: services: is missing".to_owned()];
        status.refuse(Refusal { faults }, at(3_000));
    });
    let dump = json(house.admin, "/config_dump").await;
    assert_eq!(dump["document"]["source"], "/etc/mesh.yaml");
    let resources = dump["document"]["resources"].as_array().unwrap();
    let of = |kind: &str| {
        let found = resources.iter().find(|one| {
            let name = one["name"].as_str().unwrap();
            one["type"] == kind && name.contains("web")
        });
        found.unwrap_or_else(|| panic!("{resources:?}"))
    };
    let changed = of("eds");
    assert_eq!((&changed["version"], &changed["state"]), (&"2".into(), &"acked".into()));
    assert_eq!(changed["changed_at"], "1970-01-01T00:33:20.000Z");
    assert_eq!(changed["source"], "/etc/mesh.yaml");
    assert_eq!(
        (&of("cds")["version"], &of("cds")["changed_at"]),
        (&"1".into(), &"1970-01-01T00:16:40.000Z".into())
    );
    assert_eq!(dump["updates"]["refused_at"], "1970-01-01T00:50:00.000Z");

    let words = get(house.admin, "/config_dump?format=text").await.body;
    assert!(
        words.contains("updates refused: 1, the last at 1970-01-01T00:50:00.000Z"),
        "{words}"
    );
    assert!(
        words.contains("\n  /etc/mesh.yaml:3:7: services: is missing\n"),
        "{words}"
    );
    let line = words.lines().find(|line| line.contains("eds ") && line.contains("web"));
    assert!(
        line.is_some_and(|line| line.ends_with("acked  2        1970-01-01T00:33:20.000Z  /etc/mesh.yaml")),
        "{words}"
    );
}
