//! The certificate of the control plane: made by itself and kept in a Secret, or given in a Secret or a folder. What is in force
//! is swapped while it runs; what cannot be used is refused aloud, and the last good one stays.
//!
//! ```text
//! secret, folder   where it comes from: a Secret, made or given | files
//! bundle           the webhook's configuration is told whom to believe
//! rotation         another authority signs, and whoever believes the one before takes it
//! made, pair       an authority and its leaf | checked, and ready to be shown
//! ```

mod bundle;
mod folder;
mod made;
mod pair;
mod rotation;
mod secret;

use kube::Client;
use pair::{Loaded, Texts};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// How long a leaf that is made holds; it is made anew when two thirds of that have passed.
pub const LIFE: Duration = Duration::from_hours(90 * 24);

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is made, with an authority of its own, and kept in a Secret of our namespace.
    Made {
        /// The Secret.
        secret: String,
        /// How long a leaf holds: [`LIFE`].
        life: Duration,
        /// The `MutatingWebhookConfiguration` that is told whom to believe.
        webhooks: String,
    },
    /// It is in a Secret of our namespace, which somebody else writes: `tls.crt`, `tls.key` and `ca.crt`.
    Secret(String),
    /// The same three are files of a folder.
    Folder(PathBuf),
}

/// What certificate is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it comes from.
    pub source: Source,
    /// Our own.
    pub namespace: String,
    /// The names that it must be good for; never empty. See [`service_names`].
    pub names: Vec<String>,
}

/// How the certificate is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// When the one in force is not good any more; `None`: there is none.
    pub expires: Option<SystemTime>,
    /// Authorities that clients are told to believe: more than one after a rotation, until those of before are retired.
    pub believed: usize,
    /// Certificates that came into force.
    pub accepted: u64,
    /// What was offered and could not be used.
    pub refused: u64,
    /// Why, while what is offered last is not in force.
    pub refusal: Option<String>,
}

/// The certificate in force. Cloning it makes another handle.
#[derive(Clone, Debug, Default)]
pub struct Certificates(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    current: watch::Sender<Option<Arc<Loaded>>>,
    authority: watch::Sender<Option<String>>,
    status: Mutex<Status>,
}

/// The names under which a Service is reached inside of a cluster.
pub fn service_names(service: &str, namespace: &str, cluster_domain: &str) -> Vec<String> {
    let name = format!("{service}.{namespace}.svc");
    vec![format!("{name}.{cluster_domain}"), name]
}

impl Certificates {
    /// For a listener that speaks these protocols (ALPN). Each handshake is made with the certificate that is in force then;
    /// as long as there is none, it fails.
    pub fn tls(&self, protocols: &[&str]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the suites of both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        // A resumed session would not see another certificate, and connections live long.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }

    /// Whom clients are to believe, in PEM: it travels in the configuration of proxies. `None`: nothing is in force yet.
    pub fn authority(&self) -> watch::Receiver<Option<String>> {
        self.0.authority.subscribe()
    }

    /// How the certificate is doing.
    pub fn status(&self) -> Status {
        self.status_mut().clone()
    }

    /// Keeps the certificate, for ever. Any replica makes it where there is none; who `leads` renews it. Needs a tokio
    /// runtime with IO and time.
    pub async fn keep(self, client: Client, settings: Settings, leads: watch::Receiver<bool>) {
        let Settings {
            source,
            namespace,
            names,
        } = settings;
        match source {
            Source::Made { secret, life, webhooks } => {
                let bundle = bundle::keep(client.clone(), webhooks, self.authority(), leads.clone());
                let making = secret::Making { life, leads };
                let kept = secret::keep(self, client, (&namespace, &secret), names, Some(making));
                tokio::join!(kept, bundle);
            }
            Source::Secret(secret) => secret::keep(self, client, (&namespace, &secret), names, None).await,
            Source::Folder(folder) => folder::keep(self, folder, names).await,
        }
    }

    /// Puts a certificate in force if it can be used; what it is then.
    fn offer(&self, texts: &Texts, names: &[String], origin: &str) -> Option<Arc<Loaded>> {
        let loaded = match pair::load(texts, names, SystemTime::now()) {
            Ok(loaded) => Arc::new(loaded),
            Err(reason) => {
                self.refuse(origin, reason);
                return None;
            }
        };
        let is_new = self.0.current.send_if_modified(|current| {
            let is_new = current.as_ref().is_none_or(|current| !current.is(&loaded));
            *current = Some(Arc::clone(&loaded));
            is_new
        });
        self.0.authority.send_if_modified(|authority| {
            let is_new = authority.as_deref() != Some(&loaded.authority);
            *authority = Some(loaded.authority.clone());
            is_new
        });
        let mut status = self.status_mut();
        status.refusal = None;
        status.expires = Some(loaded.expires);
        status.believed = loaded.believed;
        if is_new {
            status.accepted += 1;
            let days = loaded
                .expires
                .duration_since(SystemTime::now())
                .unwrap_or_default()
                .as_secs()
                / 86_400;
            tracing::info!(origin, days, "a certificate is in force");
        }
        Some(loaded)
    }

    /// Says once why what is offered cannot be used.
    fn refuse(&self, origin: &str, reason: String) {
        let mut status = self.status_mut();
        if status.refusal.as_ref() == Some(&reason) {
            return;
        }
        let in_force = status.expires.is_some();
        tracing::error!(
            origin,
            reason,
            in_force,
            "a certificate was refused, the last good one stays in force"
        );
        status.refused += 1;
        status.refusal = Some(reason);
    }

    fn status_mut(&self) -> MutexGuard<'_, Status> {
        // Each change is whole before the next begins.
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.current.borrow().as_ref().map(|loaded| Arc::clone(&loaded.key))
    }
}
