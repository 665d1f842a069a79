//! Who may come in: TLS first, then credentials for every stream.
//!
//! Whoever reaches the port may begin a handshake, and may leave it unfinished. So those who have not shown yet who they are have
//! little time and few places, and when there is no place, the oldest of them makes room: a newcomer never waits for one
//! that does nothing.

use super::peer::{Denied, Peer};
use super::places::Places;
use hyper::HeaderMap;
use rustls::ServerConfig;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes at once, of some 20 KiB each.
const HANDSHAKES: usize = 512;
/// For a handshake: two round trips.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections at once on which nobody has shown who they are: a quarter of all.
const STRANGERS: usize = 4_096;
/// How long a connection may be one of those.
const STRANGER: Duration = Duration::from_secs(30);
/// For what looks into credentials.
const AUTHENTICATION: Duration = Duration::from_secs(15);
/// Bytes that are encrypted and not written: one record, besides what the connection holds in plaintext.
const ENCRYPTED: usize = 16 << 10;

type Authenticate =
    dyn Fn(HeaderMap) -> Pin<Box<dyn Future<Output = Result<Peer, Denied>> + Send>> + Send + Sync + 'static;

/// Serves nobody in plaintext, and no stream without credentials.
pub struct Guard {
    tls: TlsAcceptor,
    authenticate: Box<Authenticate>,
    handshakes: Places,
    strangers: Places,
}

impl Guard {
    /// Connections are made with `tls`, whose ALPN should offer `h2`; a certificate that changes is the business of its
    /// resolver. `authenticate` looks into the metadata of each stream before anything of it is read.
    pub fn new<F>(tls: Arc<ServerConfig>, authenticate: impl Fn(HeaderMap) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Peer, Denied>> + Send + 'static,
    {
        Self {
            tls: TlsAcceptor::from(tls),
            authenticate: Box::new(move |headers| Box::pin(authenticate(headers))),
            handshakes: Places::new(HANDSHAKES),
            strangers: Places::new(STRANGERS),
        }
    }

    /// Makes the connection, or says why there is none.
    pub(super) async fn handshake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let (_place, notice) = self.handshakes.enter();
        tokio::select! {
            made = self.tls.accept(stream) => match made {
                Ok(mut made) => {
                    made.get_mut().1.set_buffer_limit(Some(ENCRYPTED));
                    Ok(made)
                }
                Err(error) => Err(error.to_string()),
            },
            () = tokio::time::sleep(HANDSHAKE) => Err(format!("it was not done within {HANDSHAKE:?}")),
            () = notice.given() => Err("it made room for others".to_owned()),
        }
    }

    /// Waits until a connection has been one of strangers for too long. `known` turns true with its first stream that has
    /// good credentials; from then on this waits for ever.
    pub(super) async fn loses_patience(&self, mut known: watch::Receiver<bool>) {
        let (place, notice) = self.strangers.enter();
        let is_known = tokio::select! {
            known = known.wait_for(|known| *known) => known.is_ok(),
            () = tokio::time::sleep(STRANGER) => false,
            () = notice.given() => false,
        };
        drop(place);
        if is_known {
            std::future::pending::<()>().await;
        }
    }

    /// Whom a stream with this metadata is from.
    pub(super) async fn authenticate(&self, headers: HeaderMap) -> Result<Peer, Denied> {
        let found = tokio::time::timeout(AUTHENTICATION, (self.authenticate)(headers)).await;
        found.unwrap_or_else(|_| {
            Err(Denied::Unavailable(
                "the credentials could not be checked in time".to_owned(),
            ))
        })
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rustls::crypto::ring;
    use rustls::server::ResolvesServerCertUsingSni;

    /// It has no certificate, and its hook never comes to an end.
    pub(in super::super) fn undecided() -> Guard {
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        Guard::new(Arc::new(tls), |_| std::future::pending())
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_cannot_be_checked_in_time_are_not_good() {
        let denied = undecided().authenticate(HeaderMap::new()).await;
        assert!(matches!(denied, Err(Denied::Unavailable(_))), "{denied:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_stay_once_somebody_is_known() {
        let guard = undecided();
        let known = watch::Sender::new(false);
        guard.loses_patience(known.subscribe()).await;
        known.send_replace(true);
        let waited = tokio::time::timeout(STRANGER * 2, guard.loses_patience(known.subscribe())).await;
        assert!(waited.is_err());
    }
}
