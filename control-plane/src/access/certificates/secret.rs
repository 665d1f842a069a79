//! The certificate in a Secret: watched, and, where it is ours, made and renewed.

use super::Certificates;
use super::made;
use super::pair::{self, Loaded, Texts};
use super::rotation;
use crate::outage::Outage;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Client, Error};
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio_stream::StreamExt;

/// At least so often it is looked whether a certificate has to be renewed.
const CHECK: Duration = Duration::from_hours(1);
/// After an attempt to write that failed.
const RETRY: Duration = Duration::from_secs(5);
/// What the API server says when somebody else was first.
const CONFLICT: u16 = 409;

pub(super) const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
pub(super) const AUTHORITY: &str = "ca.crt";
pub(super) const AUTHORITY_KEY: &str = "ca.key";

/// How a certificate is made.
pub(super) struct Making {
    pub(super) life: Duration,
    /// Whether it is us who renews it.
    pub(super) leads: watch::Receiver<bool>,
}

struct Keeper {
    certificates: Certificates,
    secrets: Api<Secret>,
    name: String,
    names: Vec<String>,
    making: Option<Making>,
    /// What was good last, to be put back if the Secret is deleted: another authority would be believed by nobody.
    held: Option<BTreeMap<String, ByteString>>,
    writing: Outage,
}

/// Keeps the Secret, or follows it where somebody else makes it.
pub(super) async fn keep(
    certificates: Certificates,
    client: Client,
    (namespace, name): (&str, &str),
    names: Vec<String>,
    making: Option<Making>,
) {
    let secrets = Api::namespaced(client, namespace);
    let mut changes = pin!(watch_object(Api::clone(&secrets), name).default_backoff());
    let mut keeper = Keeper {
        certificates,
        secrets,
        name: name.to_owned(),
        names,
        making,
        held: None,
        writing: Outage::default(),
    };
    // The Secret, once it is known whether there is one.
    let mut known = None;
    let mut pause = CHECK;
    let mut reading = Outage::default();
    loop {
        tokio::select! {
            Some(change) = changes.next() => match change {
                Ok(secret) => {
                    known = Some(secret);
                    if reading.ends().is_some() {
                        tracing::info!(secret = name, "the certificate's Secret is watched again");
                    }
                }
                Err(error) => {
                    if reading.begins() {
                        tracing::warn!(secret = name, %error, "the certificate's Secret cannot be watched; tried again until it can");
                    }
                    continue;
                }
            },
            () = keeper.lead_changes() => {}
            () = tokio::time::sleep(pause) => {}
        }
        if let Some(secret) = &known {
            pause = keeper.tend(secret.as_ref()).await;
        }
    }
}

impl Keeper {
    async fn lead_changes(&mut self) {
        let gone = match &mut self.making {
            Some(making) => making.leads.changed().await.is_err(),
            None => true,
        };
        if gone {
            std::future::pending::<()>().await;
        }
    }

    /// Does what there is to do now; how long to wait then.
    async fn tend(&mut self, secret: Option<&Secret>) -> Duration {
        match (secret, &self.making) {
            (None, None) => {
                self.certificates
                    .refuse(&self.name, "there is no such Secret".to_owned());
                CHECK
            }
            (None, Some(making)) => {
                let life = making.life;
                self.create(life).await
            }
            (Some(secret), _) => self.follow(secret).await,
        }
    }

    /// Whoever is first makes it; the others take what that one has made.
    async fn create(&mut self, life: Duration) -> Duration {
        let data = match self
            .held
            .clone()
            .map_or_else(|| made_anew(&self.names, life, SystemTime::now()), Ok)
        {
            Ok(data) => data,
            Err(reason) => {
                self.certificates.refuse(&self.name, reason);
                return RETRY;
            }
        };
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some([("app.kubernetes.io/managed-by".to_owned(), "evenkeel-control".to_owned())].into()),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(data),
            ..Secret::default()
        };
        let created = self.secrets.create(&PostParams::default(), &secret).await;
        self.written(created, "made")
    }

    async fn follow(&mut self, secret: &Secret) -> Duration {
        let texts = texts(secret);
        let loaded = self.certificates.offer(&texts, &self.names, &self.name);
        if loaded.is_some() {
            self.held.clone_from(&secret.data);
        }
        let Some(making) = &self.making else { return CHECK };
        let life = making.life;
        let leads = *making.leads.borrow();
        if leads
            && loaded.is_some()
            && let Some((granted, how)) = self.wanted(secret, life)
        {
            return self.replace(granted, how).await;
        }
        let rest = loaded.map_or(Duration::ZERO, |loaded| until_renewal(&loaded, life));
        if rest.is_zero() && leads {
            return self.renew(secret, life).await;
        }
        // A follower looks again when it leads, or when there is another Secret.
        if rest.is_zero() { CHECK } else { rest.min(CHECK) }
    }

    /// The Secret with what somebody wants of its authority, or time does; and what that is.
    fn wanted(&self, secret: &Secret, life: Duration) -> Option<(Secret, &'static str)> {
        let now = SystemTime::now();
        let granted = rotation::wish(secret, now).and_then(|wish| {
            if wish == Some(rotation::Wish::Rotate) && rotation::allows_nobody_between(secret) {
                tracing::warn!(
                    secret = self.name,
                    "the authority is of an early build: proxies of before connect as ever, other clients that believe it alone may not"
                );
            }
            let granted = |wish| rotation::granted(wish, secret, &self.names, life, now);
            wish.map(|wish| granted(wish).map(|granted| (granted, wish.done())))
                .transpose()
        });
        granted.unwrap_or_else(|reason| {
            tracing::error!(secret = self.name, reason, "the authority stays as it is");
            None
        })
    }

    /// A new leaf of the same authority.
    async fn renew(&mut self, secret: &Secret, life: Duration) -> Duration {
        let renewed = match renewed(secret, &self.names, life, SystemTime::now()) {
            Ok(renewed) => renewed,
            Err(reason) => {
                let reason = format!("it cannot be renewed: {reason}; without the Secret, a new one is made");
                self.certificates.refuse(&self.name, reason);
                return CHECK;
            }
        };
        self.replace(renewed, "renewed").await
    }

    async fn replace(&mut self, secret: Secret, how: &str) -> Duration {
        let written = self.secrets.replace(&self.name, &PostParams::default(), &secret).await;
        self.written(written, how)
    }

    /// What was written comes back from the watch, and is in force then.
    fn written(&mut self, written: Result<Secret, Error>, how: &str) -> Duration {
        match written {
            Ok(_) => {
                tracing::info!(secret = self.name, how, "the certificate was written");
                self.writing.ends();
                CHECK
            }
            Err(Error::Api(status)) if status.code == CONFLICT => CHECK,
            Err(error) => {
                if self.writing.begins() {
                    tracing::warn!(secret = self.name, %error, "the certificate cannot be written; tried again until it can");
                }
                RETRY
            }
        }
    }
}

/// Until two thirds of a leaf's life have passed; nothing: they have.
fn until_renewal(loaded: &Loaded, life: Duration) -> Duration {
    let rest = loaded.expires.duration_since(SystemTime::now()).unwrap_or_default();
    rest.saturating_sub(life / 3)
}

pub(super) fn made_anew(
    names: &[String],
    life: Duration,
    now: SystemTime,
) -> Result<BTreeMap<String, ByteString>, String> {
    let (authority, authority_key) = made::authority(now).map_err(|error| error.to_string())?;
    let texts = made::leaf(&authority, &authority_key, "", names, life, now).map_err(|error| error.to_string())?;
    Ok(data(texts, authority_key.into_bytes()))
}

/// The Secret with a new leaf; why there is none.
pub(super) fn renewed(secret: &Secret, names: &[String], life: Duration, now: SystemTime) -> Result<Secret, String> {
    let authority_key = bytes(secret, AUTHORITY_KEY);
    let text = |key| String::from_utf8(bytes(secret, key)).map_err(|_| format!("{key} is no text"));
    let (authority, key) = (text(AUTHORITY)?, text(AUTHORITY_KEY)?);
    let shown = rotation::certificates(secret, CHAIN)?;
    let between: String = shown.into_iter().skip(1).collect();
    let texts = made::leaf(&authority, &key, &between, names, life, now)
        // What is wrong with a key is not told by its text.
        .map_err(|_| format!("{AUTHORITY_KEY} is no key that could sign"))?;
    pair::load(&texts, names, now)?;
    Ok(with(secret, texts, authority_key))
}

/// The Secret with these in the place of those before.
pub(super) fn with(secret: &Secret, texts: Texts, authority_key: Vec<u8>) -> Secret {
    Secret {
        data: Some(data(texts, authority_key)),
        ..secret.clone()
    }
}

fn data(texts: Texts, authority_key: Vec<u8>) -> BTreeMap<String, ByteString> {
    let Texts { chain, key, authority } = texts;
    let entries = [
        (CHAIN, chain),
        (KEY, key),
        (AUTHORITY, authority),
        (AUTHORITY_KEY, authority_key),
    ];
    entries
        .into_iter()
        .map(|(key, bytes)| (key.to_owned(), ByteString(bytes)))
        .collect()
}

pub(super) fn texts(secret: &Secret) -> Texts {
    Texts {
        chain: bytes(secret, CHAIN),
        key: bytes(secret, KEY),
        authority: bytes(secret, AUTHORITY),
    }
}

pub(super) fn bytes(secret: &Secret, key: &str) -> Vec<u8> {
    let found = secret.data.as_ref().and_then(|data| data.get(key));
    found.map(|bytes| bytes.0.clone()).unwrap_or_default()
}
