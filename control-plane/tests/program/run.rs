//! `run`: a cluster.

use crate::api::Api;
use crate::client::{ASSIGNMENT, CLUSTER, Client, LISTENER};
use crate::objects::{grant, namespace, node, own_pod, pod, service, slice, tls_route};
use crate::program::Program;
use evenkeel_control_plane::kubernetes::Kind;
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

const WEB: &str = "outbound|80||web.shop.svc.cluster.local";
const DB: &str = "outbound|80||db.shop.svc.cluster.local";

/// Of the Service of the control plane.
const NAMES: [&str; 2] = [
    "evenkeel-control.evenkeel-system.svc",
    "evenkeel-control.evenkeel-system.svc.cluster.local",
];

/// An API server with two services, and a control plane that asks it.
struct Cluster {
    api: Api,
    program: Program,
    folder: TempDir,
}

impl Cluster {
    /// `prepare` says what goes wrong from the beginning.
    async fn begin(prepare: impl FnOnce(&Api)) -> Self {
        let api = Api::start().await;
        api.put("namespaces", namespace("shop"));
        api.put("nodes", node("n1", "a"));
        api.put("pods", pod("client", "n1"));
        api.put("services", service("web", "10.96.0.1"));
        api.put("services", service("db", "10.96.0.2"));
        api.put("endpointslices", slice("web-a", "web", &["10.1.0.1".to_owned()]));
        api.put("endpointslices", slice("db-a", "db", &["10.1.0.2".to_owned()]));
        prepare(&api);
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        fs::write(&kubeconfig, api.kubeconfig()).unwrap();
        Self {
            api,
            program: Program::run(&kubeconfig),
            folder,
        }
    }

    /// The same, and it injects; the folder is for its certificate and its settings.
    async fn injecting(prepare: impl FnOnce(&Api)) -> Self {
        let mut cluster = Self::begin(prepare).await;
        let folder = cluster.folder.path();
        let own = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).unwrap();
        for (file, text) in [
            ("tls.crt", own.cert.pem()),
            ("tls.key", own.signing_key.serialize_pem()),
            ("ca.crt", own.cert.pem()),
            ("injection.yaml", "{}".to_owned()),
        ] {
            fs::write(folder.join(file), text).unwrap();
        }
        cluster.program = Program::run_injecting(&folder.join("kubeconfig"), folder);
        cluster
    }

    /// The same as a pod that may lead.
    async fn leading(prepare: impl FnOnce(&Api)) -> Self {
        let mut cluster = Self::begin(prepare).await;
        cluster.program = Program::run_leading(&cluster.folder.path().join("kubeconfig"));
        cluster.program.log_says("this replica leads").await;
        cluster
    }

    async fn serving() -> Self {
        let mut cluster = Self::begin(|_| {}).await;
        cluster.program.log_says("serving").await;
        cluster
    }

    /// A client that has the endpoints of both services.
    async fn client(&self) -> Client {
        let mut client = Client::connect(self.program.listen).await;
        client.subscribe(ASSIGNMENT, &[WEB, DB]);
        assert_eq!(client.next().await.names(), [DB, WEB]);
        client
    }

    fn web_has(&self, address: &str) {
        self.api
            .put("endpointslices", slice("web-a", "web", &[address.to_owned()]));
    }
}

#[tokio::test]
async fn a_cluster_is_served_and_so_is_every_change_of_it() {
    let cluster = Cluster::serving().await;
    let mut client = Client::connect(cluster.program.listen).await;
    client.subscribe(CLUSTER, &[]);
    assert_eq!(client.next().await.names(), ["inbound", DB, WEB, "passthrough"]);
    client.subscribe(ASSIGNMENT, &[WEB]);
    assert!(client.next().await.resources[0].says("10.1.0.1"));
    client.subscribe(LISTENER, &["10.96.0.1:80", "10.96.0.3:80"]);
    let listeners = client.next().await;
    assert_eq!(listeners.names(), ["10.96.0.1:80"]);
    assert_eq!(listeners.removed, ["10.96.0.3:80"]);

    cluster.web_has("10.1.0.9");
    let changed = client.next().await;
    assert_eq!(changed.names(), [WEB]);
    assert!(changed.resources[0].says("10.1.0.9") && !changed.resources[0].says("10.1.0.1"));
    cluster.api.put("services", service("new", "10.96.0.3"));
    let mut news = [client.next().await, client.next().await];
    news.sort_by_key(|answer| answer.type_url.clone());
    assert_eq!(news[0].names(), ["outbound|80||new.shop.svc.cluster.local"]);
    assert_eq!(news[1].names(), ["10.96.0.3:80"]);
    cluster.api.delete("services", "shop/db");
    assert_eq!(client.next().await.removed, [DB]);

    let program = &cluster.program;
    assert_eq!(program.page("/ready").await, "ready\n");
    program
        .metric_becomes("evenkeel_control_objects{kind=\"Service\"}", 2)
        .await;
    assert_eq!(program.metric("evenkeel_control_objects{kind=\"Pod\"}").await, 1);
    assert_eq!(program.metric("evenkeel_control_watching{kind=\"Node\"}").await, 1);
    assert_eq!(program.metric("evenkeel_control_views").await, 1);
    assert!(program.metric("evenkeel_control_change_seconds_count").await >= 4);
}

#[tokio::test]
async fn a_pod_gets_the_inbound_listener_that_its_annotations_ask_for() {
    let cluster = Cluster::begin(|api| {
        let mut opaque = pod("db-0", "n1");
        opaque["metadata"]["annotations"] = json!({"evenkeel.io/opaque-ports": "3306"});
        api.put("pods", opaque);
    });
    let mut cluster = cluster.await;
    cluster.program.log_says("serving").await;
    let mut asked = Vec::new();
    for node in ["db-0.shop", "client.shop"] {
        let mut client = Client::connect_as(cluster.program.listen, node).await;
        client.subscribe(CLUSTER, &["inbound|3306"]);
        asked.push(client.next().await);
    }
    assert_eq!(asked[0].names(), ["inbound|3306"]);
    assert_eq!(asked[1].removed, ["inbound|3306"]);
}

#[tokio::test]
async fn nobody_is_served_before_everything_is_known_and_the_log_says_which_right_is_missing() {
    let mut cluster = Cluster::begin(|api| api.refuse(Some(403))).await;
    let said = cluster.program.log_says("cannot watch").await;
    assert!(said.contains("must grant the verb `list`"), "{said}");
    let (head, body) = cluster.program.answer("/ready").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(body, "the cluster is not known yet\n");
    assert!(tokio::net::TcpStream::connect(cluster.program.listen).await.is_err());
    cluster.api.refuse(None);
    cluster.program.log_says("serving").await;
    assert_eq!(cluster.program.page("/ready").await, "ready\n");
    cluster.client().await;
}

#[tokio::test]
async fn a_kind_that_can_never_be_listed_is_done_without_and_that_is_said_aloud() {
    let mut cluster = Cluster::injecting(|api| {
        api.say_version();
        api.put("pods", own_pod());
        api.break_kind("httproutes", Some(500));
    })
    .await;
    cluster.program.log_says("a kind cannot be listed").await;
    cluster.program.log_says("serving").await;
    assert_eq!(cluster.program.page("/ready").await, "ready\n");
    cluster.client().await;
    let without = "evenkeel_control_served_without{kind=\"HTTPRoute\"}";
    assert_eq!(cluster.program.metric(without).await, 1);
    let told = |_: &str, object: &Value| object["reason"] == "ServedWithout";
    let (_, event) = cluster.api.written_once(told).await;
    assert_eq!(
        (&event["regarding"]["kind"], &event["regarding"]["name"]),
        (&json!("Pod"), &json!("evenkeel-control-0"))
    );
    assert_eq!(event["regarding"]["uid"], "evenkeel-control-0");
    let note = event["note"].as_str().unwrap();
    assert!(
        note.starts_with("httproutes.gateway.networking.k8s.io cannot be listed"),
        "{note}"
    );

    cluster.api.break_kind("httproutes", None);
    cluster.program.log_says("is known now").await;
    assert_eq!(cluster.program.metric(without).await, 0);
}

#[tokio::test]
async fn it_is_ready_when_it_answers_questions_about_pods_and_clients_of_xds() {
    let mut cluster = Cluster::injecting(|_| {}).await;
    cluster.program.log_says("serving over TLS").await;
    let (head, body) = cluster.program.answer("/ready").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(body, "the API server has not said its version yet\n");
    cluster.api.say_version();
    cluster.program.page_becomes("/ready", "ready\n").await;
}

#[tokio::test]
async fn an_older_version_of_a_kind_is_taken_where_there_is_no_other() {
    let cluster = Cluster::begin(|api| {
        api.serve_in("referencegrants", "v1beta1");
        api.serve_in("tlsroutes", "v1alpha2");
        api.put("referencegrants", grant("shop"));
        api.put("tlsroutes", tls_route("web"));
    });
    let mut cluster = cluster.await;
    cluster.program.log_says("serving").await;
    for kind in ["ReferenceGrant", "TLSRoute"] {
        let known = format!("evenkeel_control_objects{{kind=\"{kind}\"}}");
        assert_eq!(cluster.program.metric(&known).await, 1, "{kind}");
        let watching = format!("evenkeel_control_watching{{kind=\"{kind}\"}}");
        cluster.program.metric_becomes(&watching, 1).await;
    }
}

#[tokio::test]
async fn a_status_is_written_in_the_version_that_the_cluster_has() {
    let cluster = Cluster::leading(|api| {
        api.serve_in("tlsroutes", "v1alpha2");
        api.put("tlsroutes", tls_route("web"));
    });
    let cluster = cluster.await;
    let of_the_route = |path: &str, _: &Value| path.ends_with("/tlsroutes/route/status");
    let (path, status) = cluster.api.written_once(of_the_route).await;
    assert!(path.contains("/v1alpha2/"), "{path}");
    let conditions = &status["status"]["parents"][0]["conditions"];
    assert_eq!(conditions[0]["type"], "Accepted", "{status}");
}

#[tokio::test]
async fn an_api_server_that_is_away_is_spoken_of_once_and_once_when_it_is_back() {
    let mut cluster = Cluster::leading(|_| {}).await;
    cluster.api.refuse(Some(500));
    cluster.program.log_says("the lease cannot be read or written").await;
    let before = cluster.api.refused("leases");
    cluster.api.refused_times("leases", before + 3).await;
    cluster.api.refuse(None);
    let meanwhile = cluster
        .program
        .log_until("the lease can be read and written again")
        .await;
    let again: Vec<_> = meanwhile.iter().filter(|line| line.contains("the lease")).collect();
    assert!(again.is_empty(), "{again:?}");
}

#[tokio::test]
async fn what_was_seen_last_is_served_while_the_api_server_is_away() {
    let mut cluster = Cluster::serving().await;
    cluster.api.refuse(Some(500));
    cluster.program.log_says("what was seen last stays in force").await;
    cluster
        .program
        .metric_becomes("evenkeel_control_watching{kind=\"Service\"}", 0)
        .await;
    let mut client = cluster.client().await;
    assert_eq!(cluster.program.page("/ready").await, "ready\n");
    cluster.web_has("10.1.0.9");
    cluster.api.refuse(None);
    assert!(client.next().await.resources[0].says("10.1.0.9"));
    cluster.program.log_says("watching again").await;
    let once = Kind::ALL.len() as u64;
    assert_eq!(cluster.api.lists(), once, "a watch goes on where it was");
}

#[tokio::test]
async fn an_api_server_that_has_forgotten_where_we_were_is_asked_for_everything() {
    let mut cluster = Cluster::serving().await;
    let mut client = cluster.client().await;
    cluster.api.forget(|api| {
        api.delete("endpointslices", "shop/db-a");
        api.put("endpointslices", slice("web-a", "web", &["10.1.0.9".to_owned()]));
    });
    cluster.program.log_says("listing anew").await;
    let mut seen = client.next().await.resources;
    while seen.len() < 2 {
        seen.extend(client.next().await.resources);
    }
    let of = |name: &str| seen.iter().find(|resource| resource.name == name).unwrap();
    assert!(of(WEB).says("10.1.0.9"));
    assert!(!of(DB).says("10.1.0.2"));
}

#[tokio::test]
async fn an_object_that_cannot_be_read_hurts_nobody_else() {
    let mut cluster = Cluster::serving().await;
    let mut client = cluster.client().await;
    let mut broken = service("db", "10.96.0.2");
    broken["spec"]["ports"] = json!("all");
    cluster.api.put("services", broken);
    let said = cluster.program.log_says("an object is not as it should be").await;
    assert!(said.contains("shop/db") && said.contains("it cannot be read"), "{said}");
    assert_eq!(
        cluster
            .program
            .metric("evenkeel_control_refused_objects{kind=\"Service\"}")
            .await,
        1
    );
    cluster.web_has("10.1.0.9");
    assert_eq!(client.next().await.names(), [WEB]);
    let mut late = cluster.client().await;
    cluster.api.put("services", service("db", "10.96.0.2"));
    cluster
        .program
        .metric_becomes("evenkeel_control_refused_objects{kind=\"Service\"}", 0)
        .await;
    cluster.web_has("10.1.0.8");
    assert_eq!(
        late.next().await.names(),
        [WEB],
        "the last good one was served all the time"
    );
}

#[tokio::test]
async fn told_to_end_it_is_not_ready_and_serves_on_for_a_while() {
    let mut cluster = Cluster::serving().await;
    let mut client = cluster.client().await;
    cluster.program.terminate();
    cluster.program.log_says("TERM received").await;
    let (head, body) = cluster.program.answer("/ready").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(body, "ending\n");
    cluster.web_has("10.1.0.9");
    assert_eq!(client.next().await.names(), [WEB]);
    cluster.program.terminate();
    assert_eq!(cluster.program.exit_code().await, Some(0));
}
