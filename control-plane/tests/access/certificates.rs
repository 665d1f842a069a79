//! Where the certificate comes from, and how it is swapped.

use crate::api::ApiServer;
use crate::until;
use evenkeel_control_plane::access::certificates::{Certificates, LIFE, Settings, Source, service_names};
use k8s_openapi::ByteString;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const NAMESPACE: &str = "evenkeel-system";
const SECRET: &str = "/api/v1/namespaces/evenkeel-system/secrets/evenkeel-control-tls";
const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/evenkeel-injector";

pub(crate) fn settings(source: Source) -> Settings {
    Settings {
        source,
        namespace: NAMESPACE.to_owned(),
        names: service_names("evenkeel-control", NAMESPACE, "cluster.local"),
    }
}

pub(crate) fn made(life: Duration) -> Settings {
    settings(Source::Made {
        secret: "evenkeel-control-tls".to_owned(),
        life,
        webhooks: "evenkeel-injector".to_owned(),
    })
}

/// One replica.
pub(crate) struct Replica {
    pub(crate) certificates: Certificates,
    pub(crate) leads: watch::Sender<bool>,
    _task: JoinSet<()>,
}

impl Replica {
    pub(crate) fn start(server: &ApiServer, settings: Settings, leads: bool) -> Self {
        let certificates = Certificates::default();
        let leads = watch::Sender::new(leads);
        let mut task = JoinSet::new();
        task.spawn(certificates.clone().keep(server.client(), settings, leads.subscribe()));
        Self {
            certificates,
            leads,
            _task: task,
        }
    }

    pub(crate) async fn accepted(&self, count: u64) {
        until("it is in force", || self.certificates.status().accepted >= count).await;
    }

    async fn refused(&self, words: &str) {
        let says = || {
            let refusal = self.certificates.status().refusal;
            refusal.is_some_and(|refusal| refusal.contains(words))
        };
        until(words, says).await;
    }

    pub(crate) fn authority(&self) -> Option<String> {
        self.certificates.authority().borrow().clone()
    }
}

fn base64(text: &str) -> Value {
    serde_json::to_value(ByteString(text.as_bytes().to_vec())).unwrap()
}

/// A certificate that others made: its texts.
fn given(names: &[String]) -> [(&'static str, String); 3] {
    let own = rcgen::generate_simple_self_signed(names).unwrap();
    let pem = own.cert.pem();
    [
        ("tls.crt", pem.clone()),
        ("tls.key", own.signing_key.serialize_pem()),
        ("ca.crt", pem),
    ]
}

fn good() -> [(&'static str, String); 3] {
    given(&service_names("evenkeel-control", NAMESPACE, "cluster.local"))
}

fn secret(texts: &[(&str, String)]) -> Value {
    let data: serde_json::Map<_, _> = texts
        .iter()
        .map(|(key, text)| ((*key).to_owned(), base64(text)))
        .collect();
    let metadata = json!({"name": "evenkeel-control-tls", "namespace": NAMESPACE});
    json!({"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": "kubernetes.io/tls", "data": data})
}

#[tokio::test]
async fn replicas_that_begin_together_make_one_authority() {
    let server = ApiServer::start().await;
    let replicas: Vec<_> = (0..5).map(|_| Replica::start(&server, made(LIFE), false)).collect();
    for replica in &replicas {
        replica.accepted(1).await;
        assert_eq!(replica.authority(), replicas[0].authority());
    }
    assert_eq!(server.writes(), 1);
    let expires = replicas[0].certificates.status().expires.unwrap();
    let days = expires.duration_since(SystemTime::now()).unwrap().as_secs() / 86_400;
    assert_eq!(days, 89);
}

#[tokio::test]
async fn the_leader_renews_the_leaf_and_the_authority_stays() {
    let server = ApiServer::start().await;
    let replica = Replica::start(&server, made(Duration::from_secs(3)), false);
    replica.accepted(1).await;
    let authority = replica.authority();
    let passed = || replica.certificates.status().expires.unwrap() < SystemTime::now();
    until("it has expired", passed).await;
    assert_eq!(server.writes(), 1, "who does not lead does not renew");
    replica.leads.send_replace(true);
    replica.accepted(4).await;
    assert_eq!(replica.authority(), authority);
    assert!(replica.certificates.status().expires.unwrap() > SystemTime::now());
    assert_eq!(replica.certificates.status().refusal, None);
}

/// Somebody who believes this, and connects to the replica.
async fn connects(replica: &Replica, believed: &str) -> bool {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(believed.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (ours, theirs) = tokio::io::duplex(1 << 14);
    let accept = TlsAcceptor::from(replica.certificates.tls(&["h2"])).accept(theirs);
    let name = "evenkeel-control.evenkeel-system.svc".try_into().unwrap();
    let (_, connected) = tokio::join!(accept, TlsConnector::from(Arc::new(config)).connect(name, ours));
    connected.is_ok()
}

#[tokio::test]
async fn another_authority_signs_and_pods_of_before_are_not_left_behind() {
    let server = ApiServer::start().await;
    let replica = Replica::start(&server, made(LIFE), true);
    replica.accepted(1).await;
    let follower = Replica::start(&server, made(LIFE), false);
    let first = replica.authority().unwrap();
    let want = |word: &str| {
        let mut secret = server.object(SECRET).unwrap();
        secret["metadata"]["annotations"]["evenkeel.io/authority"] = word.into();
        server.put(SECRET, secret);
    };
    want("rotate");
    for replica in [&replica, &follower] {
        until("both are believed", || replica.certificates.status().believed == 2).await;
    }
    let both = replica.authority().unwrap();
    let newest = both
        .strip_suffix(&first)
        .expect("the first one is still believed")
        .to_owned();
    for believed in [&first, &newest, &both] {
        assert!(connects(&replica, believed).await && connects(&follower, believed).await);
    }
    let annotations = server.object(SECRET).unwrap()["metadata"]["annotations"].clone();
    assert!(
        annotations["evenkeel.io/authority"].is_null(),
        "it is done: {annotations}"
    );
    assert!(annotations["evenkeel.io/authority-since"].is_string(), "{annotations}");

    want("retire");
    until("one is believed", || replica.certificates.status().believed == 1).await;
    assert_eq!(replica.authority(), Some(newest.clone()));
    assert!(connects(&replica, &newest).await && !connects(&replica, &first).await);
}

#[tokio::test]
async fn a_secret_that_was_deleted_is_put_back() {
    let server = ApiServer::start().await;
    let replica = Replica::start(&server, made(LIFE), true);
    replica.accepted(1).await;
    let before = server.object(SECRET).unwrap();
    server.delete(SECRET);
    until("it is back", || server.object(SECRET).is_some()).await;
    assert_eq!(server.object(SECRET).unwrap()["data"], before["data"]);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_and_the_last_good_one_stays() {
    let server = ApiServer::start().await;
    let replica = Replica::start(
        &server,
        settings(Source::Secret("evenkeel-control-tls".to_owned())),
        true,
    );
    replica.refused("there is no such Secret").await;
    let first = good();
    server.put(SECRET, secret(&first));
    replica.accepted(1).await;
    let in_force = replica.authority();
    assert_eq!(in_force.as_ref(), Some(&first[2].1));

    let others = good();
    server.put(SECRET, secret(&[first[0].clone(), others[1].clone(), first[2].clone()]));
    replica.refused("tls.crt and tls.key: ").await;
    server.put(SECRET, secret(&given(&["other.svc".to_owned()])));
    replica.refused("not valid for name").await;
    server.put(SECRET, secret(&first[..2]));
    replica.refused("ca.crt: is missing").await;
    assert_eq!(
        (replica.authority(), replica.certificates.status().accepted),
        (in_force, 1)
    );

    server.put(SECRET, secret(&others));
    replica.accepted(2).await;
    assert_eq!(replica.certificates.status().refused, 4);
    assert_eq!(server.writes(), 0, "what others write is only read");
}

#[tokio::test]
async fn a_mounted_secret_is_followed() {
    let server = ApiServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |version: &str, texts: &[(&str, String)]| {
        let to = folder.path().join(version);
        std::fs::create_dir(&to).unwrap();
        for (file, text) in texts {
            std::fs::write(to.join(file), text).unwrap();
        }
        // As the kubelet does it.
        std::os::unix::fs::symlink(version, folder.path().join("new")).unwrap();
        std::fs::rename(folder.path().join("new"), folder.path().join("..data")).unwrap();
    };
    let replica = Replica::start(&server, settings(Source::Folder(folder.path().to_owned())), false);
    replica.refused("tls.crt: No such file").await;
    let (first, second) = (good(), good());
    write("1", &first);
    for file in ["tls.crt", "tls.key", "ca.crt"] {
        std::os::unix::fs::symlink(Path::new("..data").join(file), folder.path().join(file)).unwrap();
    }
    replica.accepted(1).await;
    write(
        "2",
        &[
            ("tls.crt", "garbage".to_owned()),
            ("tls.key", "garbage".to_owned()),
            ("ca.crt", "garbage".to_owned()),
        ],
    );
    replica.refused("holds no certificate in PEM").await;
    assert_eq!(replica.authority(), Some(first[2].1.clone()));
    write("3", &second);
    replica.accepted(2).await;
    assert_eq!(replica.authority(), Some(second[2].1.clone()));
}

#[tokio::test]
async fn the_webhooks_are_told_whom_to_believe_by_the_leader_and_again_after_an_upgrade() {
    let server = ApiServer::start().await;
    let rendered = json!({
        "kind": "MutatingWebhookConfiguration", "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": "evenkeel-injector"},
        "webhooks": [
            {"name": "namespace.inject.evenkeel.io", "clientConfig": {}, "sideEffects": "None", "fieldOfTomorrow": 1},
            {"name": "pod.inject.evenkeel.io", "clientConfig": {}, "sideEffects": "None"},
        ],
    });
    server.put(WEBHOOKS, rendered.clone());
    let replica = Replica::start(&server, made(LIFE), false);
    replica.accepted(1).await;
    assert_eq!(server.object(WEBHOOKS).unwrap()["webhooks"], rendered["webhooks"]);
    replica.leads.send_replace(true);
    let bundle = base64(&replica.authority().unwrap());
    let told = || {
        let found = server.object(WEBHOOKS).unwrap();
        (0..2).all(|webhook| found["webhooks"][webhook]["clientConfig"]["caBundle"] == bundle)
    };
    until("they are told", told).await;
    assert_eq!(server.object(WEBHOOKS).unwrap()["webhooks"][0]["fieldOfTomorrow"], 1);
    server.put(WEBHOOKS, rendered);
    until("they are told again", told).await;
}
