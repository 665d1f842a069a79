//! The webhook of a cluster: what it knows, and from where.

use super::Listen;
use super::listen::bind;
use crate::inject::Cluster as Known;
use crate::kubernetes::Cluster;
use crate::telemetry::{Access, Door};
use crate::webhook::{self, Counts, SettingsFile, Webhook};
use kube::Client;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Between questions for the API server's version, until it says it.
const PAUSE: Duration = Duration::from_secs(5);

/// The webhook, before it answers.
pub(super) struct Injector {
    listener: TcpListener,
    file: SettingsFile,
    counts: Arc<Counts>,
    answers: watch::Sender<bool>,
}

impl Injector {
    /// Reads the settings and binds the listener.
    pub(super) async fn open(listen: Listen, settings: &Path) -> Result<Self, String> {
        let counts = Arc::new(Counts::default());
        let file = SettingsFile::open(settings, Arc::clone(&counts)).map_err(|refused| refused.to_string())?;
        let (listener, listen) = bind(listen).await?;
        tracing::info!(webhook = %listen, "new pods are asked about here");
        Ok(Self {
            listener,
            file,
            counts,
            answers: watch::Sender::new(false),
        })
    }

    /// For the pages.
    pub(super) fn door(&self) -> Door {
        Door {
            counts: Arc::clone(&self.counts),
            answers: self.answers.subscribe(),
        }
    }

    /// Answers for ever.
    pub(super) async fn run(self, client: Client, cluster: Cluster, access: Access) {
        let (known, mut told) = watch::channel(Arc::new(Known {
            native_sidecars: false,
            ca: String::new(),
        }));
        let webhook = Webhook {
            settings: self.file.settings(),
            cluster: told.clone(),
            namespaces: Box::new(move |name| {
                let world = cluster.world();
                world.namespace(name).map(|namespace| namespace.labels.clone())
            }),
            counts: self.counts,
        };
        // Each handshake takes the certificate that is in force then.
        let (_tls, certificate) = watch::channel(access.certificates.tls(&["http/1.1"]));
        let answer = async {
            // Who asks meanwhile waits: what a pod is to become depends on both.
            sidecars(client, &known).await;
            // An error would mean that nobody tells us any more.
            let _ = told.wait_for(|known| !known.ca.is_empty()).await;
            self.answers.send_replace(true);
            webhook::serve(self.listener, certificate, Arc::new(webhook)).await;
        };
        tokio::join!(
            answer,
            self.file.follow(),
            authority(access.certificates.authority(), &known),
        );
    }
}

async fn authority(mut authority: watch::Receiver<Option<String>>, known: &watch::Sender<Arc<Known>>) {
    // An error would mean that the certificates are gone, which are kept for ever.
    while authority.wait_for(Option::is_some).await.is_ok() {
        let ca = authority.borrow_and_update().clone().unwrap_or_default();
        known.send_modify(|known| Arc::make_mut(known).ca = ca);
        if authority.changed().await.is_err() {
            return;
        }
    }
}

/// Whether there are native sidecars, which is the API server's version.
async fn sidecars(client: Client, known: &watch::Sender<Arc<Known>>) {
    let version = loop {
        match client.apiserver_version().await {
            Ok(version) => break version,
            Err(error) => tracing::debug!(%error, "the API server does not say its version"),
        }
        tokio::time::sleep(PAUSE).await;
    };
    let native = Known::has_native_sidecars(number(&version.major), number(&version.minor));
    tracing::debug!(version.git_version, native, "the API server's version");
    known.send_modify(|known| Arc::make_mut(known).native_sidecars = native);
}

/// Some write `31+`.
fn number(text: &str) -> u32 {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_clouds_write_it() {
        assert_eq!(["1", "31+", "29-eks", "", "x"].map(number), [1, 31, 29, 0, 0]);
    }
}
