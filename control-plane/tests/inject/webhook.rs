//! The webhook over HTTPS, asked by curl as an API server would ask.

mod tls;

use crate::fixtures::{self, CA};
use evenkeel_control_plane::inject::Cluster;
use evenkeel_control_plane::inject::settings::Settings;
use evenkeel_control_plane::webhook::{self, Counts, Namespaces, Rule, SettingsFile, Webhook};
use json_patch::Patch;
use k8s_openapi::ByteString;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tempfile::TempDir;
use tls::{Authority, NAME};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

struct Server {
    address: SocketAddr,
    folder: TempDir,
    ca: PathBuf,
    tls: watch::Sender<Arc<ServerConfig>>,
    cluster: watch::Sender<Arc<Cluster>>,
    counts: Arc<Counts>,
}

/// What curl got.
struct Reply {
    status: u16,
    body: String,
}

impl Server {
    async fn start() -> Self {
        let (sender, settings) = watch::channel(Arc::new(Settings::default()));
        let server = Self::start_with(settings, Arc::default()).await;
        // The settings of this server never change.
        drop(sender);
        server
    }

    async fn start_with(settings: watch::Receiver<Arc<Settings>>, counts: Arc<Counts>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("the first");
        let ca = folder.path().join("ca.pem");
        fs::write(&ca, authority.pem()).unwrap();
        let (tls, follows) = watch::channel(Arc::new(authority.config()));
        let (cluster, of_cluster) = watch::channel(Arc::new(Cluster {
            native_sidecars: true,
            ca: CA.to_owned(),
        }));
        let namespaces: Namespaces = Box::new(|name| {
            let labels = |pairs: &[(&str, &str)]| {
                let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
                Some(pairs.iter().map(owned).collect::<BTreeMap<_, _>>())
            };
            match name {
                "shop" => labels(&[("evenkeel.io/injection", "enabled")]),
                "strict" => labels(&[
                    ("evenkeel.io/injection", "enabled"),
                    ("pod-security.kubernetes.io/enforce", "restricted"),
                ]),
                "plain" => labels(&[]),
                _ => None,
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let webhook = Webhook {
            settings,
            cluster: of_cluster,
            namespaces,
            counts: Arc::clone(&counts),
        };
        tokio::spawn(webhook::serve(listener, follows, Arc::new(webhook)));
        Self {
            address,
            folder,
            ca,
            tls,
            cluster,
            counts,
        }
    }

    async fn curl(&self, path: &str, arguments: &[&str]) -> Result<Reply, i32> {
        let port = self.address.port();
        let mut curl = Command::new("curl");
        // What is too long is refused before it is sent: what is sent to who has closed would break the connection.
        curl.args(["--silent", "--max-time", "60", "--expect100-timeout", "30"])
            .args(["--noproxy", "*", "--cacert"])
            .arg(&self.ca)
            .args([
                "--resolve",
                &format!("{NAME}:{port}:127.0.0.1"),
                "--write-out",
                "\n%{http_code}",
            ])
            .args(arguments)
            .arg(format!("https://{NAME}:{port}{path}"));
        let output = tokio::task::spawn_blocking(move || curl.output())
            .await
            .unwrap()
            .unwrap();
        if !output.status.success() {
            return Err(output.status.code().unwrap());
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        Ok(Reply {
            status: status.parse().unwrap(),
            body: body.to_owned(),
        })
    }

    /// A connection over which nothing is asked yet.
    async fn connect(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.ca).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connected = TlsConnector::from(Arc::new(config)).connect(NAME.try_into().unwrap(), stream);
        connected.await.unwrap()
    }

    async fn post(&self, body: &str) -> Reply {
        self.post_by(Rule::Namespace, body).await
    }

    async fn post_by(&self, rule: Rule, body: &str) -> Reply {
        let file = self.folder.path().join("question.json");
        fs::write(&file, body).unwrap();
        let body = format!("@{}", file.display());
        let header = "Content-Type: application/json";
        self.curl(rule.path(), &["--header", header, "--data-binary", &body])
            .await
            .unwrap()
    }

    /// The response of the answer to a question about a pod.
    async fn asked(&self, namespace: &str, pod: &Value) -> Value {
        self.asked_by(Rule::Namespace, namespace, pod).await
    }

    async fn asked_by(&self, rule: Rule, namespace: &str, pod: &Value) -> Value {
        let reply = self.post_by(rule, &question(namespace, pod).to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            (&answer["apiVersion"], &answer["kind"]),
            (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
        );
        assert_eq!(answer["response"]["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
        answer["response"].clone()
    }

    fn counts(&self, line: &str) -> bool {
        self.counts.page().contains(&format!("\n{line}\n"))
    }
}

/// As an API server writes it.
fn question(namespace: &str, pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:authenticated"]},
            "object": pod,
            "oldObject": null,
            "dryRun": true,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
}

fn pod(name: &str) -> Value {
    fixtures::named(name).pod
}

#[tokio::test]
async fn a_pod_gets_its_proxy_by_a_patch() {
    let server = Server::start().await;
    let response = server.asked("shop", &pod("deployment")).await;
    assert_eq!(
        (&response["allowed"], &response["patchType"]),
        (&json!(true), &json!("JSONPatch"))
    );
    let patch: ByteString = serde_json::from_value(response["patch"].clone()).unwrap();
    let patch: Patch = serde_json::from_slice(&patch.0).unwrap();
    let mut patched = pod("deployment");
    json_patch::patch(&mut patched, &patch).unwrap();
    assert_eq!(patched, fixtures::named("deployment").injected().unwrap().pod);

    let again = server.asked("shop", &patched).await;
    assert_eq!(again, json!({"uid": again["uid"], "allowed": true}));
    assert!(server.counts("evenkeel_control_injections_total{result=\"injected\"} 1"));
    assert!(server.counts("evenkeel_control_injections_total{result=\"unchanged\"} 1"));
    assert!(server.counts("evenkeel_control_injection_duration_seconds_count 2"));
}

#[tokio::test]
async fn what_cannot_be_injected_is_denied_with_every_fault() {
    let server = Server::start().await;
    let response = server.asked("shop", &pod("bad-annotations")).await;
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("evenkeel cannot inject this pod: "), "{message}");
    assert!(
        message.contains("evenkeel.io/access-log") && message.contains("evenkeel.io/memory-limit"),
        "{message}"
    );
    assert!(server.counts("evenkeel_control_injections_total{result=\"refused\"} 1"));
}

#[tokio::test]
async fn what_is_not_asked_for_is_left_alone() {
    let server = Server::start().await;
    for (rule, namespace, pod, reason) in [
        (Rule::Pod, "plain", pod("deployment"), "not_opted_in"),
        (Rule::Namespace, "kube-system", pod("deployment"), "excluded_namespace"),
        (Rule::Namespace, "shop", pod("host-network"), "host_network"),
        (Rule::Namespace, "shop", pod("opted-out"), "opted_out"),
    ] {
        let response = server.asked_by(rule, namespace, &pod).await;
        assert_eq!(response, json!({"uid": response["uid"], "allowed": true}), "{reason}");
        let line = format!("evenkeel_control_injections_skipped_total{{reason=\"{reason}\"}} 1");
        assert!(server.counts(&line), "{}", server.counts.page());
    }
    let mut update = question("shop", &pod("deployment"));
    update["request"]["operation"] = "UPDATE".into();
    let reply = server.post(&update.to_string()).await;
    assert!(
        reply
            .body
            .contains("only CREATE of Pod is looked at, not UPDATE of Pod"),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn a_namespace_was_selected_by_who_asks_whatever_was_seen_of_its_labels() {
    let server = Server::start().await;
    // Of one nothing is known here yet; the label of the other has not come here yet.
    for namespace in ["new", "plain"] {
        let response = server.asked(namespace, &pod("deployment")).await;
        assert!(response["patch"].is_string(), "{namespace}: {response}");
    }
}

#[tokio::test]
async fn a_pod_that_asks_for_itself_needs_no_namespace_that_does() {
    let server = Server::start().await;
    let response = server.asked_by(Rule::Pod, "plain", &pod("opted-in-by-pod")).await;
    assert!(response["patch"].is_string(), "{response}");
}

/// As many as the webhook has places.
const CONNECTIONS: usize = 512;

#[tokio::test]
async fn connections_that_do_nothing_hold_nobody_up() {
    // Both ends are here, and not every system gives so many descriptors unasked.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let server = Server::start().await;
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        idle.push(server.connect().await);
    }
    assert_eq!(server.asked("shop", &pod("deployment")).await["allowed"], true);
    let ended = |stream: &mut TlsStream<TcpStream>| {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(stream).poll_read(&mut context, &mut buffer).is_ready()
    };
    tokio::time::timeout(Duration::from_secs(20), idle[0].read(&mut [0]))
        .await
        .expect("the longest idle made room")
        .unwrap_err();
    assert!(!idle[1..].iter_mut().any(ended), "one was enough");
}

#[tokio::test]
async fn a_namespace_that_forbids_the_init_container_is_warned_of() {
    let server = Server::start().await;
    let response = server.asked("strict", &pod("deployment")).await;
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("evenkeel: the namespace strict enforces Pod Security \"restricted\""),
        "{warning}"
    );
    assert!(response["patch"].is_string());
}

#[tokio::test]
async fn what_is_no_question_is_refused_and_the_server_goes_on() {
    let server = Server::start().await;
    let old = question("shop", &pod("deployment"))
        .to_string()
        .replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(9 << 20));
    let deep = "[".repeat(100_000);
    for (body, status) in [
        ("", 400),
        ("{}", 400),
        ("not JSON", 400),
        (
            "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}",
            400,
        ),
        (old.as_str(), 400),
        (deep.as_str(), 400),
        (long.as_str(), 413),
    ] {
        let reply = server.post(body).await;
        assert_eq!(reply.status, status, "{}", reply.body);
        assert!(!reply.body.trim().is_empty());
    }
    assert_eq!(server.curl("/inject", &[]).await.unwrap().status, 405);
    assert_eq!(server.curl("/", &["--data", "x"]).await.unwrap().status, 404);
    assert!(
        server.counts("evenkeel_control_injections_total{result=\"error\"} 7"),
        "{}",
        server.counts.page()
    );
    assert_eq!(server.asked("shop", &pod("deployment")).await["allowed"], true);
}

/// curl's exit code for a certificate that nobody it trusts has signed.
const UNTRUSTED: i32 = 60;

#[tokio::test]
async fn a_certificate_is_changed_without_a_restart() {
    let server = Server::start().await;
    assert_eq!(server.asked("shop", &pod("deployment")).await["allowed"], true);
    let next = Authority::new("the next");
    server.tls.send_replace(Arc::new(next.config()));
    assert_eq!(server.curl("/inject", &[]).await.err(), Some(UNTRUSTED));
    fs::write(&server.ca, next.pem()).unwrap();
    assert_eq!(server.asked("shop", &pod("deployment")).await["allowed"], true);
}

#[tokio::test]
async fn what_is_known_of_the_cluster_may_change() {
    let server = Server::start().await;
    server.cluster.send_replace(Arc::new(Cluster {
        native_sidecars: false,
        ca: "-----BEGIN CERTIFICATE-----\nnext\n-----END CERTIFICATE-----\n".to_owned(),
    }));
    let response = server.asked("shop", &pod("deployment")).await;
    let patch: ByteString = serde_json::from_value(response["patch"].clone()).unwrap();
    let text = String::from_utf8(patch.0).unwrap();
    assert!(text.contains("postStart") && text.contains("next"), "{text}");
}

#[tokio::test]
async fn settings_are_followed_and_a_bad_change_leaves_the_last_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let settings_path = folder.path().join("inject.yaml");
    fs::write(&settings_path, "images: {proxy: first}\n").unwrap();
    let counts = Arc::new(Counts::default());
    let file = SettingsFile::open(&settings_path, Arc::clone(&counts)).unwrap();
    let mut settings = file.settings();
    let server = Server::start_with(file.settings(), counts).await;
    tokio::spawn(file.follow());
    let injects = async |image: &str| {
        let response = server.asked("shop", &pod("deployment")).await;
        let patch: ByteString = serde_json::from_value(response["patch"].clone()).unwrap();
        assert!(
            String::from_utf8(patch.0)
                .unwrap()
                .contains(&format!("\"image\":\"{image}\"")),
            "{image}"
        );
    };
    injects("first").await;

    fs::write(&settings_path, "images: {proxi: second}\n").unwrap();
    let refused = async {
        while !server.counts("evenkeel_control_injection_settings_changes_total{result=\"refused\"} 1") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    injects("first").await;

    fs::write(&settings_path, "images: {proxy: third}\n").unwrap();
    tokio::time::timeout(Duration::from_secs(20), settings.changed())
        .await
        .unwrap()
        .unwrap();
    injects("third").await;
}

#[test]
fn without_good_settings_there_is_nothing_to_inject_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inject.yaml");
    fs::write(&path, "images: {proxi: a}\n").unwrap();
    let refused = SettingsFile::open(&path, Arc::default()).unwrap_err().to_string();
    assert!(
        refused.ends_with("inject.yaml: images.proxi: unknown key; did you mean \"proxy\"?"),
        "{refused}"
    );
}
