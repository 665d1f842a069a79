//! xDS over TLS, for pods that show whose they are.

use super::leading::OwnPod;
use crate::access::certificates::{self, Certificates, LIFE, Source, service_names};
use crate::access::review::Reviews;
use crate::kubernetes::{Cluster, Key};
use crate::telemetry::Access;
use evenkeel_control_api::serve::Guard;
use kube::Client;
use std::path::PathBuf;
use std::str::FromStr;
use tokio::sync::watch;

/// The Service by which we are reached: the certificate is good for its names.
pub const SERVICE: &str = "evenkeel-control";
/// The Secret of a certificate that is made.
pub const SECRET: &str = "evenkeel-control-tls";
/// The `MutatingWebhookConfiguration` that is told whom to believe.
pub const WEBHOOKS: &str = "evenkeel-injector";

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// It is made, kept in a Secret and renewed.
    Own,
    /// It is in a Secret that somebody else writes.
    Secret(String),
    /// It is in files that somebody else writes.
    Folder(PathBuf),
}

impl FromStr for CertificateSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "self" => Ok(Self::Own),
            Some(("secret", name)) if !name.is_empty() => Ok(Self::Secret(name.to_owned())),
            Some(("folder", path)) if !path.is_empty() => Ok(Self::Folder(path.into())),
            _ => Err(format!("`{text}` should be self, secret:NAME or folder:PATH")),
        }
    }
}

/// Whoever is a pod that we know.
pub(super) fn access(client: Client, cluster: &Cluster) -> Access {
    let cluster = cluster.clone();
    let reviews = Reviews::new(client, move |peer| {
        let world = cluster.world();
        let pod = world.pod(&Key::new(&peer.namespace, &peer.pod));
        pod.is_some_and(|pod| *pod.uid == *peer.uid)
    });
    Access {
        certificates: Certificates::default(),
        reviews,
    }
}

/// Keeps the certificate, for ever.
pub(super) async fn keep(
    access: Access,
    client: Client,
    source: CertificateSource,
    pod: OwnPod,
    cluster_domain: String,
    leads: watch::Receiver<bool>,
) {
    let source = match source {
        CertificateSource::Own => Source::Made {
            secret: SECRET.to_owned(),
            life: LIFE,
            webhooks: WEBHOOKS.to_owned(),
        },
        CertificateSource::Secret(name) => Source::Secret(name),
        CertificateSource::Folder(path) => Source::Folder(path),
    };
    let settings = certificates::Settings {
        source,
        names: service_names(SERVICE, &pod.namespace, &cluster_domain),
        namespace: pod.namespace,
    };
    access.certificates.keep(client, settings, leads).await;
}

/// For the listener.
pub(super) fn guard(access: &Access) -> Guard {
    let reviews = access.reviews.clone();
    Guard::new(access.certificates.tls(&["h2"]), move |headers| {
        let reviews = reviews.clone();
        async move { reviews.authenticate(&headers).await }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_certificate_comes_from_is_one_word() {
        assert_eq!("self".parse(), Ok(CertificateSource::Own));
        assert_eq!("secret:tls".parse(), Ok(CertificateSource::Secret("tls".to_owned())));
        assert_eq!("folder:/tls".parse(), Ok(CertificateSource::Folder("/tls".into())));
        for wrong in ["", "own", "secret", "secret:", "self:x"] {
            assert!(wrong.parse::<CertificateSource>().is_err(), "{wrong}");
        }
    }
}
