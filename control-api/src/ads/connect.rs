//! A connection to one control plane.

use crate::ads::bootstrap::Address;
use crate::ads::bootstrap::Authorities;
use crate::ads::bootstrap::Credentials;
use crate::ads::bootstrap::Server;
use crate::ads::bootstrap::Tls;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::error::Error;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tonic::metadata::Ascii;
use tonic::metadata::MetadataValue;
use tonic::transport::Certificate;
use tonic::transport::Channel;
use tonic::transport::ClientTlsConfig;
use tonic::transport::Endpoint;
use tonic::transport::Identity;

/// For the handshakes of TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a silent peer is asked whether it is there (HTTP/2 PING), and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(10);
/// When the kernel begins to ask the same of a silent connection.
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);
/// What a server may send ahead of us: a first configuration of some megabytes should not come in pieces of 64 KiB.
const WINDOW: u32 = 1 << 20;

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    /// A file with a certificate, a key or a token cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Everything else, with its causes.
    #[error("{0}")]
    Transport(String),
}

/// A connection for one stream.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) channel: Channel,
    /// What the stream shows.
    pub(crate) authorization: Option<MetadataValue<Ascii>>,
}

/// Connects. Certificates and the token are read now, so that a new connection has the newest.
pub(crate) async fn connect(server: &Server) -> Result<Link, ConnectError> {
    let endpoint = endpoint(server)?;
    let authorization = server.token.as_deref().map(bearer).transpose()?;
    // The endpoint's own time is for the TCP handshake alone.
    let channel = match tokio::time::timeout(CONNECT, endpoint.connect()).await {
        Ok(connected) => connected.map_err(|error| transport(&error))?,
        Err(_) => return Err(ConnectError::Transport(format!("no connection within {CONNECT:?}"))),
    };
    Ok(Link { channel, authorization })
}

/// The token of a file. It is in no log.
fn bearer(path: &Path) -> Result<MetadataValue<Ascii>, ConnectError> {
    let content = |reason| ConnectError::Content {
        path: path.to_owned(),
        reason,
    };
    let token = String::from_utf8(read(path)?).map_err(|_| content("is no text, and should hold a token"))?;
    let token = token.trim();
    if token.is_empty() {
        return Err(content("is empty, and should hold a token"));
    }
    let mut value =
        MetadataValue::try_from(format!("Bearer {token}")).map_err(|_| content("holds what cannot be in a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn endpoint(server: &Server) -> Result<Endpoint, ConnectError> {
    let scheme = match server.credentials {
        Credentials::Insecure => "http",
        Credentials::Tls(_) => "https",
    };
    let uri = match &server.address {
        Address::Tcp { host, port } if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
        Address::Tcp { host, port } => format!("{scheme}://{host}:{port}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    let endpoint = Endpoint::from_shared(uri)
        .map_err(|error| transport(&error))?
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .keep_alive_while_idle(true)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    match (&server.credentials, &server.address) {
        (Credentials::Tls(with), Address::Tcp { host, .. }) => {
            // The name in the URI has the brackets of an IPv6 address.
            let config = tls(with)?.domain_name(host);
            endpoint.tls_config(config).map_err(|error| transport(&error))
        }
        (Credentials::Insecure, _) | (Credentials::Tls(_), Address::Unix(_)) => Ok(endpoint),
    }
}

fn tls(with: &Tls) -> Result<ClientTlsConfig, ConnectError> {
    let config = match &with.authorities {
        Authorities::System => ClientTlsConfig::new().with_native_roots(),
        Authorities::Text(text) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(text)),
        Authorities::File(path) => {
            let text = read(path)?;
            if !matches!(CertificateDer::pem_slice_iter(&text).next(), Some(Ok(_))) {
                return Err(ConnectError::Content {
                    path: path.clone(),
                    reason: "holds no certificate in PEM",
                });
            }
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(text))
        }
    };
    Ok(match &with.identity {
        Some(identity) => config.identity(Identity::from_pem(
            read(&identity.certificates)?,
            read(&identity.private_key)?,
        )),
        None => config,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, ConnectError> {
    std::fs::read(path).map_err(|source| ConnectError::File {
        path: path.to_owned(),
        source,
    })
}

fn transport(error: &tonic::transport::Error) -> ConnectError {
    ConnectError::Transport(with_causes(error))
}

/// An error and what is behind it: `transport error` alone helps nobody.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let sentence = error.to_string();
        if !text.contains(&sentence) {
            text = format!("{text}: {sentence}");
        }
        cause = error.source();
    }
    text
}
